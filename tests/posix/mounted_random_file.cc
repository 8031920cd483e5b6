#include "tests/posix/mounted_random_file.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace shima {

namespace {

std::string error_text() { return strerror(errno); }

}  // namespace

MountedRandomFile::MountedRandomFile(RandomFileOptions options, const std::vector<std::string>& directories)
    : RandomFile(std::move(options)) {
  log_.begin("create");
  for (const std::string& directory : directories) mounts_.push_back({.path = directory + "/" + name()});
  views_ = mounts_.size();
  const int created = open(mounts_[0].path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
  if (created < 0) log_.fail("cannot create " + mounts_[0].path + ": " + error_text());
  close(created);
  for (Mount& mount : mounts_) open_all(mount);
  find_out_what_works();
  add_steps();
}

MountedRandomFile::~MountedRandomFile() {
  drop_kept_mapping();
  for (Mount& mount : mounts_) close_all(mount);
  unlink(mounts_[0].path.c_str());
}

void MountedRandomFile::add_steps() {
  if (has_direct_) {
    steps_.add(6, [this] { direct_read(); });
    steps_.add(6, [this] { direct_write(); });
  }
  if (has_punch_) steps_.add(5, [this] { punch_hole(); });
  if (has_zero_) steps_.add(4, [this] { zero_range(); });
  if (has_allocate_) steps_.add(4, [this] { allocate(); });
  if (has_mmap_) {
    steps_.add(5, [this] { map_read(); });
    steps_.add(5, [this] { map_write(); });
  }
  // What one mount's mapping keeps is not promised to show what another does.
  if (has_mmap_ && views_ == 1) {
    steps_.add(2, [this] { keep_mapped(); });
    steps_.add(5, [this] { use_kept_mapping(); });
  }
  steps_.add(5, [this] { seek_data(); });
  steps_.add(5, [this] { seek_hole(); });
  steps_.add(1, [this] { reopen(); });
}

uint64_t MountedRandomFile::read_at(size_t view, Range range) {
  const ssize_t got = pread(mounts_[view].plain, buffer_, range.length, static_cast<off_t>(range.offset));
  if (got < 0) log_.fail("pread: " + error_text());
  return static_cast<uint64_t>(got);
}

void MountedRandomFile::write_at(size_t view, uint64_t offset, std::span<const uint8_t> bytes) {
  const ssize_t done = pwrite(mounts_[view].plain, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (done != static_cast<ssize_t>(bytes.size())) {
    log_.fail("pwrite: " + std::to_string(done) + ", " + error_text());
  }
}

void MountedRandomFile::append_bytes(size_t view, std::span<const uint8_t> bytes) {
  const ssize_t done = ::write(mounts_[view].append, bytes.data(), bytes.size());
  if (done != static_cast<ssize_t>(bytes.size())) {
    log_.fail("write: " + std::to_string(done) + ", " + error_text());
  }
}

void MountedRandomFile::set_size(size_t view, uint64_t size) {
  const bool by_path = random_.one_in(2);
  log_.add(by_path ? " by path" : "");
  const Mount& mount = mounts_[view];
  const auto length = static_cast<off_t>(size);
  if ((by_path ? ::truncate(mount.path.c_str(), length) : ftruncate(mount.plain, length)) != 0) {
    log_.fail("truncate: " + error_text());
  }
}

void MountedRandomFile::check_attributes(size_t view) {
  const Mount& mount = mounts_[view];
  struct stat stat {};
  if ((random_.one_in(2) ? fstat(mount.plain, &stat) : ::stat(mount.path.c_str(), &stat)) != 0) {
    log_.fail("stat: " + error_text());
  }
  if (static_cast<uint64_t>(stat.st_size) != model_.size()) {
    log_.fail("the size is " + std::to_string(stat.st_size) + ", not " + std::to_string(model_.size()));
  }
  const std::array<int64_t, 2> mtime{stat.st_mtim.tv_sec, stat.st_mtim.tv_nsec};
  if (mtime < last_mtime_) log_.fail("mtime went back");
  last_mtime_ = mtime;
}

void MountedRandomFile::open_all(Mount& mount) {
  mount.plain = open(mount.path.c_str(), O_RDWR);
  mount.append = open(mount.path.c_str(), O_RDWR | O_APPEND);
  if (mount.plain < 0 || mount.append < 0) log_.fail("cannot open " + mount.path + ": " + error_text());
  mount.direct = open(mount.path.c_str(), O_RDWR | O_DIRECT);
  if (mount.direct < 0 && errno != EINVAL) log_.fail("cannot open with O_DIRECT: " + error_text());
}

void MountedRandomFile::close_all(Mount& mount) {
  for (int* file : {&mount.plain, &mount.append, &mount.direct}) {
    if (*file >= 0 && close(*file) != 0) log_.fail("close: " + error_text());
    *file = -1;
  }
}

int MountedRandomFile::try_fallocate(int mode) {
  return fallocate(mounts_[0].plain, mode, 0, 4096) == 0 ? 0 : errno;
}

void MountedRandomFile::find_out_what_works() {
  has_direct_ = mounts_[0].direct >= 0;
  has_punch_ = try_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) == 0;
  has_zero_ = try_fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE) == 0;
  has_allocate_ = try_fallocate(FALLOC_FL_KEEP_SIZE) == 0;
  if (ftruncate(mounts_[0].plain, 4096) != 0) log_.fail("ftruncate: " + error_text());
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, mounts_[0].plain, 0);
  has_mmap_ = memory != MAP_FAILED;
  if (has_mmap_) munmap(memory, 4096);
  if (ftruncate(mounts_[0].plain, 0) != 0) log_.fail("ftruncate: " + error_text());
  const std::pair<bool, const char*> features[] = {{has_direct_, "O_DIRECT"},
                                                   {has_punch_, "FALLOC_FL_PUNCH_HOLE"},
                                                   {has_zero_, "FALLOC_FL_ZERO_RANGE"},
                                                   {has_allocate_, "fallocate"},
                                                   {has_mmap_, "shared mmap"}};
  for (const auto& [there, name] : features) {
    if (!there) std::printf("LEFT OUT: this file system has no %s\n", name);
  }
}

