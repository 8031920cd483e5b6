#include "tests/posix/random_file.h"

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

std::string text(const char* name, uint64_t offset, uint64_t length) {
  return std::string(name) + " [" + std::to_string(offset) + ", +" + std::to_string(length) + ")";
}

std::string error_text() { return strerror(errno); }

}  // namespace

RandomFile::RandomFile(RandomFileOptions options)
    : options_(std::move(options)), random_(options_.seed), log_(options_.again, options_.trace) {
  buffer_ = static_cast<uint8_t*>(aligned_alloc(kAlignment, options_.max_size + (2 * kAlignment)));
  log_.begin("create");
  const std::string name = "/random_file." + std::to_string(options_.seed) + "." + std::to_string(getpid());
  for (const std::string& directory : options_.directories) views_.push_back({.path = directory + name});
  const int created = open(views_[0].path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
  if (created < 0) log_.fail("cannot create " + views_[0].path + ": " + error_text());
  close(created);
  for (View& view : views_) open_all(view);
  find_out_what_works();
}

RandomFile::~RandomFile() {
  drop_kept_mapping();
  for (View& view : views_) close_all(view);
  unlink(views_[0].path.c_str());
  free(buffer_);
}

void RandomFile::open_all(View& view) {
  view.plain = open(view.path.c_str(), O_RDWR);
  view.append = open(view.path.c_str(), O_RDWR | O_APPEND);
  if (view.plain < 0 || view.append < 0) log_.fail("cannot open " + view.path + ": " + error_text());
  view.direct = open(view.path.c_str(), O_RDWR | O_DIRECT);
  if (view.direct < 0 && errno != EINVAL) log_.fail("cannot open with O_DIRECT: " + error_text());
}

void RandomFile::close_all(View& view) {
  for (int* file : {&view.plain, &view.append, &view.direct}) {
    if (*file >= 0 && close(*file) != 0) log_.fail("close: " + error_text());
    *file = -1;
  }
}

int RandomFile::try_fallocate(int mode) { return fallocate(views_[0].plain, mode, 0, 4096) == 0 ? 0 : errno; }

void RandomFile::find_out_what_works() {
  has_direct_ = views_[0].direct >= 0;
  has_punch_ = try_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE) == 0;
  has_zero_ = try_fallocate(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE) == 0;
  has_allocate_ = try_fallocate(FALLOC_FL_KEEP_SIZE) == 0;
  if (ftruncate(views_[0].plain, 4096) != 0) log_.fail("ftruncate: " + error_text());
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, views_[0].plain, 0);
  has_mmap_ = memory != MAP_FAILED;
  if (has_mmap_) munmap(memory, 4096);
  if (ftruncate(views_[0].plain, 0) != 0) log_.fail("ftruncate: " + error_text());
  const std::pair<bool, const char*> features[] = {{has_direct_, "O_DIRECT"},
                                                   {has_punch_, "FALLOC_FL_PUNCH_HOLE"},
                                                   {has_zero_, "FALLOC_FL_ZERO_RANGE"},
                                                   {has_allocate_, "fallocate"},
                                                   {has_mmap_, "shared mmap"}};
  for (const auto& [there, name] : features) {
    if (!there) std::printf("LEFT OUT: this file system has no %s\n", name);
  }
}

RandomFile::Range RandomFile::any_range() {
  Range range;
  range.offset = random_.below(options_.max_size);
  const uint64_t room = std::min(options_.max_io, options_.max_size - range.offset);
  // Small ones are the ones that hit borders.
  range.length =
      random_.one_in(3) ? random_.between(1, std::min<uint64_t>(room, 100)) : random_.between(1, room);
  if (random_.one_in(4)) range.offset &= ~(kAlignment - 1);
  return range;
}

RandomFile::Range RandomFile::any_range_inside() {
  Range range;
  range.offset = random_.below(model_.size());
  range.length = random_.between(1, std::min(options_.max_io, model_.size() - range.offset));
  return range;
}

