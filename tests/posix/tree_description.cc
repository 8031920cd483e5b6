#include "tests/posix/tree_description.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <vector>

namespace shima {

namespace {

const char* type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFBLK:
      return "block-device";
    case S_IFCHR:
      return "character-device";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    default:
      return "?";
  }
}

struct Entry {
  std::string name;
  unsigned char type;
};

// errno, or 0.
int read_entries(int root, const std::string& path, std::vector<Entry>& entries) {
  const int file = openat(root, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (file < 0) return errno;
  DIR* directory = fdopendir(file);
  if (directory == nullptr) {
    const int error = errno;
    close(file);
    return error;
  }
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    entries.push_back({entry->d_name, entry->d_type});
    errno = 0;
  }
  const int error = errno;
  closedir(directory);
  return error;
}

std::string contents(int root, const std::string& path) {
  const int file = openat(root, path.c_str(), O_RDONLY | O_NOFOLLOW);
  if (file < 0) return error_name(errno);
  std::string all;
  std::array<char, 65536> part{};
  ssize_t got = 0;
  while ((got = read(file, part.data(), part.size())) > 0) all.append(part.data(), static_cast<size_t>(got));
  if (got < 0) all = error_name(errno);
  close(file);
  return std::to_string(all.size()) + " bytes, hash " + std::to_string(std::hash<std::string>()(all));
}

std::string target(int root, const std::string& path) {
  std::array<char, 8192> text{};
  const ssize_t size = readlinkat(root, path.c_str(), text.data(), text.size());
  return size < 0 ? error_name(errno) : std::string(text.data(), static_cast<size_t>(size));
}

void walk(int root, const std::string& path,
          const std::function<void(const std::string&, const struct stat&)>& visit) {
  std::vector<Entry> entries;
  read_entries(root, path.empty() ? "." : path, entries);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  for (const Entry& entry : entries) {
    if (entry.name == "." || entry.name == "..") continue;
    const std::string child = path.empty() ? entry.name : path + "/" + entry.name;
    struct stat stat {};
    if (fstatat(root, child.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(stat.st_mode)) walk(root, child, visit);
    visit(child, stat);
  }
}

}  // namespace

std::string error_name(int error) {
  if (error == 0) return "done";
  const char* name = strerrorname_np(error);
  return name != nullptr ? name : std::to_string(error);
}

std::string describe(const struct stat& stat) {
  std::array<char, 160> text{};
  snprintf(text.data(), text.size(), "%s mode=%04o nlink=%llu uid=%u gid=%u", type_name(stat.st_mode),
           stat.st_mode & 07777, static_cast<unsigned long long>(stat.st_nlink), stat.st_uid, stat.st_gid);
  std::string out = text.data();
  if (!S_ISDIR(stat.st_mode)) out += " size=" + std::to_string(stat.st_size);
  if (S_ISBLK(stat.st_mode) || S_ISCHR(stat.st_mode)) {
    out += " device=" + std::to_string(major(stat.st_rdev)) + ":" + std::to_string(minor(stat.st_rdev));
  }
  return out;
}

std::string describe(int root, const std::string& path) {
  struct stat stat {};
  if (fstatat(root, path.c_str(), &stat, AT_SYMLINK_NOFOLLOW) != 0) return error_name(errno);
  return describe(stat);
}

std::string octal(mode_t mode) {
  std::array<char, 16> text{};
  snprintf(text.data(), text.size(), "0%o", mode);
  return text.data();
}

std::string joined(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

int list_directory(int root, const std::string& path, bool types, std::string& lines) {
  std::vector<Entry> entries;
  if (const int error = read_entries(root, path, entries); error != 0) return error;
  std::vector<std::string> each;
  for (const Entry& entry : entries) {
    each.push_back(entry.name + (types ? std::string(" ") + type_name(DTTOIF(entry.type)) : ""));
  }
  lines = joined(std::move(each));
  return 0;
}

std::string list_xattrs(const std::string& path) {
  std::array<char, 65536> names{};
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return error_name(errno);
  std::vector<std::string> lines;
  for (const char* name = names.data(); name < names.data() + size; name += strlen(name) + 1) {
    if (strncmp(name, "user.", 5) != 0) continue;
    std::array<char, 65536> value{};
    const ssize_t length = lgetxattr(path.c_str(), name, value.data(), value.size());
    lines.push_back(
        std::string(name) + "=" +
        (length < 0 ? error_name(errno) : std::string(value.data(), static_cast<size_t>(length))));
  }
  return joined(std::move(lines));
}

std::map<std::string, std::string> describe_tree(int root) {
  std::map<std::string, std::string> tree;
  std::map<ino_t, std::string> first_names;
  walk(root, "", [&](const std::string& path, const struct stat& stat) {
    std::string text = describe(stat);
    if (S_ISREG(stat.st_mode)) text += " " + contents(root, path);
    if (S_ISLNK(stat.st_mode)) text += " -> " + target(root, path);
    if (!S_ISDIR(stat.st_mode) && stat.st_nlink > 1) {
      text += " same as " + first_names.try_emplace(stat.st_ino, path).first->second;
    }
    tree[path] = text;
  });
  return tree;
}

void empty_tree(int root) {
  walk(root, "", [&](const std::string& path, const struct stat& stat) {
    unlinkat(root, path.c_str(), S_ISDIR(stat.st_mode) ? AT_REMOVEDIR : 0);
  });
}

}  // namespace shima
