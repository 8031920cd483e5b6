#include "tests/posix/nfs/nfs_random_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace shima {

namespace {

std::string text(const char* name, uint64_t offset, uint64_t length) {
  return std::string(name) + " [" + std::to_string(offset) + ", +" + std::to_string(length) + ")";
}

}  // namespace

NfsRandomFile::NfsRandomFile(NfsRandomFileOptions options)
    : options_(std::move(options)), random_(options_.seed), log_(options_.again, options_.trace) {
  log_.begin("mount and create");
  for (const std::string& server : options_.servers) {
    auto mounted = Nfs3Client::mount(server, "/" + options_.volume);
    if (!mounted) log_.fail(mounted.status().to_string());
    clients_.push_back(std::move(*mounted));
  }
  buffer_.resize(options_.max_size);
  name_ = "random_file." + std::to_string(options_.seed) + "." + std::to_string(getpid());
  const NfsAnswer made = clients_[0]->create(clients_[0]->root(), name_, GUARDED, {.mode = 0644});
  if (made.status != NFS3_OK) log_.fail("CREATE: nfsstat3 " + std::to_string(made.status));
  file_ = made.handle;
}

NfsRandomFile::~NfsRandomFile() { clients_[0]->remove(clients_[0]->root(), name_); }

NfsRandomFile::Range NfsRandomFile::any_range() {
  Range range;
  range.offset = random_.below(options_.max_size);
  const uint64_t room = std::min(options_.max_io, options_.max_size - range.offset);
  // Small ones are the ones that hit borders.
  range.length =
      random_.one_in(3) ? random_.between(1, std::min<uint64_t>(room, 100)) : random_.between(1, room);
  if (random_.one_in(4)) range.offset &= ~uint64_t{4095};
  return range;
}

void NfsRandomFile::run() {
  for (uint64_t i = 0; i < options_.operations; ++i) {
    step();
    if (random_.one_in(3)) check_attributes();
    if (random_.one_in(2000)) check_all();
    log_.progress(options_.operations);
  }
  check_all();
}

void NfsRandomFile::step() {
  const uint64_t die = random_.below(100);
  if (die < 30) return read();
  if (die < 58) return write();
  if (die < 70) return write_several();
  if (die < 78) return append();
  if (die < 94) return truncate();
  if (die < 98) return set_size_and_more();
  return write_nothing();
}

void NfsRandomFile::check_done(const char* what, const NfsAnswer& answer, const Nfs3Client& client,
                               uint64_t before) {
  if (answer.status != NFS3_OK) {
    log_.fail(std::string(what) + ": nfsstat3 " + std::to_string(answer.status) + " " + client.error());
  }
  if (answer.before && answer.before->size != before) {
    log_.fail(std::string(what) + ": the size before was " + std::to_string(before) + ", not " +
              std::to_string(answer.before->size));
  }
  if (!answer.attributes) return;  // not owed (RFC 1813 section 2.6)
  if (answer.attributes->size != model_.size()) {
    log_.fail(std::string(what) + ": the answer's size is " + std::to_string(answer.attributes->size) +
              ", not " + std::to_string(model_.size()));
  }
  const int64_t ctime_ns = nanoseconds(answer.attributes->ctime);
  if (ctime_ns < last_ctime_ns_) log_.fail(std::string(what) + ": ctime goes back");
  last_ctime_ns_ = ctime_ns;
}

void NfsRandomFile::compare(const char* what, uint64_t offset, const std::string& got) {
  const auto expected = model_.read(offset, got.size());
  if (got.empty() || std::memcmp(expected.data(), got.data(), got.size()) == 0) return;
  uint64_t first = 0, wrong = 0;
  for (uint64_t i = got.size(); i-- > 0;) {
    if (expected[i] != static_cast<uint8_t>(got[i])) first = i, ++wrong;
  }
  log_.fail(std::string(what) + ": " + std::to_string(wrong) + " bytes differ, the first at " +
            std::to_string(offset + first) + ": expected " + std::to_string(expected[first]) + ", got " +
            std::to_string(static_cast<uint8_t>(got[first])));
}

void NfsRandomFile::read() {
  const Range range = any_range();
  log_.begin(text("READ", range.offset, range.length));
  Nfs3Client& client = any_client();
  const NfsAnswer got = client.read(file_, range.offset, static_cast<uint32_t>(range.length));
  check_done("READ", got, client, model_.size());
  const uint64_t expected = model_.read(range.offset, range.length).size();
  if (got.bytes.size() != expected || got.word != expected) {
    log_.fail("READ gives " + std::to_string(got.bytes.size()) + " bytes, not " + std::to_string(expected));
  }
  // RFC 1813 section 3.3.6: eof if the read ended at the end of the file, or is empty beyond it.
  if (got.end != (range.offset + range.length >= model_.size())) {
    log_.fail(std::string("READ says ") + (got.end ? "eof" : "no eof"));
  }
  compare("READ", range.offset, got.bytes);
}

void NfsRandomFile::write() {
  const Range range = any_range();
  const stable_how stable = random_.one_in(2) ? FILE_SYNC : random_.one_in(2) ? DATA_SYNC : UNSTABLE;
  log_.begin(text("WRITE", range.offset, range.length));
  random_.fill(buffer_.data(), range.length);
  Nfs3Client& client = any_client();
  const uint64_t before = model_.size();
  const std::span<const uint8_t> bytes(buffer_.data(), range.length);
  const NfsAnswer done = client.write(file_, range.offset, bytes, stable);
  model_.write(range.offset, bytes);
  check_done("WRITE", done, client, before);
  if (done.word != range.length) log_.fail("WRITE wrote " + std::to_string(done.word) + " bytes");
  if (stable == UNSTABLE && random_.one_in(2)) {
    check_done("COMMIT", client.commit(file_, range.offset, static_cast<uint32_t>(range.length)), client,
               model_.size());
  }
}