RandomFile::Range RandomFile::any_aligned_range() {
  Range range;
  range.offset = random_.below(options_.max_size / kAlignment) * kAlignment;
  const uint64_t room = std::min(options_.max_io, options_.max_size - range.offset) / kAlignment;
  range.length = random_.between(1, std::max<uint64_t>(room, 1)) * kAlignment;
  return range;
}

void RandomFile::run() {
  for (uint64_t i = 0; i < options_.operations; ++i) {
    step();
    check_size();
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.operations);
  }
  check_all();
}

void RandomFile::step() {
  const uint64_t die = random_.below(100);
  if (die < 22) return read();
  if (die < 44) return write();
  if (die < 48) return append();
  if (die < 53 && has_direct_) return direct_read();
  if (die < 58 && has_direct_) return direct_write();
  if (die < 66) return truncate();
  if (die < 70 && has_punch_) return punch_hole();
  if (die < 73 && has_zero_) return zero_range();
  if (die < 76 && has_allocate_) return allocate();
  if (die < 80 && has_mmap_ && model_.size() > 0) return map_read();
  if (die < 84 && has_mmap_ && model_.size() > 0) return map_write();
  if (die < 86 && has_mmap_ && views_.size() == 1) return keep_mapped();
  if (die < 90 && kept_ != nullptr) return use_kept_mapping();
  if (die < 94) return seek_data();
  if (die < 98) return seek_hole();
  if (die < 99) return reopen();
  return read();
}

void RandomFile::compare(const char* what, uint64_t offset, const uint8_t* got, uint64_t size) {
  const auto expected = model_.read(offset, size);
  if (size == 0 || memcmp(expected.data(), got, size) == 0) return;
  uint64_t first = 0, wrong = 0;
  for (uint64_t i = size; i-- > 0;) {
    if (expected[i] != got[i]) first = i, ++wrong;
  }
  log_.fail(std::string(what) + ": " + std::to_string(wrong) + " bytes differ, the first at " +
            std::to_string(offset + first) + ": expected " + std::to_string(expected[first]) + ", got " +
            std::to_string(got[first]));
}

void RandomFile::read() {
  const Range range = any_range();
  log_.begin(text("read", range.offset, range.length));
  const View& view = any_view();
  const ssize_t got = pread(view.plain, buffer_, range.length, static_cast<off_t>(range.offset));
  const uint64_t expected = model_.read(range.offset, range.length).size();
  if (got < 0) log_.fail("pread: " + error_text());
  if (static_cast<uint64_t>(got) != expected) {
    log_.fail("pread returns " + std::to_string(got) + " bytes, not " + std::to_string(expected));
  }
  compare("pread", range.offset, buffer_, expected);
}

void RandomFile::write() {
  const Range range = any_range();
  log_.begin(text("write", range.offset, range.length));
  random_.fill(buffer_, range.length);
  const ssize_t done = pwrite(any_view().plain, buffer_, range.length, static_cast<off_t>(range.offset));
  if (done != static_cast<ssize_t>(range.length))
    log_.fail("pwrite: " + std::to_string(done) + ", " + error_text());
  model_.write(range.offset, {buffer_, range.length});
}

void RandomFile::append() {
  const uint64_t room = options_.max_size - model_.size();
  const uint64_t length = std::min(random_.between(1, 5000), room);
  log_.begin(text("append", model_.size(), length));
  if (length == 0) return;
  random_.fill(buffer_, length);
  const ssize_t done = ::write(any_view().append, buffer_, length);
  if (done != static_cast<ssize_t>(length)) log_.fail("write: " + std::to_string(done) + ", " + error_text());
  model_.write(model_.size(), {buffer_, length});
}

// What was dirtied through a mapping and not synced need not be seen by O_DIRECT.
void RandomFile::sync_mapping() {
  if (kept_ != nullptr && msync(kept_, kept_length_, MS_SYNC) != 0) log_.fail("msync: " + error_text());
}

