#include "coreserver/driver/server_disk.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "common/observe/log.h"
#include "common/types/crc32c.h"

namespace shima {

namespace {

constexpr char kMagic[8] = {'S', 'H', 'I', 'M', 'A', 'D', 'S', 'K'};
constexpr uint32_t kVersion = 1;
constexpr size_t kSuperblockSize = 4096;

Result<uint64_t> read_superblock(const FileHandle& file, const std::string& path, const std::string& server) {
  std::vector<uint8_t> p(kSuperblockSize);
  SHIMA_RETURN_IF_ERROR(file.read_at(0, p));
  auto bad = [&](const std::string& what) { return Status(Code::kCorrupt, path + ": " + what); };
  if (std::memcmp(p.data(), kMagic, 8) != 0) return bad("wrong magic: this is no superblock of a Shima disk");
  uint32_t version, size, crc;
  uint64_t id;
  std::memcpy(&version, p.data() + 8, 4);
  std::memcpy(&id, p.data() + 12, 8);
  std::memcpy(&size, p.data() + 20, 4);
  std::memcpy(&crc, p.data() + kSuperblockSize - 4, 4);
  if (version != kVersion) {
    return bad("format version " + std::to_string(version) + "; this program reads version 1");
  }
  if (crc != crc32c({p.data(), kSuperblockSize - 4})) return bad("the superblock's checksum is wrong");
  if (size > 1024) return bad("the server name's length is impossible");
  std::string owner(reinterpret_cast<const char*>(p.data() + 24), size);
  if (owner != server) {
    return Status(Code::kFailedPrecondition, path + ": this disk belongs to server " + owner + ", not to " +
                                                 server + "; correct `disks` or `name` in the configuration");
  }
  return id;
}

// 0: there is none.
Result<uint64_t> find_superblock(Disk& disk, const std::string& directory, const std::string& server) {
  std::string path = directory + "/superblock";
  auto existing = disk.open(path, Disk::Mode::kRead);
  if (existing.is_ok()) return read_superblock(**existing, path, server);
  if (existing.status().code() == Code::kNotFound) return uint64_t{0};
  return existing.status();
}

// Held while a disk begins: of two processes that start at once on an empty directory, one begins the disk
// and the other finds it (flock(2); the kernel gives the lock back when its holder dies).
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory)
      : fd_(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    while (fd_ >= 0 && !(held_ = ::flock(fd_, LOCK_EX) == 0) && errno == EINTR) {
    }
    if (!held_) why_ = Status(Code::kIo, directory + ": flock: " + std::strerror(errno));
  }
  ~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  DirectoryLock(const DirectoryLock&) = delete;
  const Status& status() const { return why_; }

 private:
  const int fd_;
  bool held_ = false;
  Status why_;
};

// Of two processes with the same disk only one may touch its journal, however the other came to be: a pod
// that was deleted by force, a start by hand. Held until the disk is closed.
Result<int> lock_superblock(const std::string& directory) {
  const std::string path = directory + "/superblock";
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Status(Code::kIo, path + ": " + std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  const int error = errno;
  ::close(fd);
  if (error != EWOULDBLOCK) return Status(Code::kIo, path + ": flock: " + std::strerror(error));
  return Status(Code::kFailedPrecondition,
                directory +
                    ": another process serves this disk; nothing was changed. End it first, or "
                    "give this server a directory of its own");
}

Result<uint64_t> open_superblock(Disk& disk, const std::string& directory, const std::string& server) {
  std::string path = directory + "/superblock";
  auto existing = find_superblock(disk, directory, server);
  if (!existing.is_ok() || *existing != 0) return existing;
  const DirectoryLock alone(directory);
  SHIMA_RETURN_IF_ERROR(alone.status());
  existing = find_superblock(disk, directory, server);  // another process may have begun it
  if (!existing.is_ok() || *existing != 0) return existing;
  std::random_device random;
  uint64_t id = (uint64_t{random()} << 32 | random()) | 1;
  std::string fresh = path + ".new";
  auto file = disk.open(fresh, Disk::Mode::kOpenOrCreate);
  if (!file.is_ok()) return file.status();
  Buffer bytes = superblock_bytes(id, server);
  std::span<const uint8_t> piece = bytes.span();
  SHIMA_RETURN_IF_ERROR((*file)->write_at(0, {&piece, 1}));
  SHIMA_RETURN_IF_ERROR((*file)->sync());
  SHIMA_RETURN_IF_ERROR(disk.rename(fresh, path));
  SHIMA_RETURN_IF_ERROR(disk.sync_directory(directory));
  return id;
}

}  // namespace

