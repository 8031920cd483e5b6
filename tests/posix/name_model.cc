#include "tests/posix/name_model.h"

#include <iterator>
#include <vector>

namespace shima {

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

bool NameModel::is_directory(const std::string& path) const {
  if (path.empty()) return true;
  const auto found = entries_.find(path);
  return found != entries_.end() && found->second.kind == Kind::kDirectory;
}

bool NameModel::is_symlink(const std::string& path) const {
  const auto found = entries_.find(path);
  return found != entries_.end() && found->second.kind == Kind::kSymlink;
}

uint64_t NameModel::links(const std::string& path) const {
  if (is_directory(path)) {
    uint64_t links = 2;
    for (const auto& [name, entry] : entries_) {
      if (entry.kind == Kind::kDirectory && parent_of(name) == path) ++links;
    }
    return links;
  }
  const uint64_t inode = entries_.at(path).inode;
  uint64_t links = 0;
  for (const auto& [name, entry] : entries_) links += entry.inode == inode ? 1 : 0;
  return links;
}

void NameModel::create(const std::string& path, Kind kind) { entries_[path] = {++last_inode_, kind}; }
void NameModel::link(const std::string& from, const std::string& to) { entries_[to] = entries_.at(from); }
void NameModel::remove(const std::string& path) { entries_.erase(path); }

std::map<std::string, NameModel::Entry> NameModel::take(const std::string& path) {
  std::map<std::string, Entry> subtree;
  for (auto i = entries_.lower_bound(path); i != entries_.end() && i->first.starts_with(path);) {
    if (i->first.size() == path.size() || i->first[path.size()] == '/') {
      subtree[i->first.substr(path.size())] = i->second;
      i = entries_.erase(i);
    } else {
      ++i;
    }
  }
  return subtree;
}

void NameModel::put(const std::string& path, const std::map<std::string, Entry>& subtree) {
  for (const auto& [below, entry] : subtree) entries_[path + below] = entry;
}

void NameModel::rename(const std::string& from, const std::string& to) {
  if (from == to) return;
  // rename(2): two names of one file: nothing happens.
  const auto target = entries_.find(to);
  if (target != entries_.end() && target->second.inode == entries_.at(from).inode) return;
  if (target != entries_.end()) entries_.erase(target);
  put(to, take(from));
}

void NameModel::exchange(const std::string& a, const std::string& b) {
  if (a == b) return;
  const auto first = take(a), second = take(b);
  put(b, first);
  put(a, second);
}

std::string NameModel::any_path(SeededRandom& random) const {
  if (entries_.empty() || random.one_in(50)) return "";
  return std::next(entries_.begin(), static_cast<std::ptrdiff_t>(random.below(entries_.size())))->first;
}

std::string NameModel::any_directory(SeededRandom& random) const {
  for (int attempt = 0; attempt < 6; ++attempt) {
    std::string path = any_path(random);
    if (is_directory(path)) return path;
  }
  return "";
}

}  // namespace shima
