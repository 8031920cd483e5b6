#include "cli/output.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "common/status/status.h"

namespace shima {
namespace {

// Characters, not bytes, of UTF-8 text.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

void print_cell(std::ostream& out, const std::string& text, size_t width, Align align, bool last) {
  const std::string padding(width - std::min(width, width_of(text)), ' ');
  if (align == Align::kRight) out << padding;
  out << text;
  if (last) return;
  if (align == Align::kLeft) out << padding;
  out << "  ";
}

}  // namespace

void Table::add_row(std::vector<std::string> cells) {
  SHIMA_CHECK(cells.size() == columns_.size(), "a row has as many cells as the table has columns");
  for (std::string& cell : cells) {
    if (cell.empty()) cell.push_back('-');
  }
  rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = width_of(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, width_of(row[i]));
    widths.push_back(width);
  }
  const size_t last = columns_.size() - 1;
  for (size_t i = 0; i <= last; ++i)
    print_cell(out, columns_[i].title, widths[i], columns_[i].align, i == last);
  out << '\n';
  for (const auto& row : rows_) {
    for (size_t i = 0; i <= last; ++i) print_cell(out, row[i], widths[i], columns_[i].align, i == last);
    out << '\n';
  }
}

void Facts::print(std::ostream& out) const {
  size_t width = 0;
  for (const auto& [name, value] : facts_) width = std::max(width, width_of(name));
  for (const auto& [name, value] : facts_) {
    out << name << ':' << std::string(width - width_of(name) + 2, ' ') << value << '\n';
  }
}

void print_json(std::ostream& out, const nlohmann::ordered_json& document) {
  out << document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

void print_json_line(std::ostream& out, const nlohmann::ordered_json& document) {
  out << document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
}

std::string join(const std::vector<std::string>& words, const std::string& between) {
  std::string all;
  for (const std::string& word : words) {
    if (!all.empty()) all += between;
    all += word;
  }
  return all;
}

}  // namespace shima