Buffer superblock_bytes(uint64_t id, const std::string& server) {
  return Buffer::make(kSuperblockSize, [&](uint8_t* p) {
    std::memset(p, 0, kSuperblockSize);
    std::memcpy(p, kMagic, 8);
    std::memcpy(p + 8, &kVersion, 4);
    std::memcpy(p + 12, &id, 8);
    uint32_t size = static_cast<uint32_t>(server.size());
    std::memcpy(p + 20, &size, 4);
    std::memcpy(p + 24, server.data(), size);
    uint32_t crc = crc32c({p, kSuperblockSize - 4});
    std::memcpy(p + kSuperblockSize - 4, &crc, 4);
  });
}

Result<uint64_t> ServerDisk::probe(const std::string& path, const ServerOptions& options) {
  auto disk = make_posix_disk();  // nothing of this process is on its way there yet
  return find_superblock(*disk, path, options.name);
}

Result<std::unique_ptr<ServerDisk>> ServerDisk::open(const std::string& path, const ServerOptions& options) {
  std::unique_ptr<ServerDisk> d(new ServerDisk());
  d->path_ = path;
  d->min_free_bytes_ = options.min_free_bytes;
  bool losing = options.disk_layer != DiskLayer::kPosix;
  d->disk_ = losing ? make_losing_disk(false) : make_posix_disk();
  // Only the journal's fdatasync is taken out: it is the one that an acknowledgement waits for.
  if (options.disk_layer == DiskLayer::kLosingIgnoreSync) d->journal_disk_ = make_losing_disk(true);
  SHIMA_RETURN_IF_ERROR(d->disk_->make_directories(path));
  auto id = open_superblock(*d->disk_, path, options.name);
  if (!id.is_ok()) return id.status();
  d->id_ = *id;
  auto lock = lock_superblock(path);
  if (!lock.is_ok()) return lock.status();
  d->lock_ = *lock;
  JournalOptions journal_options;
  journal_options.segment_bytes = options.journal_segment_bytes;
  journal_options.max_bytes = options.journal_max_bytes;
  auto journal = Journal::open(d->journal_disk_ ? *d->journal_disk_ : *d->disk_, path + "/journal", *id,
                               journal_options);
  if (!journal.is_ok()) return journal.status().with_context(path);
  d->journal_ = std::move(*journal);
  BlockStoreOptions block_options;
  block_options.index_through_disk = losing;
  block_options.journal_has_records = d->journal_->stats().live_bytes > 0 || !d->journal_->damage().empty();
  auto blocks = BlockStore::open(*d->disk_, path, *id, block_options);
  if (!blocks.is_ok()) return blocks.status().with_context(path);
  d->blocks_ = std::move(*blocks);
  d->worker_ = std::make_unique<WorkerPool>("apply", 1);
  return d;
}

ServerDisk::~ServerDisk() {
  close();
  blocks_.reset();
  unlock();
}

void ServerDisk::close() {
  if (worker_) worker_->stop();
  journal_.reset();
}

void ServerDisk::unlock() {
  if (lock_ >= 0) ::close(std::exchange(lock_, -1));
}

void ServerDisk::checkpoint(GroupId group, std::string checkpoint, std::function<void(Status)> done) {
  std::lock_guard lock(mutex_);
  Request& r = requests_[group];
  r.checkpoint = std::move(checkpoint);
  r.done.push_back(std::move(done));
  if (scheduled_) return;
  scheduled_ = true;
  worker_->post([this] { run_checkpoints(); });
}

void ServerDisk::run_checkpoints() {
  std::map<GroupId, Request> requests;
  {
    std::lock_guard lock(mutex_);
    requests.swap(requests_);
    scheduled_ = false;
  }
  std::vector<std::pair<GroupId, std::string>> checkpoints;
  for (auto& [group, r] : requests) checkpoints.emplace_back(group, std::move(r.checkpoint));
  Status status = blocks_->checkpoint_many(checkpoints);
  if (!status.is_ok())
    log(LogLevel::kError, "disk", path_ + ": checkpoint failed, will be tried again: " + status.to_string());
  for (auto& [group, r] : requests) {
    for (auto& done : r.done) done(status);
  }
}

void ServerDisk::check_space() {
  Result<DiskSpace> space = disk_->space(path_);
  if (!space.is_ok()) return;
  uint64_t wanted = min_free_bytes_ + static_cast<uint64_t>(std::max<int64_t>(0, backlog_bytes_));
  bool was = full_;
  if (was) wanted += wanted / 4;
  bool now = space->free_bytes < wanted || !journal_->has_space();
  if (now == was) return;
  full_ = now;
  std::string numbers = std::to_string(space->free_bytes >> 20) + " MiB free, " +
                        std::to_string(wanted >> 20) + " MiB wanted" +
                        (journal_->has_space() ? "" : ", and the journal is at its limit");
  log(LogLevel::kWarning, "disk",
      path_ + (now ? " is full, writes are refused: " : " has space again: ") + numbers);
}

}  // namespace shima
