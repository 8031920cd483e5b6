// What shimactl prints on standard output: tables for people, JSON for programs.
//
// JSON is stable: keys are only ever added, sizes are bytes, times say their unit in the key.
#pragma once

#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace shima {

enum class Format { kTable, kJson };
enum class Align { kLeft, kRight };

// Columns as wide as their widest cell, two spaces apart; the last one is not padded.
class Table {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns; an empty cell is printed as "-".
  void add_row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  void print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Lines "name:  value", the values below each other.
class Facts {
 public:
  void add(std::string name, std::string value) { facts_.emplace_back(std::move(name), std::move(value)); }
  void print(std::ostream& out) const;

 private:
  std::vector<std::pair<std::string, std::string>> facts_;
};

// One document, indented by 2, and a newline.
void print_json(std::ostream& out, const nlohmann::ordered_json& document);
// One document in one line.
void print_json_line(std::ostream& out, const nlohmann::ordered_json& document);

std::string join(const std::vector<std::string>& words, const std::string& between);
inline std::string yes_no(bool value) { return value ? "yes" : "no"; }

}  // namespace shima