void RandomFile::direct_read() {
  const Range range = any_aligned_range();
  log_.begin(text("O_DIRECT read", range.offset, range.length));
  sync_mapping();
  const ssize_t got = pread(any_view().direct, buffer_, range.length, static_cast<off_t>(range.offset));
  const uint64_t expected = model_.read(range.offset, range.length).size();
  if (got < 0 || static_cast<uint64_t>(got) != expected) {
    log_.fail("pread returns " + std::to_string(got) + ", not " + std::to_string(expected) + ": " +
              error_text());
  }
  compare("O_DIRECT pread", range.offset, buffer_, expected);
}

void RandomFile::direct_write() {
  const Range range = any_aligned_range();
  log_.begin(text("O_DIRECT write", range.offset, range.length));
  sync_mapping();
  random_.fill(buffer_, range.length);
  const ssize_t done = pwrite(any_view().direct, buffer_, range.length, static_cast<off_t>(range.offset));
  if (done != static_cast<ssize_t>(range.length))
    log_.fail("pwrite: " + std::to_string(done) + ", " + error_text());
  model_.write(range.offset, {buffer_, range.length});
}

void RandomFile::truncate() {
  uint64_t size = random_.below(options_.max_size + 1);
  if (random_.one_in(8)) size = 0;
  if (random_.one_in(3) && model_.size() > 0)
    size = model_.size() - random_.below(std::min<uint64_t>(model_.size(), 5000));
  const bool by_path = random_.one_in(2);
  log_.begin(std::string(by_path ? "truncate " : "ftruncate ") + std::to_string(model_.size()) + " -> " +
             std::to_string(size));
  const View& view = any_view();
  const auto length = static_cast<off_t>(size);
  if ((by_path ? ::truncate(view.path.c_str(), length) : ftruncate(view.plain, length)) != 0) {
    log_.fail("truncate: " + error_text());
  }
  model_.resize(size);
}

