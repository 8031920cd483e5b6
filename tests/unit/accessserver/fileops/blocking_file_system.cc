#include "tests/unit/accessserver/fileops/blocking_file_system.h"

#include <chrono>
#include <thread>

namespace shima {

using metadata::v1::Credentials;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;

std::future<JobReply> BlockingFileSystem::start(JobRequest request) {
  auto promise = std::make_shared<std::promise<JobReply>>();
  files_->run(std::move(request), [promise](JobReply reply) { promise->set_value(std::move(reply)); });
  return promise->get_future();
}

std::future<FileWritten> BlockingFileSystem::start_write(FileWrite write) {
  auto promise = std::make_shared<std::promise<FileWritten>>();
  files_->write(std::move(write), [promise](FileWritten written) { promise->set_value(std::move(written)); });
  return promise->get_future();
}

std::future<FileBytes> BlockingFileSystem::start_read(uint64_t inode, uint64_t offset, uint32_t length,
                                                      const Credentials& who) {
  auto promise = std::make_shared<std::promise<FileBytes>>();
  files_->read(inode, offset, length, who,
               [promise](FileBytes bytes) { promise->set_value(std::move(bytes)); });
  return promise->get_future();
}

uint64_t BlockingFileSystem::create(const std::string& name, uint32_t mode, const Credentials& who) {
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_create()->set_parent(kRootInode);
  request.mutable_create()->set_name(name);
  request.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
  request.mutable_create()->mutable_set()->set_uid(who.uid());
  request.mutable_create()->mutable_set()->set_gid(who.gid());
  request.mutable_create()->mutable_set()->set_mode(mode);
  request.mutable_create()->set_how(metadata::v1::Create::GUARDED);
  JobReply reply = run(request);
  SHIMA_CHECK(reply.error() == 0, reply.message());
  return reply.attributes().inode();
}

int BlockingFileSystem::remove(const std::string& name) {
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_remove()->set_parent(kRootInode);
  request.mutable_remove()->set_name(name);
  return run(request).error();
}

JobReply BlockingFileSystem::attributes_reply(uint64_t inode) {
  JobRequest request;
  request.mutable_get_attributes()->set_inode(inode);
  return run(request);
}

JobReply BlockingFileSystem::set(uint64_t inode, const metadata::v1::NewAttributes& attributes,
                                 const Credentials& who) {
  JobRequest request;
  *request.mutable_credentials() = who;
  request.mutable_set_attributes()->set_inode(inode);
  *request.mutable_set_attributes()->mutable_set() = attributes;
  return run(request);
}

int BlockingFileSystem::truncate(uint64_t inode, uint64_t size) {
  metadata::v1::NewAttributes attributes;
  attributes.set_size(size);
  return set(inode, attributes).error();
}

FileWritten BlockingFileSystem::write(uint64_t inode, uint64_t offset, std::string_view bytes,
                                      const Credentials& who) {
  return start_write({.inode = inode, .offset = offset, .bytes = Buffer::copy_of(bytes), .credentials = who})
      .get();
}

FileWritten BlockingFileSystem::append(uint64_t inode, std::string_view bytes) {
  return start_write(
             {.inode = inode, .bytes = Buffer::copy_of(bytes), .append = true, .credentials = checked()})
      .get();
}

std::string BlockingFileSystem::read(uint64_t inode, uint64_t offset, uint32_t length) {
  FileBytes bytes = read_bytes(inode, offset, length);
  if (bytes.error != 0) return "errno " + std::to_string(bytes.error);
  return std::string(reinterpret_cast<const char*>(bytes.bytes.data()), bytes.bytes.size());
}

int BlockingFileSystem::allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length,
                                 bool keep_size) {
  std::promise<int> promise;
  files_->allocate(inode, kind, offset, length, keep_size, checked(),
                   [&](int error) { promise.set_value(error); });
  return promise.get_future().get();
}

std::pair<int, uint64_t> BlockingFileSystem::seek(uint64_t inode, uint64_t offset, bool hole) {
  std::promise<std::pair<int, uint64_t>> promise;
  files_->seek(inode, offset, hole, [&](int error, uint64_t found) { promise.set_value({error, found}); });
  return promise.get_future().get();
}

int BlockingFileSystem::lock(uint64_t inode, uint64_t owner, metadata::v1::LockType type, bool wait) {
  metadata::v1::LockRange range;
  range.set_inode(inode);
  range.set_kind(metadata::v1::LOCK_KIND_POSIX);
  range.set_type(type);
  range.set_end((1ull << 63) - 1);
  range.set_owner(owner);
  std::promise<int> promise;
  files_->set_lock(range, wait, [&](int error) { promise.set_value(error); });
  return promise.get_future().get();
}

VolumeStatistics BlockingFileSystem::statistics() {
  std::promise<VolumeStatistics> promise;
  files_->statistics([&](VolumeStatistics statistics) { promise.set_value(statistics); });
  return promise.get_future().get();
}

int BlockingFileSystem::find_who_has_open(uint64_t inode) {
  std::promise<int> promise;
  files_->find_who_has_open(inode, [&](int error) { promise.set_value(error); });
  return promise.get_future().get();
}

int BlockingFileSystem::hold(uint64_t inode) {
  std::promise<int> promise;
  files_->hold(inode, [&](int error) { promise.set_value(error); });
  return promise.get_future().get();
}

FileAttributes stored_attributes(MemoryVolume& volume, uint64_t inode) {
  JobRequest request;
  request.mutable_get_attributes()->set_inode(inode);
  return volume.run_now(request).attributes();
}

bool soon(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

}  // namespace shima
