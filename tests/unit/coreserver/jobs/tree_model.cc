#include "tests/unit/coreserver/jobs/tree_model.h"

#include <cerrno>

namespace shima {
namespace {

bool may(const ModelUser& who, const ModelNode& node, uint32_t bits) {
  if (who.root()) return !(bits & 1) || node.dir() || (node.mode & 0111);
  uint32_t shift = who.uid == node.uid ? 6 : who.in(node.gid) ? 3 : 0;
  return ((node.mode >> shift) & bits) == bits;
}

bool dots(const std::string& name) { return name == "." || name == ".."; }

void touch(const NodePtr& node) { node->touched = true; }
void modify(const NodePtr& node) { node->touched = node->modified = true; }

uint32_t kill_set_id(const ModelUser& who, const ModelNode& node) {
  uint32_t mode = node.mode & ~04000u;
  if ((mode & 010) || (!who.root() && !who.in(node.gid))) mode &= ~02000u;
  return mode;
}

bool below(const NodePtr& node, const NodePtr& ancestor) {
  for (NodePtr at = node; at; at = at->parent.lock()) {
    if (at == ancestor) return true;
  }
  return false;
}

}  // namespace

TreeModel::TreeModel() : root_(std::make_shared<ModelNode>()) {
  root_->type = 'd';
  root_->mode = 0755;
  root_->nlink = 2;
  root_->inode = 2;
}

int TreeModel::enter(const ModelUser& who, const NodePtr& dir, const std::string& name) const {
  if (dir->gone) return ESTALE;
  if (!dir->dir()) return ENOTDIR;
  if (!may(who, *dir, 1)) return EACCES;
  return wrong(dir, name);
}

int TreeModel::wrong(const NodePtr& dir, const std::string& name) {
  if (dir->nlink == 0 && !dots(name)) return ENOENT;
  if (name.size() > 255) return ENAMETOOLONG;
  if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
    return EINVAL;
  return 0;
}

int TreeModel::lookup(const ModelUser& who, const NodePtr& dir, const std::string& name,
                      NodePtr& found) const {
  if (int error = enter(who, dir, name)) return error;
  if (name == ".") return found = dir, 0;
  if (name == "..") {
    if (dir->nlink == 0) return ENOENT;
    found = dir == root_ ? root_ : dir->parent.lock();
    return 0;
  }
  auto at = dir->children.find(name);
  if (at == dir->children.end()) return ENOENT;
  found = at->second;
  return 0;
}

int TreeModel::create(const ModelUser& who, const NodePtr& dir, const std::string& name, char type,
                      uint32_t mode, bool exclusive, std::optional<uint64_t> size, NodePtr& node,
                      bool& is_new) {
  is_new = false;
  if (int error = enter(who, dir, name)) return error;
  if (dots(name)) return EEXIST;
  if (auto at = dir->children.find(name); at != dir->children.end()) {
    if (type != 'f' || exclusive) return EEXIST;
    node = at->second;
    if (node->dir()) return EISDIR;
    if (node->type != 'f' || !size) return 0;
    ModelChange change;
    change.size = size;
    return this->change(who, node, change);
  }
  if (!may(who, *dir, 2)) return EACCES;
  node = std::make_shared<ModelNode>();
  node->type = type;
  node->uid = who.uid;
  node->gid = (dir->mode & 02000) ? dir->gid : who.gid;
  node->mode = type == 'l' ? 0777 : mode;
  if (type == 'd') {
    node->mode |= dir->mode & 02000;
    node->nlink = 2;
    node->parent = dir;
    dir->nlink++;
  } else if (type != 'l' && (node->mode & 02010) == 02010 && !who.root() && !who.in(node->gid)) {
    node->mode &= ~02000u;
  }
  if (type == 'l') node->size = (node->target = "to " + name).size();
  if (type == 'f') node->size = size.value_or(0);
  dir->children[name] = node;
  modify(dir);
  modify(node);
  inodes_++;
  is_new = true;
  return 0;
}

int TreeModel::link(const ModelUser& who, const NodePtr& node, const NodePtr& dir, const std::string& name) {
  if (node->gone) return ESTALE;
  if (int error = enter(who, dir, name)) return error;
  if (dots(name) || dir->children.contains(name)) return EEXIST;
  if (!may(who, *dir, 2)) return EACCES;
  if (node->dir()) return EPERM;
  if (node->nlink == 0) return ENOENT;
  node->nlink++;
  touch(node);
  dir->children[name] = node;
  modify(dir);
  return 0;
}

int TreeModel::may_unlink(const ModelUser& who, const NodePtr& dir, const NodePtr& victim) const {
  if (!may(who, *dir, 2)) return EACCES;
  bool sticky = (dir->mode & 01000) && !who.root() && who.uid != dir->uid && who.uid != victim->uid;
  return sticky ? EPERM : 0;
}

void TreeModel::lose_name(const NodePtr& node) {
  touch(node);
  node->nlink = node->dir() ? 0 : node->nlink - 1;
  if (node->nlink == 0) orphans_.push_back(node);
}

int TreeModel::unlink(const ModelUser& who, const NodePtr& dir, const std::string& name) {
  if (int error = enter(who, dir, name)) return error;
  if (dots(name)) return EISDIR;
  auto at = dir->children.find(name);
  if (at == dir->children.end()) return ENOENT;
  NodePtr victim = at->second;
  if (int error = may_unlink(who, dir, victim)) return error;
  if (victim->dir()) return EISDIR;
  dir->children.erase(at);
  modify(dir);
  lose_name(victim);
  return 0;
}

int TreeModel::rmdir(const ModelUser& who, const NodePtr& dir, const std::string& name) {
  if (int error = enter(who, dir, name)) return error;
  if (name == ".") return EINVAL;
  if (name == "..") return ENOTEMPTY;
  auto at = dir->children.find(name);
  if (at == dir->children.end()) return ENOENT;
  NodePtr victim = at->second;
  if (int error = may_unlink(who, dir, victim)) return error;
  if (!victim->dir()) return ENOTDIR;
  if (!victim->children.empty()) return ENOTEMPTY;
  dir->children.erase(at);
  dir->nlink--;
  modify(dir);
  lose_name(victim);
  return 0;
}

int TreeModel::rename(const ModelUser& who, const NodePtr& from, const std::string& from_name,
                      const NodePtr& to, const std::string& to_name, bool no_replace, bool exchange) {
  if (no_replace && exchange) return EINVAL;
  if (int error = enter(who, from, ".")) return error;
  if (int error = enter(who, to, ".")) return error;
  if (dots(from_name)) return EBUSY;
  if (dots(to_name)) return no_replace ? EEXIST : EBUSY;
  if (int error = wrong(from, from_name)) return error;
  auto source = from->children.find(from_name);
  if (source == from->children.end()) return ENOENT;
  if (int error = wrong(to, to_name)) return error;
  auto target = to->children.find(to_name);
  NodePtr moved = source->second, other = target == to->children.end() ? nullptr : target->second;
  if (other && no_replace) return EEXIST;
  if (!other && exchange) return ENOENT;
  if (from != to && moved->dir() && below(to, moved)) return EINVAL;
  if (from != to && other && other->dir() && below(from, other)) return exchange ? EINVAL : ENOTEMPTY;
  if (moved == other) return 0;
  if (int error = may_unlink(who, from, moved)) return error;
  if (other) {
    if (int error = may_unlink(who, to, other)) return error;
    if (!exchange && moved->dir() && !other->dir()) return ENOTDIR;
    if (!exchange && !moved->dir() && other->dir()) return EISDIR;
  } else {
    if (!may(who, *to, 2)) return EACCES;
  }
  if (from != to && moved->dir() && !may(who, *moved, 2)) return EACCES;
  if (from != to && exchange && other->dir() && !may(who, *other, 2)) return EACCES;
  if (!exchange && other && !other->children.empty()) return ENOTEMPTY;
  if (exchange) {
    source->second = other;
    target->second = moved;
    touch(other);
    if (other->dir()) from->nlink++, to->nlink--, other->parent = from;
  } else {
    from->children.erase(from_name);
    to->children[to_name] = moved;
    if (other) {
      if (other->dir()) to->nlink--;
      lose_name(other);
    }
  }
  if (moved->dir()) from->nlink--, to->nlink++, moved->parent = to;
  touch(moved);
  modify(from);
  modify(to);
  return 0;
}

void TreeModel::truncate(const ModelUser& who, const NodePtr& node, uint64_t size) {
  if (size < node->size) node->truncating = true;
  node->size = size;
  if (!who.root()) node->mode = kill_set_id(who, *node);
  modify(node);
}

int TreeModel::change(const ModelUser& who, const NodePtr& node, const ModelChange& c) {
  if (node->gone) return ESTALE;
  bool owner = who.root() || who.uid == node->uid;
  if (c.mode && node->type == 'l') return EOPNOTSUPP;
  if (c.mode && !owner) return EPERM;
  if (c.uid && !who.root() && !(owner && *c.uid == node->uid)) return EPERM;
  if (c.gid && !who.root() && !(owner && (*c.gid == node->gid || who.in(*c.gid)))) return EPERM;
  if (c.mtime && !owner) return EPERM;
  if (c.mtime_now && !c.size && !owner) return EPERM;
  if (c.mtime_now && !owner && !may(who, *node, 2)) return EACCES;
  if (c.size) {
    if (node->dir()) return EISDIR;
    if (node->type != 'f') return EINVAL;
    if (*c.size > (1ull << 44)) return EFBIG;
    if (!owner && !may(who, *node, 2)) return EACCES;
    if (node->truncating) return EAGAIN;
    truncate(who, node, *c.size);
  }
  if ((c.uid || c.gid) && !node->dir()) node->mode = kill_set_id(who, *node);
  if (c.uid) node->uid = *c.uid;
  if (c.gid) node->gid = *c.gid;
  if (c.mode) node->mode = *c.mode & ((who.root() || who.in(node->gid)) ? 07777 : 05777);
  if (c.mode || c.uid || c.gid || c.mtime || c.mtime_now) touch(node);
  if (c.mtime_now || c.mtime) modify(node);
  return 0;
}

int TreeModel::list(const ModelUser& who, const NodePtr& dir, std::set<std::string>& names) const {
  if (dir->gone) return ESTALE;
  if (!dir->dir()) return ENOTDIR;
  if (!may(who, *dir, 4)) return EACCES;
  if (dir->nlink == 0) return ENOENT;
  names = {".", ".."};
  for (const auto& [name, child] : dir->children) names.insert(name);
  return 0;
}

int TreeModel::set_xattr(const ModelUser& who, const NodePtr& node, const std::string& name,
                         const std::string& value, bool create, bool replace) {
  if (node->gone) return ESTALE;
  if (node->type != 'f' && !node->dir()) return EPERM;
  if (node->dir() && (node->mode & 01000) && !who.root() && who.uid != node->uid) return EPERM;
  if (!may(who, *node, 2)) return EACCES;
  if (node->xattrs.contains(name) && create) return EEXIST;
  if (!node->xattrs.contains(name) && replace) return ENODATA;
  node->xattrs[name] = value;
  touch(node);
  return 0;
}

int TreeModel::get_xattr(const ModelUser& who, const NodePtr& node, const std::string& name,
                         std::string& value) const {
  if (node->gone) return ESTALE;
  if (node->type != 'f' && !node->dir()) return ENODATA;
  if (!may(who, *node, 4)) return EACCES;
  auto at = node->xattrs.find(name);
  if (at == node->xattrs.end()) return ENODATA;
  value = at->second;
  return 0;
}

int TreeModel::remove_xattr(const ModelUser& who, const NodePtr& node, const std::string& name) {
  if (node->gone) return ESTALE;
  if (node->type != 'f' && !node->dir()) return EPERM;
  if (node->dir() && (node->mode & 01000) && !who.root() && who.uid != node->uid) return EPERM;
  if (!may(who, *node, 2)) return EACCES;
  if (node->xattrs.erase(name) == 0) return ENODATA;
  touch(node);
  return 0;
}

}  // namespace shima
