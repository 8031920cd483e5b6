// NameModel: which names a tree has, which are the same file, and how many names each file has: the part of a
// POSIX file system that is simple enough to be written twice. Paths are relative to the root, without "."
// and ".."; the root is "". Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/posix/seeded_random.h"

namespace shima {

class NameModel {
 public:
  enum class Kind : uint8_t { kDirectory, kSymlink, kOther };
  struct Entry {
    uint64_t inode = 0;
    Kind kind = Kind::kOther;
  };

  const std::map<std::string, Entry>& entries() const { return entries_; }
  size_t size() const { return entries_.size(); }
  bool has(const std::string& path) const { return path.empty() || entries_.contains(path); }
  bool is_directory(const std::string& path) const;
  bool is_symlink(const std::string& path) const;
  // st_nlink, by POSIX and Linux custom: names of a file; 2 and one for each subdirectory of a directory.
  uint64_t links(const std::string& path) const;

  // Each is called when the system call was done.
  void create(const std::string& path, Kind kind);
  void link(const std::string& from, const std::string& to);
  void remove(const std::string& path);
  void rename(const std::string& from, const std::string& to);
  void exchange(const std::string& a, const std::string& b);

  // Any name; "" (the root) now and then, and if there is none.
  std::string any_path(SeededRandom& random) const;
  std::string any_directory(SeededRandom& random) const;

 private:
  // Takes the entry and all below it out, with paths relative to it.
  std::map<std::string, Entry> take(const std::string& path);
  void put(const std::string& path, const std::map<std::string, Entry>& subtree);

  std::map<std::string, Entry> entries_;
  uint64_t last_inode_ = 0;
};

std::string parent_of(const std::string& path);

}  // namespace shima
