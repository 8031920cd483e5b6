// TreeSide: a directory tree through one front end, as the random tester of trees uses it. The tester does
// the same on two sides and compares what they answer, so each method says what it is in terms of system
// calls; a front end that has no such call does what a client's kernel would do in its place.
//
// Paths are relative to the side's root, "" is the root; symlinks are followed by a LocalTree that is told
// to. Threads: one at a time. Errors: errnos; 0: done.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace shima {

struct TreeCaller {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<uint32_t> groups;  // supplementary
  mode_t umask = 0;
};

struct TreeDevice {
  uint32_t major = 0, minor = 0;
};

struct TreeWrite {
  uint64_t offset = 0;
  bool append = false, empty_first = false;  // O_APPEND, O_TRUNC
  std::span<const uint8_t> bytes;
};

class TreeSide {
 public:
  virtual ~TreeSide() = default;

  // Whose operations the following are; at first root's, without umask.
  virtual void act_as(const TreeCaller& caller) = 0;

  virtual int make_file(const std::string& path, mode_t mode) = 0;  // O_CREAT | O_EXCL
  virtual int make_directory(const std::string& path, mode_t mode) = 0;
  virtual int make_symlink(const std::string& path, const std::string& target) = 0;
  virtual int make_node(const std::string& path, mode_t mode, TreeDevice device) = 0;  // with S_IFMT
  virtual int make_link(const std::string& from, const std::string& to) = 0;
  virtual int remove_file(const std::string& path) = 0;
  virtual int remove_directory(const std::string& path) = 0;
  virtual int rename(const std::string& from, const std::string& to, unsigned flags) = 0;  // renameat2(2)
  virtual int change_mode(const std::string& path, mode_t mode) = 0;
  virtual int change_owner(const std::string& path, uid_t uid, gid_t gid) = 0;  // -1: leave it
  // As utimensat(2), with UTIME_NOW and UTIME_OMIT.
  virtual int change_times(const std::string& path, const std::array<timespec, 2>& times) = 0;
  virtual int change_size(const std::string& path, uint64_t size) = 0;
  virtual int write(const std::string& path, const TreeWrite& write, uint64_t& written) = 0;
  virtual int read(const std::string& path, uint32_t count, std::string& bytes) = 0;  // from the beginning
  virtual int read_link(const std::string& path, std::string& target) = 0;
  // Names, with `types` also types, sorted, one a line. `page`: bytes that a listing's page has, where the
  // front end lets its client choose.
  virtual int list(const std::string& path, bool types, uint32_t page, std::string& lines) = 0;
  virtual int look(const std::string& path, struct stat& stat) = 0;  // lstat(2)
  // "rwx": as access(2); "w" of a directory is that names can be changed in it.
  virtual int access(const std::string& path, std::string& allowed) = 0;

  // What the front end has told that cannot be, beside the answers; empty: nothing.
  virtual std::string wrong() const { return ""; }

  // As describe_tree() of tree_description.h.
  virtual std::map<std::string, std::string> describe_tree(uint32_t page) = 0;
};

}  // namespace shima
