#include "tests/posix/random_file.h"

#include <string.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace shima {

RandomFile::RandomFile(RandomFileOptions options)
    : options_(std::move(options)),
      random_(options_.run.seed),
      log_(options_.run.again, options_.run.trace),
      buffer_(static_cast<uint8_t*>(
          aligned_alloc(kAlignment, options_.max_size / kAlignment * kAlignment + (2 * kAlignment)))) {
  if (buffer_ == nullptr)
    log_.fail("no memory for a file of " + std::to_string(options_.max_size) + " bytes");
  steps_.add(26, [this] { read(); });
  steps_.add(26, [this] { write(); });
  steps_.add(6, [this] { append(); });
  steps_.add(12, [this] { change_size(); });
}

RandomFile::~RandomFile() { free(buffer_); }

void RandomFile::run() {
  for (uint64_t i = 0; i < options_.run.operations; ++i) {
    steps_.take_one(random_);
    if (random_.one_in(check_attributes_one_in_)) check_attributes(any_view());
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.run.operations);
  }
  check_all();
}

std::string RandomFile::name() const {
  return "random_file." + std::to_string(options_.run.seed) + "." + std::to_string(getpid());
}

std::string RandomFile::text(const std::string& what, Range range) {
  return what + " [" + std::to_string(range.offset) + ", +" + std::to_string(range.length) + ")";
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

uint64_t RandomFile::any_new_size() {
  if (random_.one_in(3) && model_.size() > 0) {
    return model_.size() - random_.below(std::min<uint64_t>(model_.size(), 5000));
  }
  return random_.one_in(8) ? 0 : random_.below(options_.max_size + 1);
}

void RandomFile::compare(const char* what, uint64_t offset, const void* got, uint64_t size) {
  const auto expected = model_.read(offset, size);
  const auto* bytes = static_cast<const uint8_t*>(got);
  if (expected.size() != size) {
    log_.fail(std::string(what) + " gives " + std::to_string(size) + " bytes, not " +
              std::to_string(expected.size()));
  }
  if (size == 0 || memcmp(expected.data(), bytes, size) == 0) return;
  uint64_t first = 0, wrong = 0;
  for (uint64_t i = size; i-- > 0;) {
    if (expected[i] != bytes[i]) first = i, ++wrong;
  }
  log_.fail(std::string(what) + ": " + std::to_string(wrong) + " bytes differ, the first at " +
            std::to_string(offset + first) + ": expected " + std::to_string(expected[first]) + ", got " +
            std::to_string(bytes[first]));
}

void RandomFile::read() {
  const Range range = any_range();
  log_.begin(text("read", range));
  const uint64_t got = read_at(any_view(), range), expected = model_.read(range.offset, range.length).size();
  if (got != expected) {
    log_.fail("the read gives " + std::to_string(got) + " bytes, not " + std::to_string(expected));
  }
  compare("read", range.offset, buffer_, got);
}

void RandomFile::write() {
  const Range range = any_range();
  log_.begin(text("write", range));
  random_.fill(buffer_, range.length);
  write_at(any_view(), range.offset, {buffer_, range.length});
  model_.write(range.offset, {buffer_, range.length});
}

void RandomFile::append() {
  const uint64_t before = model_.size(), room = options_.max_size - before;
  const uint64_t length = std::min(random_.between(1, 5000), room);
  log_.begin(text("append", {before, length}));
  if (length == 0) return;
  random_.fill(buffer_, length);
  append_bytes(any_view(), {buffer_, length});
  model_.write(before, {buffer_, length});
}

void RandomFile::change_size() {
  const uint64_t size = any_new_size();
  log_.begin("size " + std::to_string(model_.size()) + " -> " + std::to_string(size));
  set_size(any_view(), size);
  model_.resize(size);
}

void RandomFile::check_all() {
  log_.begin("compare the whole file");
  for (size_t view = 0; view < views_; ++view) {
    uint64_t at = 0;
    do {  // also beyond the end: what is there must not be more
      const uint64_t got = read_at(view, {at, options_.max_size + kAlignment});
      if (got == 0 && at < model_.size()) log_.fail("the read gives nothing at " + std::to_string(at));
      compare("read of all", at, buffer_, got);
      at += got;
    } while (at < model_.size());
  }
}

}  // namespace shima