MountedRandomFile::Range MountedRandomFile::any_range_inside() {
  Range range;
  range.offset = random_.below(model_.size());
  range.length = random_.between(1, std::min(options_.max_io, model_.size() - range.offset));
  return range;
}

MountedRandomFile::Range MountedRandomFile::any_aligned_range() {
  Range range;
  range.offset = random_.below(options_.max_size / kAlignment) * kAlignment;
  const uint64_t room = std::min(options_.max_io, options_.max_size - range.offset) / kAlignment;
  range.length = random_.between(1, std::max<uint64_t>(room, 1)) * kAlignment;
  return range;
}

// What was dirtied through a mapping and not synced need not be seen by O_DIRECT.
void MountedRandomFile::sync_mapping() {
  if (kept_ != nullptr && msync(kept_, kept_length_, MS_SYNC) != 0) log_.fail("msync: " + error_text());
}

void MountedRandomFile::direct_read() {
  const Range range = any_aligned_range();
  log_.begin(text("O_DIRECT read", range));
  sync_mapping();
  const ssize_t got = pread(any_mount().direct, buffer_, range.length, static_cast<off_t>(range.offset));
  const uint64_t expected = model_.read(range.offset, range.length).size();
  if (got < 0 || static_cast<uint64_t>(got) != expected) {
    log_.fail("pread returns " + std::to_string(got) + ", not " + std::to_string(expected) + ": " +
              error_text());
  }
  compare("O_DIRECT pread", range.offset, buffer_, expected);
}

void MountedRandomFile::direct_write() {
  const Range range = any_aligned_range();
  log_.begin(text("O_DIRECT write", range));
  sync_mapping();
  random_.fill(buffer_, range.length);
  const ssize_t done = pwrite(any_mount().direct, buffer_, range.length, static_cast<off_t>(range.offset));
  if (done != static_cast<ssize_t>(range.length))
    log_.fail("pwrite: " + std::to_string(done) + ", " + error_text());
  model_.write(range.offset, {buffer_, range.length});
}

