// TreeModel: a POSIX tree of plain pointers and maps, written from the manual pages and not from the jobs:
// what random_tree_test.cc compares jobs with.
//
// Every operation returns an errno. What an operation changes gets its `touched` (ctime) or `modified` (mtime
// and ctime) set, so that the test can compare times.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace shima {

struct ModelUser {
  uint32_t uid = 0, gid = 0;
  std::set<uint32_t> groups;
  bool in(uint32_t group) const { return group == gid || groups.contains(group); }
  bool root() const { return uid == 0; }
};

struct ModelNode;
using NodePtr = std::shared_ptr<ModelNode>;

struct ModelNode {
  char type = 'f';  // f, d, l, p
  uint32_t mode = 0, uid = 0, gid = 0, nlink = 1;
  uint64_t size = 0;  // files and symlinks
  bool truncating = false;
  std::string target;
  std::map<std::string, NodePtr> children;
  std::weak_ptr<ModelNode> parent;  // directories
  std::map<std::string, std::string> xattrs;
  bool touched = false, modified = false;  // by the last operation
  // The test's own notes.
  uint64_t inode = 0;
  int64_t ctime_ns = 0, mtime_ns = 0;
  bool gone = false;  // it was an orphan and is forgotten
  bool dir() const { return type == 'd'; }
};

struct ModelChange {
  std::optional<uint32_t> mode, uid, gid;
  std::optional<uint64_t> size;
  std::optional<int64_t> mtime;
  bool mtime_now = false;
};

class TreeModel {
 public:
  TreeModel();

  NodePtr root() const { return root_; }
  int lookup(const ModelUser& who, const NodePtr& dir, const std::string& name, NodePtr& found) const;
  int create(const ModelUser& who, const NodePtr& dir, const std::string& name, char type, uint32_t mode,
             bool exclusive, std::optional<uint64_t> size, NodePtr& node, bool& is_new);
  int link(const ModelUser& who, const NodePtr& node, const NodePtr& dir, const std::string& name);
  int unlink(const ModelUser& who, const NodePtr& dir, const std::string& name);
  int rmdir(const ModelUser& who, const NodePtr& dir, const std::string& name);
  int rename(const ModelUser& who, const NodePtr& from, const std::string& from_name, const NodePtr& to,
             const std::string& to_name, bool no_replace, bool exchange);
  int change(const ModelUser& who, const NodePtr& node, const ModelChange& change);
  int list(const ModelUser& who, const NodePtr& dir, std::set<std::string>& names) const;
  int set_xattr(const ModelUser& who, const NodePtr& node, const std::string& name, const std::string& value,
                bool create, bool replace);
  int get_xattr(const ModelUser& who, const NodePtr& node, const std::string& name, std::string& value) const;
  int remove_xattr(const ModelUser& who, const NodePtr& node, const std::string& name);

  std::vector<NodePtr> take_orphans() { return std::move(orphans_); }
  uint64_t inodes() const { return inodes_; }  // orphans that were not taken are counted
  void forget(uint64_t count) { inodes_ -= count; }

 private:
  static int wrong(const NodePtr& dir, const std::string& name);
  int enter(const ModelUser& who, const NodePtr& dir, const std::string& name) const;
  int may_unlink(const ModelUser& who, const NodePtr& dir, const NodePtr& victim) const;
  void truncate(const ModelUser& who, const NodePtr& node, uint64_t size);
  void lose_name(const NodePtr& node);

  NodePtr root_;
  std::vector<NodePtr> orphans_;
  uint64_t inodes_ = 1;
};

}  // namespace shima
