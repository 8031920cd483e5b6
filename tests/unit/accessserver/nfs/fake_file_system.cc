#include "tests/unit/accessserver/nfs/fake_file_system.h"

#include <algorithm>
#include <cerrno>

namespace shima {

using metadata::v1::Create;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;

FakeFileSystem::FakeFileSystem(uint64_t volume_id, std::string name, Post post)
    : volume_id_(volume_id), name_(std::move(name)), post_(std::move(post)) {
  Node& root = nodes_[kRoot];
  root.attributes.set_inode(kRoot);
  root.attributes.set_type(metadata::v1::FILE_TYPE_DIRECTORY);
  root.attributes.set_mode(0755);
  root.attributes.set_nlink(2);
  root.attributes.set_generation(1);
  root.attributes.set_parent(kRoot);
  touch(root);
}

void FakeFileSystem::fail_next(int error, int times) {
  std::lock_guard lock(mutex_);
  error_ = error;
  error_times_ = times;
}

int FakeFileSystem::injected() {
  operations_++;
  if (error_times_ == 0) return 0;
  error_times_--;
  return error_;
}

void FakeFileSystem::hold() {
  std::lock_guard lock(mutex_);
  hold_ = true;
}

void FakeFileSystem::release() {
  std::deque<Task> held;
  {
    std::lock_guard lock(mutex_);
    hold_ = false;
    held.swap(held_);
  }
  for (Task& task : held) post_(std::move(task));
}

void FakeFileSystem::drop_held() {
  std::deque<Task> held;
  std::lock_guard lock(mutex_);
  hold_ = false;
  held.swap(held_);
}

size_t FakeFileSystem::held() const {
  std::lock_guard lock(mutex_);
  return held_.size();
}

uint64_t FakeFileSystem::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

metadata::v1::Credentials FakeFileSystem::last_credentials() const {
  std::lock_guard lock(mutex_);
  return last_credentials_;
}

FileAttributes FakeFileSystem::attributes_of(uint64_t inode) const {
  std::lock_guard lock(mutex_);
  auto it = nodes_.find(inode);
  return it == nodes_.end() ? FileAttributes() : it->second.attributes;
}

void FakeFileSystem::remove_all_names_of(uint64_t inode) {
  std::lock_guard lock(mutex_);
  for (auto& [number, node] : nodes_) {
    std::erase_if(node.entries, [&](const auto& entry) { return entry.second == inode; });
  }
  nodes_[inode].attributes.set_nlink(0);
}

void FakeFileSystem::deliver(Task task) {
  {
    std::lock_guard lock(mutex_);
    if (hold_) {
      held_.push_back(std::move(task));
      return;
    }
  }
  post_(std::move(task));
}

FakeFileSystem::Node* FakeFileSystem::find(uint64_t inode) {
  auto it = nodes_.find(inode);
  return it == nodes_.end() ? nullptr : &it->second;
}

FakeFileSystem::Node* FakeFileSystem::directory(uint64_t inode, JobReply& reply) {
  Node* node = find(inode);
  if (!node) reply.set_error(ESTALE);
  if (node && node->attributes.type() != metadata::v1::FILE_TYPE_DIRECTORY) reply.set_error(ENOTDIR);
  return reply.error() ? nullptr : node;
}

void FakeFileSystem::touch(Node& node) {
  now_ns_ += 1'000'003;
  node.attributes.set_mtime_ns(now_ns_);
  node.attributes.set_ctime_ns(now_ns_);
  node.attributes.set_change(node.attributes.change() + 1);
}

void FakeFileSystem::run(JobRequest request, JobDone done) {
  JobReply reply;
  {
    std::lock_guard lock(mutex_);
    last_credentials_ = request.credentials();
    reply.set_error(injected());
    if (!reply.error()) reply = execute(request);
  }
  deliver([done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
}

JobReply FakeFileSystem::execute(const JobRequest& request) {
  JobReply reply;
  switch (request.job_case()) {
    case JobRequest::kLookup:
      lookup(request.lookup(), reply);
      break;
    case JobRequest::kGetAttributes:
      if (Node* node = find(request.get_attributes().inode())) {
        *reply.mutable_attributes() = node->attributes;
      } else {
        reply.set_error(ESTALE);
      }
      break;
    case JobRequest::kReadDirectory:
      list(request.read_directory(), reply);
      break;
    case JobRequest::kReadLink: {
      Node* node = find(request.read_link().inode());
      if (!node) reply.set_error(ESTALE);
      if (node && node->attributes.type() != metadata::v1::FILE_TYPE_SYMLINK) reply.set_error(EINVAL);
      if (reply.error()) break;
      reply.set_data(node->bytes);
      *reply.mutable_attributes() = node->attributes;
      break;
    }
    case JobRequest::kSetAttributes:
      set_attributes(request.set_attributes(), reply);
      break;
    case JobRequest::kCreate:
      create(request, reply);
      break;
    case JobRequest::kLink:
      link(request.link(), reply);
      break;
    case JobRequest::kRemove:
      remove(request.remove(), reply);
      break;
    case JobRequest::kRename:
      rename(request.rename(), reply);
      break;
    default:
      reply.set_error(EOPNOTSUPP);
  }
  return reply;
}

void FakeFileSystem::lookup(const metadata::v1::Lookup& job, JobReply& reply) {
  Node* parent = directory(job.parent(), reply);
  if (!parent) return;
  *reply.mutable_parent() = parent->attributes;
  uint64_t inode = 0;
  if (job.name() == ".") inode = job.parent();
  if (job.name() == "..") inode = parent->attributes.parent();
  auto it = parent->entries.find(job.name());
  if (it != parent->entries.end()) inode = it->second;
  if (Node* node = find(inode)) {
    *reply.mutable_attributes() = node->attributes;
  } else {
    reply.set_error(ENOENT);
  }
}

// Cookies: 1 and 2, then 3 + inode: stable, whatever else is made or removed.
void FakeFileSystem::list(const metadata::v1::ReadDirectory& job, JobReply& reply) {
  Node* node = directory(job.inode(), reply);
  if (!node) return;
  *reply.mutable_attributes() = node->attributes;
  std::map<uint64_t, std::pair<std::string, uint64_t>> by_cookie = {{1, {".", job.inode()}},
                                                                    {2, {"..", node->attributes.parent()}}};
  for (const auto& [name, inode] : node->entries) by_cookie[3 + inode] = {name, inode};
  uint32_t most = std::min<uint32_t>(job.max_entries(), max_entries_);
  auto it = by_cookie.upper_bound(job.after());
  for (; it != by_cookie.end() && most > 0; ++it, --most) {
    metadata::v1::DirectoryEntry* entry = reply.add_entries();
    entry->set_cookie(it->first);
    entry->set_name(it->second.first);
    entry->set_inode(it->second.second);
    if (job.attributes()) *entry->mutable_attributes() = find(it->second.second)->attributes;
  }
  reply.set_end(it == by_cookie.end());
}

void FakeFileSystem::apply(Node& node, const metadata::v1::NewAttributes& set) {
  FileAttributes& a = node.attributes;
  touch(node);
  if (set.has_mode()) a.set_mode(set.mode());
  if (set.has_uid()) a.set_uid(set.uid());
  if (set.has_gid()) a.set_gid(set.gid());
  if (set.has_size() && set.size() <= max_file_bytes_) {
    node.bytes.resize(set.size());
    a.set_size(set.size());
  }
  if (set.has_atime_ns()) a.set_atime_ns(set.atime_ns());
  if (set.has_mtime_ns()) a.set_mtime_ns(set.mtime_ns());
  if (set.atime_now()) a.set_atime_ns(now_ns_);
}

void FakeFileSystem::set_attributes(const metadata::v1::SetAttributes& job, JobReply& reply) {
  Node* node = find(job.inode());
  if (!node) return reply.set_error(ESTALE);
  *reply.mutable_before() = *reply.mutable_attributes() = node->attributes;
  if (job.has_guard_ctime_ns() && job.guard_ctime_ns() != node->attributes.ctime_ns()) {
    return reply.set_error(EAGAIN);
  }
  if (job.set().has_size() && node->attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY) {
    return reply.set_error(EISDIR);
  }
  apply(*node, job.set());
  *reply.mutable_attributes() = node->attributes;
}

void FakeFileSystem::create(const JobRequest& request, JobReply& reply) {
  const Create& job = request.create();
  Node* parent = directory(job.parent(), reply);
  if (!parent) return;
  *reply.mutable_parent() = *reply.mutable_parent_before() = parent->attributes;
  if (auto it = parent->entries.find(job.name()); it != parent->entries.end()) {
    Node& node = nodes_[it->second];
    bool same = job.how() == Create::EXCLUSIVE && node.verifier == job.verifier();
    if (job.how() != Create::UNCHECKED && !same) return reply.set_error(EEXIST);
    if (job.set().has_size()) {
      metadata::v1::NewAttributes size;
      size.set_size(job.set().size());
      apply(node, size);
    }
    *reply.mutable_attributes() = node.attributes;
    return;
  }
  uint64_t inode = next_inode_++;
  Node& node = nodes_[inode];
  bool is_directory = job.type() == metadata::v1::FILE_TYPE_DIRECTORY;
  node.attributes.set_inode(inode);
  node.attributes.set_type(job.type());
  node.attributes.set_nlink(is_directory ? 2 : 1);
  node.attributes.set_generation(1);
  node.attributes.set_uid(request.credentials().uid());
  node.attributes.set_gid(request.credentials().gid());
  node.attributes.set_rdev_major(job.rdev_major());
  node.attributes.set_rdev_minor(job.rdev_minor());
  if (is_directory) node.attributes.set_parent(job.parent());
  node.verifier = job.verifier();
  apply(node, job.set());
  if (job.type() == metadata::v1::FILE_TYPE_SYMLINK) {
    node.bytes = job.target();
    node.attributes.set_size(node.bytes.size());
  }
  parent = find(job.parent());
  parent->entries[job.name()] = inode;
  if (is_directory) parent->attributes.set_nlink(parent->attributes.nlink() + 1);
  touch(*parent);
  *reply.mutable_parent() = parent->attributes;
  *reply.mutable_attributes() = node.attributes;
  reply.set_created(true);
}

void FakeFileSystem::link(const metadata::v1::Link& job, JobReply& reply) {
  Node* parent = directory(job.parent(), reply);
  Node* node = find(job.inode());
  if (!node) return reply.set_error(ESTALE);
  if (!parent) return;
  *reply.mutable_parent() = *reply.mutable_parent_before() = parent->attributes;
  *reply.mutable_attributes() = node->attributes;
  if (node->attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY) return reply.set_error(EPERM);
  if (parent->entries.contains(job.name())) return reply.set_error(EEXIST);
  parent->entries[job.name()] = job.inode();
  node->attributes.set_nlink(node->attributes.nlink() + 1);
  touch(*parent);
  *reply.mutable_parent() = parent->attributes;
  *reply.mutable_attributes() = node->attributes;
}

void FakeFileSystem::drop_name(Node& node) {
  bool is_directory = node.attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY;
  node.attributes.set_nlink(is_directory ? 0 : node.attributes.nlink() - 1);
}

void FakeFileSystem::remove(const metadata::v1::Remove& job, JobReply& reply) {
  Node* parent = directory(job.parent(), reply);
  if (!parent) return;
  *reply.mutable_parent() = *reply.mutable_parent_before() = parent->attributes;
  auto it = parent->entries.find(job.name());
  if (it == parent->entries.end()) return reply.set_error(ENOENT);
  Node& node = nodes_[it->second];
  bool is_directory = node.attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY;
  if (is_directory && !job.directory()) return reply.set_error(EISDIR);
  if (!is_directory && job.directory()) return reply.set_error(ENOTDIR);
  if (!node.entries.empty()) return reply.set_error(ENOTEMPTY);
  drop_name(node);
  parent->entries.erase(it);
  if (is_directory) parent->attributes.set_nlink(parent->attributes.nlink() - 1);
  touch(*parent);
  *reply.mutable_parent() = parent->attributes;
}

void FakeFileSystem::rename(const metadata::v1::Rename& job, JobReply& reply) {
  Node* from = directory(job.from_parent(), reply);
  Node* to = directory(job.to_parent(), reply);
  if (!from || !to) return;
  *reply.mutable_from_parent() = *reply.mutable_from_parent_before() = from->attributes;
  *reply.mutable_parent() = *reply.mutable_parent_before() = to->attributes;
  auto it = from->entries.find(job.from_name());
  if (it == from->entries.end()) return reply.set_error(ENOENT);
  uint64_t inode = it->second;
  if (auto old = to->entries.find(job.to_name()); old != to->entries.end() && old->second != inode) {
    if (!nodes_[old->second].entries.empty()) return reply.set_error(ENOTEMPTY);
    drop_name(nodes_[old->second]);
  }
  from->entries.erase(it);
  to->entries[job.to_name()] = inode;
  touch(*from);
  touch(*to);
  *reply.mutable_from_parent() = from->attributes;
  *reply.mutable_parent() = to->attributes;
}

void FakeFileSystem::read(uint64_t inode, uint64_t offset, uint32_t length,
                          metadata::v1::Credentials credentials, std::function<void(FileBytes)> done) {
  FileBytes got;
  {
    std::lock_guard lock(mutex_);
    last_credentials_ = credentials;
    got.error = injected();
    Node* node = find(inode);
    if (!got.error && !node) got.error = ESTALE;
    if (!got.error && node->attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY) got.error = EISDIR;
    if (!got.error) {
      uint64_t start = std::min<uint64_t>(offset, node->bytes.size());
      got.bytes = Buffer::copy_of(std::string_view(node->bytes).substr(start, length));
      got.end = start + got.bytes.size() == node->bytes.size();
      got.attributes = node->attributes;
    }
  }
  deliver([done = std::move(done), got = std::move(got)]() mutable { done(std::move(got)); });
}

void FakeFileSystem::write(FileWrite write, std::function<void(FileWritten)> done) {
  FileWritten written;
  {
    std::lock_guard lock(mutex_);
    last_credentials_ = write.credentials;
    written.error = injected();
    Node* node = find(write.inode);
    if (!written.error && !node) written.error = ESTALE;
    if (!written.error && node->attributes.type() == metadata::v1::FILE_TYPE_DIRECTORY)
      written.error = EISDIR;
    if (!written.error && write.offset + write.bytes.size() > max_file_bytes_) written.error = ENOSPC;
    if (!written.error) {
      written.before = node->attributes;
      uint64_t end = write.offset + write.bytes.size();
      if (node->bytes.size() < end) node->bytes.resize(end);
      std::copy_n(write.bytes.data(), write.bytes.size(),
                  node->bytes.begin() + static_cast<long>(write.offset));
      touch(*node);
      node->attributes.set_size(node->bytes.size());
      node->attributes.set_used_bytes(node->bytes.size());
      written.after = node->attributes;
      written.has_attributes = true;
    }
  }
  deliver([done = std::move(done), written = std::move(written)] { done(written); });
}

void FakeFileSystem::allocate(uint64_t, AllocateKind, uint64_t, uint64_t, bool, metadata::v1::Credentials,
                              std::function<void(int error)> done) {
  deliver([done = std::move(done)] { done(EOPNOTSUPP); });
}

void FakeFileSystem::seek(uint64_t, uint64_t, bool, std::function<void(int error, uint64_t offset)> done) {
  deliver([done = std::move(done)] { done(ENXIO, 0); });
}

uint64_t FakeFileSystem::set_lock(metadata::v1::LockRange, bool, std::function<void(int error)> done) {
  deliver([done = std::move(done)] { done(EOPNOTSUPP); });
  return 1;
}

void FakeFileSystem::statistics(std::function<void(VolumeStatistics)> done) {
  VolumeStatistics now{
      .total_bytes = 1000 << 20, .free_bytes = 600 << 20, .total_inodes = 5000, .free_inodes = 4000};
  {
    std::lock_guard lock(mutex_);
    now.error = injected();
  }
  deliver([done = std::move(done), now] { done(now); });
}

// ---- exports

void FakeExports::add(std::shared_ptr<FakeFileSystem> volume, bool open) {
  std::lock_guard lock(mutex_);
  std::string name = volume->volume_name();
  access_[name].allowed = true;
  volumes_[name] = {std::move(volume), open};
}

void FakeExports::set_access(const std::string& volume, Access access) {
  std::lock_guard lock(mutex_);
  access_[volume] = access;
}

std::string FakeExports::last_client() const {
  std::lock_guard lock(mutex_);
  return last_client_;
}

void FakeExports::by_name(const std::string& volume, Done done) {
  Result<std::shared_ptr<FileSystem>> result(Code::kNotFound, "there is no volume " + volume);
  {
    std::lock_guard lock(mutex_);
    if (auto it = volumes_.find(volume); it != volumes_.end()) {
      it->second.open = true;
      result = std::shared_ptr<FileSystem>(it->second.system);
    }
    if (!open_error_.is_ok()) result = open_error_;
  }
  opened_++;
  done(std::move(result));
}

void FakeExports::by_id(uint64_t volume_id, Done done) {
  std::string name;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [candidate, volume] : volumes_) {
      if (volume.system->volume_id() == volume_id) name = candidate;
    }
  }
  by_name(name, std::move(done));
}

std::shared_ptr<FileSystem> FakeExports::open_now(uint64_t volume_id) const {
  std::lock_guard lock(mutex_);
  for (const auto& [name, volume] : volumes_) {
    if (volume.open && volume.system->volume_id() == volume_id) return volume.system;
  }
  return nullptr;
}

void FakeExports::list(std::function<void(Result<std::vector<std::string>>)> done) {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, volume] : volumes_) names.push_back(name);
  }
  done(std::move(names));
}

Access FakeExports::access(const std::string& volume, const std::string& client) const {
  std::lock_guard lock(mutex_);
  last_client_ = client;
  auto it = access_.find(volume);
  return it == access_.end() ? Access() : it->second;
}

}  // namespace shima