void MountedRandomFile::punch_hole() {
  const Range range = any_range();
  log_.begin(text("punch hole", range));
  if (fallocate(any_mount().plain, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(range.offset), static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  model_.zero(range.offset, range.length);
}

void MountedRandomFile::zero_range() {
  const Range range = any_range();
  const bool keep_size = random_.one_in(2);
  log_.begin(text(keep_size ? "zero range, keep size" : "zero range", range));
  if (fallocate(any_mount().plain, FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0),
                static_cast<off_t>(range.offset), static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  if (!keep_size && range.offset + range.length > model_.size()) model_.resize(range.offset + range.length);
  model_.zero(range.offset, range.length);
}

void MountedRandomFile::allocate() {
  const Range range = any_range();
  const bool keep_size = random_.one_in(2);
  log_.begin(text(keep_size ? "allocate, keep size" : "allocate", range));
  if (fallocate(any_mount().plain, keep_size ? FALLOC_FL_KEEP_SIZE : 0, static_cast<off_t>(range.offset),
                static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  if (!keep_size && range.offset + range.length > model_.size()) model_.resize(range.offset + range.length);
}

uint8_t* MountedRandomFile::map(const Mount& mount, Range range, int protection, uint64_t& map_length,
                                uint8_t** base) {
  // Another machine's changes show in a mapping once the file was read or looked at (FUSE compares mtime
  // then).
  uint8_t byte = 0;
  if (views_ > 1 && pread(mount.plain, &byte, 1, 0) < 0) log_.fail("pread: " + error_text());
  const uint64_t start = range.offset & ~(kAlignment - 1);
  map_length = range.offset + range.length - start;
  void* memory = mmap(nullptr, map_length, protection, MAP_SHARED, mount.plain, static_cast<off_t>(start));
  if (memory == MAP_FAILED) log_.fail("mmap: " + error_text());
  *base = static_cast<uint8_t*>(memory);
  return *base + (range.offset - start);
}

void MountedRandomFile::map_read() {
  if (model_.size() == 0) return log_.begin("nothing: the file is empty");
  const Range range = any_range_inside();
  log_.begin(text("mmap read", range));
  uint64_t length = 0;
  uint8_t* base = nullptr;
  const uint8_t* bytes = map(any_mount(), range, PROT_READ, length, &base);
  compare("mmap", range.offset, bytes, range.length);
  munmap(base, length);
}

void MountedRandomFile::map_write() {
  if (model_.size() == 0) return log_.begin("nothing: the file is empty");
  const Range range = any_range_inside();
  // munmap alone makes no promise to other machines.
  const bool sync = views_ > 1 || random_.one_in(2);
  log_.begin(text(sync ? "mmap write, msync" : "mmap write", range));
  random_.fill(buffer_, range.length);
  uint64_t length = 0;
  uint8_t* base = nullptr;
  memcpy(map(any_mount(), range, PROT_READ | PROT_WRITE, length, &base), buffer_, range.length);
  if (sync && msync(base, length, MS_SYNC) != 0) log_.fail("msync: " + error_text());
  if (munmap(base, length) != 0) log_.fail("munmap: " + error_text());
  model_.write(range.offset, {buffer_, range.length});
}

void MountedRandomFile::keep_mapped() {
  log_.begin(kept_ != nullptr ? "drop the kept mapping" : "map the whole file and keep that");
  if (kept_ != nullptr) return drop_kept_mapping();
  void* memory = mmap(nullptr, options_.max_size, PROT_READ | PROT_WRITE, MAP_SHARED, any_mount().plain, 0);
  if (memory == MAP_FAILED) log_.fail("mmap: " + error_text());
  kept_ = static_cast<uint8_t*>(memory);
  kept_length_ = options_.max_size;
}

void MountedRandomFile::use_kept_mapping() {
  if (kept_ == nullptr) return keep_mapped();
  if (model_.size() == 0) return log_.begin("nothing: the file is empty");
  const Range range = any_range_inside();
  const bool writes = random_.one_in(2);
  log_.begin(text(writes ? "write through the kept mapping" : "read through the kept mapping", range));
  if (!writes) return compare("kept mapping", range.offset, kept_ + range.offset, range.length);
  random_.fill(buffer_, range.length);
  memcpy(kept_ + range.offset, buffer_, range.length);
  model_.write(range.offset, {buffer_, range.length});
}

void MountedRandomFile::drop_kept_mapping() {
  if (kept_ != nullptr) munmap(kept_, kept_length_);
  kept_ = nullptr;
}

// lseek(2): data may be reported where only zeros are, never a hole where a byte is not zero.
void MountedRandomFile::seek_data() {
  const uint64_t from = random_.below(options_.max_size);
  log_.begin("SEEK_DATA from " + std::to_string(from));
  sync_mapping();
  const off_t found = lseek(any_mount().plain, static_cast<off_t>(from), SEEK_DATA);
  if (found < 0) {
    if (errno != ENXIO) log_.fail("lseek: " + error_text());
    if (from < model_.size() && !model_.is_zero(from, model_.size())) {
      log_.fail("SEEK_DATA finds none, but there is some");
    }
    return;
  }
  const auto at = static_cast<uint64_t>(found);
  if (at < from || at >= model_.size()) log_.fail("SEEK_DATA returns " + std::to_string(at));
  if (!model_.is_zero(from, at)) log_.fail("SEEK_DATA passes over data to " + std::to_string(at));
}

void MountedRandomFile::seek_hole() {
  const uint64_t from = random_.below(options_.max_size);
  log_.begin("SEEK_HOLE from " + std::to_string(from));
  sync_mapping();
  const off_t found = lseek(any_mount().plain, static_cast<off_t>(from), SEEK_HOLE);
  if (found < 0) {
    if (errno != ENXIO || from < model_.size()) log_.fail("lseek: " + error_text());
    return;
  }
  const auto at = static_cast<uint64_t>(found);
  if (from >= model_.size()) log_.fail("SEEK_HOLE at or beyond the end is not ENXIO");
  if (at < from || at > model_.size()) log_.fail("SEEK_HOLE returns " + std::to_string(at));
  if (at < model_.size() && model_.bytes()[at] != 0)
    log_.fail("SEEK_HOLE returns data at " + std::to_string(at));
}

void MountedRandomFile::reopen() {
  log_.begin("close and open again");
  drop_kept_mapping();
  Mount& mount = any_mount();
  close_all(mount);
  open_all(mount);
}

}  // namespace shima