// Ranges that do not overlap, all under way at once, in any order.
void NfsRandomFile::write_several() {
  std::vector<Nfs3Client::Piece> pieces;
  uint64_t at = random_.below(options_.max_size / 2), used = 0;
  while (pieces.size() < 8 && at < options_.max_size && used < options_.max_io) {
    const uint64_t length = std::min(random_.between(1, 20'000), options_.max_size - at);
    pieces.push_back({at, {buffer_.data() + used, length}});
    used += length;
    at += length + (random_.one_in(2) ? 0 : random_.below(30'000));
    if (used + 20'000 > buffer_.size()) break;
  }
  for (size_t i = pieces.size(); i > 1; --i) std::swap(pieces[i - 1], pieces[random_.below(i)]);
  random_.fill(buffer_.data(), used);
  std::string places;
  for (const auto& piece : pieces) places += text("", piece.offset, piece.bytes.size());
  log_.begin("WRITEs at once:" + places);
  Nfs3Client& client = any_client();
  const std::vector<NfsAnswer> done = client.write_together(file_, pieces);
  for (size_t i = 0; i < done.size(); ++i) {
    // Refused for now: once more, alone.
    const NfsAnswer answer =
        done[i].status == NFS3ERR_JUKEBOX ? client.write(file_, pieces[i].offset, pieces[i].bytes) : done[i];
    if (answer.status != NFS3_OK || answer.word != pieces[i].bytes.size()) {
      log_.fail("WRITE " + std::to_string(i) + ": nfsstat3 " + std::to_string(answer.status) + ", " +
                std::to_string(answer.word) + " bytes " + client.error());
    }
    model_.write(pieces[i].offset, pieces[i].bytes);
  }
}

// As clients do it: at the size that GETATTR says.
void NfsRandomFile::append() {
  const uint64_t room = options_.max_size - model_.size(), before = model_.size();
  const uint64_t length = std::min(random_.between(1, 5000), room);
  log_.begin(text("append", before, length));
  if (length == 0) return;
  Nfs3Client& client = any_client();
  const NfsAnswer now = client.getattr(file_);
  check_done("GETATTR", now, client, before);
  random_.fill(buffer_.data(), length);
  Nfs3Client& writer = any_client();
  const NfsAnswer done = writer.write(file_, now.attributes->size, {buffer_.data(), length});
  model_.write(before, {buffer_.data(), length});
  check_done("WRITE", done, writer, before);
}

void NfsRandomFile::truncate() {
  uint64_t size = random_.below(options_.max_size + 1);
  if (random_.one_in(8)) size = 0;
  if (random_.one_in(3) && model_.size() > 0)
    size = model_.size() - random_.below(std::min<uint64_t>(model_.size(), 5000));
  const uint64_t before = model_.size();
  log_.begin("SETATTR size " + std::to_string(before) + " -> " + std::to_string(size));
  Nfs3Client& client = any_client();
  const NfsAnswer done = client.setattr(file_, {.size = size});
  model_.resize(size);
  check_done("SETATTR", done, client, before);
}

void NfsRandomFile::set_size_and_more() {
  const uint64_t before = model_.size(), size = random_.below(options_.max_size + 1);
  const auto mtime_ns =
      static_cast<int64_t>(random_.below(4'000'000'000) * 1'000'000'000 + random_.below(1'000'000'000));
  log_.begin("SETATTR size, mode and mtime " + std::to_string(before) + " -> " + std::to_string(size));
  const auto mode = static_cast<uint32_t>(random_.below(01000));
  Nfs3Client& client = any_client();
  const NfsAnswer done =
      client.setattr(file_, {.mode = mode, .size = size, .atime_ns = 1, .mtime_ns = mtime_ns});
  model_.resize(size);
  check_done("SETATTR", done, client, before);
  Nfs3Client& other = any_client();
  const NfsAnswer now = other.getattr(file_);
  check_done("GETATTR", now, other, size);
  if (now.attributes->mode != mode) log_.fail("the mode is " + std::to_string(now.attributes->mode));
  if (nanoseconds(now.attributes->mtime) != mtime_ns || nanoseconds(now.attributes->atime) != 1) {
    log_.fail("mtime should be " + std::to_string(mtime_ns) + ", is " +
              std::to_string(nanoseconds(now.attributes->mtime)));
  }
}

void NfsRandomFile::write_nothing() {
  log_.begin("WRITE of nothing");
  Nfs3Client& client = any_client();
  const NfsAnswer done = client.write(file_, random_.below(options_.max_size * 2), {});
  check_done("WRITE", done, client, model_.size());
}

void NfsRandomFile::check_attributes() {
  Nfs3Client& client = any_client();
  const NfsAnswer now = client.getattr(file_);
  check_done("GETATTR", now, client, model_.size());
  if (now.attributes->used > model_.size() + (1 << 20) + options_.max_size) {
    log_.fail("used: " + std::to_string(now.attributes->used) + " bytes of " + std::to_string(model_.size()));
  }
}

void NfsRandomFile::check_all() {
  log_.begin("compare the whole file");
  for (const auto& client : clients_) {
    for (uint64_t at = 0; at < model_.size();) {
      const NfsAnswer got = client->read(file_, at, 1 << 20);
      check_done("READ", got, *client, model_.size());
      if (got.bytes.empty()) log_.fail("READ gives nothing at " + std::to_string(at));
      compare("READ of all", at, got.bytes);
      at += got.bytes.size();
    }
  }
}

}  // namespace shima
