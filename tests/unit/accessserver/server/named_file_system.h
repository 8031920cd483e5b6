// NamedFileSystem: a FileSystem that has a name and an id and refuses to work.
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "accessserver/fileops/file_system.h"

namespace shima {

class NamedFileSystem final : public FileSystem {
 public:
  NamedFileSystem(std::string name, uint64_t id) : name_(std::move(name)), id_(id) {}

  void run(metadata::v1::JobRequest, JobDone done) override {
    metadata::v1::JobReply reply;
    reply.set_error(ENOSYS);
    done(reply);
  }
  void read(uint64_t, uint64_t, uint32_t, metadata::v1::Credentials,
            std::function<void(FileBytes)> done) override {
    done({.error = ENOSYS});
  }
  void write(FileWrite, std::function<void(FileWritten)> done) override { done({.error = ENOSYS}); }
  void allocate(uint64_t, AllocateKind, uint64_t, uint64_t, bool, metadata::v1::Credentials,
                std::function<void(int)> done) override {
    done(ENOSYS);
  }
  void seek(uint64_t, uint64_t, bool, std::function<void(int, uint64_t)> done) override { done(ENOSYS, 0); }
  uint64_t set_lock(metadata::v1::LockRange, bool, std::function<void(int)> done) override {
    done(ENOSYS);
    return 1;
  }
  void cancel(uint64_t) override {}
  void opened(uint64_t) override {}
  void closed(uint64_t) override {}
  void find_who_has_open(uint64_t, std::function<void(int)> done) override { done(ENOSYS); }
  void hold(uint64_t, std::function<void(int)> done) override { done(ENOSYS); }
  void statistics(std::function<void(VolumeStatistics)> done) override { done({.error = ENOSYS}); }
  uint64_t volume_id() const override { return id_; }
  uint64_t life() const override { return 1; }
  std::string volume_name() const override { return name_; }
  uint64_t session() const override { return 1; }

 private:
  const std::string name_;
  const uint64_t id_;
};

}  // namespace shima
