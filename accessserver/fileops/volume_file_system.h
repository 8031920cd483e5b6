// VolumeFileSystem: the parts of the file layer put together behind FileSystem; see the header of each part.
//
// FileSystemParts lives as long as a callback may need it; VolumeFileSystem is what the front end holds.
// Threads: all of VolumeFileSystem's methods from any thread; the parts are touched on the volume's loop
// only.
#pragma once

#include <atomic>
#include <memory>

#include "accessserver/fileops/allocation.h"
#include "accessserver/fileops/append_queue.h"
#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/completed_jobs.h"
#include "accessserver/fileops/file_changer.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/file_reader.h"
#include "accessserver/fileops/file_system.h"
#include "accessserver/fileops/nameless_files.h"
#include "accessserver/fileops/orphan_dropper.h"
#include "accessserver/fileops/session_keeper.h"
#include "accessserver/fileops/session_locks.h"
#include "accessserver/fileops/space_quota.h"
#include "accessserver/fileops/truncation_finisher.h"
#include "accessserver/fileops/writing_marks.h"

namespace shima {

struct FileSystemParts {
  FileSystemParts(VolumeAccess& volume, FileSystemOptions options);

  FileContext context;
  SessionKeeper sessions;
  TruncationFinisher truncations;
  AttributeSource attributes;
  WritingMarks marks;
  SessionLocks locks;
  SpaceQuota quota;
  CompletedJobs jobs;
  FileReader reader;
  FileChanger changer;
  AppendQueue appends;
  Allocation allocation;
  NamelessFiles nameless;
  OrphanDropper orphans;
};

class VolumeFileSystem : public FileSystem {
 public:
  VolumeFileSystem(VolumeAccess& volume, const FileSystemOptions& options);
  ~VolumeFileSystem() override;

  void run(metadata::v1::JobRequest request, JobDone done) override;
  void read(uint64_t inode, uint64_t offset, uint32_t length, metadata::v1::Credentials credentials,
            std::function<void(FileBytes)> done) override;
  void write(FileWrite write, std::function<void(FileWritten)> done) override;
  void allocate(uint64_t inode, AllocateKind kind, uint64_t offset, uint64_t length, bool keep_size,
                metadata::v1::Credentials credentials, std::function<void(int error)> done) override;
  void seek(uint64_t inode, uint64_t offset, bool hole,
            std::function<void(int error, uint64_t offset)> done) override;
  uint64_t set_lock(metadata::v1::LockRange lock, bool wait, std::function<void(int error)> done) override;
  void cancel(uint64_t ticket) override;
  void opened(uint64_t inode) override;
  void closed(uint64_t inode) override;
  void find_who_has_open(uint64_t inode, std::function<void(int error)> done) override;
  void hold(uint64_t inode, std::function<void(int error)> done) override;
  void statistics(std::function<void(VolumeStatistics)> done) override;
  uint64_t volume_id() const override { return parts_->context.first_layout().volume.value; }
  uint64_t life() const override { return parts_->context.first_layout().life; }
  std::string volume_name() const override { return parts_->context.first_layout().name; }
  uint64_t session() const override { return parts_->context.session(); }

 private:
  // Runs the task on the loop once the session is open; with EIO if it cannot be opened.
  void with_session(std::function<void(int error)> task);
  void close();

  VolumeAccess& volume_;
  const std::shared_ptr<FileSystemParts> parts_;
  std::atomic<uint64_t> last_ticket_{0};
};

}  // namespace shima