void RandomFile::punch_hole() {
  const Range range = any_range();
  log_.begin(text("punch hole", range.offset, range.length));
  if (fallocate(any_view().plain, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(range.offset), static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  model_.zero(range.offset, range.length);
}

void RandomFile::zero_range() {
  const Range range = any_range();
  const bool keep_size = random_.one_in(2);
  log_.begin(text(keep_size ? "zero range, keep size" : "zero range", range.offset, range.length));
  if (fallocate(any_view().plain, FALLOC_FL_ZERO_RANGE | (keep_size ? FALLOC_FL_KEEP_SIZE : 0),
                static_cast<off_t>(range.offset), static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  if (!keep_size && range.offset + range.length > model_.size()) model_.resize(range.offset + range.length);
  model_.zero(range.offset, range.length);
}

void RandomFile::allocate() {
  const Range range = any_range();
  const bool keep_size = random_.one_in(2);
  log_.begin(text(keep_size ? "allocate, keep size" : "allocate", range.offset, range.length));
  if (fallocate(any_view().plain, keep_size ? FALLOC_FL_KEEP_SIZE : 0, static_cast<off_t>(range.offset),
                static_cast<off_t>(range.length)) != 0) {
    log_.fail("fallocate: " + error_text());
  }
  if (!keep_size && range.offset + range.length > model_.size()) model_.resize(range.offset + range.length);
}

uint8_t* RandomFile::map(const View& view, Range range, int protection, uint64_t& map_length,
                         uint8_t** base) {
  // Another machine's changes show in a mapping once the file was read or looked at (FUSE compares mtime
  // then).
  uint8_t byte = 0;
  if (views_.size() > 1 && pread(view.plain, &byte, 1, 0) < 0) log_.fail("pread: " + error_text());
  const uint64_t start = range.offset & ~(kAlignment - 1);
  map_length = range.offset + range.length - start;
  void* memory = mmap(nullptr, map_length, protection, MAP_SHARED, view.plain, static_cast<off_t>(start));
  if (memory == MAP_FAILED) log_.fail("mmap: " + error_text());
  *base = static_cast<uint8_t*>(memory);
  return *base + (range.offset - start);
}

void RandomFile::map_read() {
  const Range range = any_range_inside();
  log_.begin(text("mmap read", range.offset, range.length));
  uint64_t length = 0;
  uint8_t* base = nullptr;
  const uint8_t* bytes = map(any_view(), range, PROT_READ, length, &base);
  compare("mmap", range.offset, bytes, range.length);
  munmap(base, length);
}

void RandomFile::map_write() {
  const Range range = any_range_inside();
  // munmap alone makes no promise to other machines.
  const bool sync = views_.size() > 1 || random_.one_in(2);
  log_.begin(text(sync ? "mmap write, msync" : "mmap write", range.offset, range.length));
  random_.fill(buffer_, range.length);
  uint64_t length = 0;
  uint8_t* base = nullptr;
  memcpy(map(any_view(), range, PROT_READ | PROT_WRITE, length, &base), buffer_, range.length);
  if (sync && msync(base, length, MS_SYNC) != 0) log_.fail("msync: " + error_text());
  if (munmap(base, length) != 0) log_.fail("munmap: " + error_text());
  model_.write(range.offset, {buffer_, range.length});
}

void RandomFile::keep_mapped() {
  log_.begin(kept_ != nullptr ? "drop the kept mapping" : "map the whole file and keep that");
  if (kept_ != nullptr) return drop_kept_mapping();
  void* memory = mmap(nullptr, options_.max_size, PROT_READ | PROT_WRITE, MAP_SHARED, any_view().plain, 0);
  if (memory == MAP_FAILED) log_.fail("mmap: " + error_text());
  kept_ = static_cast<uint8_t*>(memory);
  kept_length_ = options_.max_size;
}

void RandomFile::use_kept_mapping() {
  if (model_.size() == 0) return log_.begin("nothing: the file is empty");
  const Range range = any_range_inside();
  const bool writes = random_.one_in(2);
  log_.begin(text(writes ? "write through the kept mapping" : "read through the kept mapping", range.offset,
                  range.length));
  if (!writes) return compare("kept mapping", range.offset, kept_ + range.offset, range.length);
  random_.fill(buffer_, range.length);
  memcpy(kept_ + range.offset, buffer_, range.length);
  model_.write(range.offset, {buffer_, range.length});
}

void RandomFile::drop_kept_mapping() {
  if (kept_ != nullptr) munmap(kept_, kept_length_);
  kept_ = nullptr;
}

// lseek(2): data may be reported where only zeros are, never a hole where a byte is not zero.
void RandomFile::seek_data() {
  const uint64_t from = random_.below(options_.max_size);
  log_.begin("SEEK_DATA from " + std::to_string(from));
  sync_mapping();
  const off_t found = lseek(any_view().plain, static_cast<off_t>(from), SEEK_DATA);
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

void RandomFile::seek_hole() {
  const uint64_t from = random_.below(options_.max_size);
  log_.begin("SEEK_HOLE from " + std::to_string(from));
  sync_mapping();
  const off_t found = lseek(any_view().plain, static_cast<off_t>(from), SEEK_HOLE);
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

void RandomFile::reopen() {
  log_.begin("close and open again");
  drop_kept_mapping();
  View& view = any_view();
  close_all(view);
  open_all(view);
}

void RandomFile::check_size() {
  const View& view = any_view();
  struct stat stat {};
  if ((random_.one_in(2) ? fstat(view.plain, &stat) : ::stat(view.path.c_str(), &stat)) != 0) {
    log_.fail("stat: " + error_text());
  }
  if (static_cast<uint64_t>(stat.st_size) != model_.size()) {
    log_.fail("the size is " + std::to_string(stat.st_size) + ", not " + std::to_string(model_.size()));
  }
  const std::array<int64_t, 2> mtime{stat.st_mtim.tv_sec, stat.st_mtim.tv_nsec};
  if (mtime < last_mtime_) log_.fail("mtime went back");
  last_mtime_ = mtime;
}

void RandomFile::check_all() {
  log_.begin("read all");
  for (const View& view : views_) {
    const ssize_t got = pread(view.plain, buffer_, options_.max_size + kAlignment, 0);
    if (got < 0 || static_cast<uint64_t>(got) != model_.size()) {
      log_.fail("pread returns " + std::to_string(got) + ", not " + std::to_string(model_.size()));
    }
    compare("all", 0, buffer_, model_.size());
  }
}

}  // namespace shima
