#include "tests/posix/nfs/nfs_random_file.h"

#include <algorithm>
#include <utility>

namespace shima {

NfsRandomFile::NfsRandomFile(RandomFileOptions options, const std::vector<std::string>& servers,
                             const std::string& volume)
    : RandomFile(std::move(options)) {
  log_.begin("mount and create");
  for (const std::string& server : servers) {
    auto mounted = Nfs3Client::mount(server, "/" + volume);
    if (!mounted) log_.fail(mounted.status().to_string());
    clients_.push_back(std::move(*mounted));
  }
  views_ = clients_.size();
  check_attributes_one_in_ = 3;  // answers carry them anyway
  const NfsAnswer made = clients_[0]->create(clients_[0]->root(), name(), GUARDED, {.mode = 0644});
  if (made.status != NFS3_OK) log_.fail("CREATE: nfsstat3 " + std::to_string(made.status));
  file_ = made.handle;
  steps_.add(9, [this] { write_several(); });
  steps_.add(3, [this] { set_size_and_more(); });
  steps_.add(1, [this] { write_nothing(); });
}

NfsRandomFile::~NfsRandomFile() { clients_[0]->remove(clients_[0]->root(), name()); }

void NfsRandomFile::check_done(const char* what, const NfsAnswer& answer, const Nfs3Client& client,
                               uint64_t before, uint64_t after) {
  if (answer.status != NFS3_OK) {
    log_.fail(std::string(what) + ": nfsstat3 " + std::to_string(answer.status) + " " + client.error());
  }
  if (answer.before && answer.before->size != before) {
    log_.fail(std::string(what) + ": the size before was " + std::to_string(before) + ", not " +
              std::to_string(answer.before->size));
  }
  if (!answer.attributes) return;  // not owed (RFC 1813 section 2.6)
  if (answer.attributes->size != after) {
    log_.fail(std::string(what) + ": the answer's size is " + std::to_string(answer.attributes->size) +
              ", not " + std::to_string(after));
  }
  const int64_t ctime_ns = nanoseconds(answer.attributes->ctime);
  if (ctime_ns < last_ctime_ns_) log_.fail(std::string(what) + ": ctime goes back");
  last_ctime_ns_ = ctime_ns;
}

fattr3 NfsRandomFile::attributes(Nfs3Client& client, uint64_t size) {
  const NfsAnswer now = client.getattr(file_);
  check_done("GETATTR", now, client, size, size);
  return *now.attributes;
}

uint64_t NfsRandomFile::read_at(size_t view, Range range) {
  Nfs3Client& client = *clients_[view];
  const auto count = static_cast<uint32_t>(std::min<uint64_t>(range.length, 1 << 20));
  const NfsAnswer got = client.read(file_, range.offset, count);
  check_done("READ", got, client, model_.size(), model_.size());
  if (got.word != got.bytes.size() || got.bytes.size() > count) {
    log_.fail("READ of " + std::to_string(count) + " says " + std::to_string(got.word) + " bytes and has " +
              std::to_string(got.bytes.size()));
  }
  // RFC 1813 section 3.3.6: eof if the read ended at the end of the file, or is empty beyond it.
  if (got.end != (range.offset + count >= model_.size())) {
    log_.fail(std::string("READ says ") + (got.end ? "eof" : "no eof"));
  }
  std::copy(got.bytes.begin(), got.bytes.end(), buffer_);
  return got.bytes.size();
}

void NfsRandomFile::write_at(size_t view, uint64_t offset, std::span<const uint8_t> bytes) {
  const stable_how stable = random_.one_in(2) ? FILE_SYNC : random_.one_in(2) ? DATA_SYNC : UNSTABLE;
  const uint64_t before = model_.size(), after = std::max<uint64_t>(before, offset + bytes.size());
  Nfs3Client& client = *clients_[view];
  const NfsAnswer done = client.write(file_, offset, bytes, stable);
  check_done("WRITE", done, client, before, after);
  if (done.word != bytes.size()) log_.fail("WRITE wrote " + std::to_string(done.word) + " bytes");
  if (stable == UNSTABLE && random_.one_in(2)) {
    const NfsAnswer committed = client.commit(file_, offset, static_cast<uint32_t>(bytes.size()));
    check_done("COMMIT", committed, client, after, after);
  }
}

// As clients do it: at the size that GETATTR says.
void NfsRandomFile::append_bytes(size_t view, std::span<const uint8_t> bytes) {
  const uint64_t before = model_.size();
  const uint64_t end = attributes(*clients_[view], before).size;
  Nfs3Client& writer = any_client();
  const NfsAnswer done = writer.write(file_, end, bytes);
  check_done("WRITE", done, writer, before, before + bytes.size());
}

void NfsRandomFile::set_size(size_t view, uint64_t size) {
  Nfs3Client& client = *clients_[view];
  check_done("SETATTR", client.setattr(file_, {.size = size}), client, model_.size(), size);
}

// Ranges that do not overlap, all under way at once, in any order.
void NfsRandomFile::write_several() {
  std::vector<Nfs3Client::Piece> pieces;
  uint64_t at = random_.below(options_.max_size / 2), used = 0;
  while (pieces.size() < 8 && at < options_.max_size && used < options_.max_io) {
    const uint64_t length = std::min(random_.between(1, 20'000), options_.max_size - at);
    pieces.push_back({at, {buffer_ + used, length}});
    used += length;
    at += length + (random_.one_in(2) ? 0 : random_.below(30'000));
    if (used + 20'000 > options_.max_size) break;
  }
  for (size_t i = pieces.size(); i > 1; --i) std::swap(pieces[i - 1], pieces[random_.below(i)]);
  random_.fill(buffer_, used);
  std::string places;
  for (const auto& piece : pieces) places += text("", {piece.offset, piece.bytes.size()});
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

void NfsRandomFile::set_size_and_more() {
  const uint64_t before = model_.size(), size = random_.below(options_.max_size + 1);
  const auto mtime_ns =
      static_cast<int64_t>(random_.below(4'000'000'000) * 1'000'000'000 + random_.below(1'000'000'000));
  log_.begin("SETATTR size, mode and mtime " + std::to_string(before) + " -> " + std::to_string(size));
  const auto mode = static_cast<uint32_t>(random_.below(01000));
  Nfs3Client& client = any_client();
  const NfsAnswer done =
      client.setattr(file_, {.mode = mode, .size = size, .atime_ns = 1, .mtime_ns = mtime_ns});
  check_done("SETATTR", done, client, before, size);
  model_.resize(size);
  const fattr3 now = attributes(any_client(), size);
  if (now.mode != mode) log_.fail("the mode is " + std::to_string(now.mode));
  if (nanoseconds(now.mtime) != mtime_ns || nanoseconds(now.atime) != 1) {
    log_.fail("mtime should be " + std::to_string(mtime_ns) + ", is " +
              std::to_string(nanoseconds(now.mtime)));
  }
}

void NfsRandomFile::write_nothing() {
  log_.begin("WRITE of nothing");
  Nfs3Client& client = any_client();
  const NfsAnswer done = client.write(file_, random_.below(options_.max_size * 2), {});
  check_done("WRITE", done, client, model_.size(), model_.size());
}

void NfsRandomFile::check_attributes(size_t view) {
  const fattr3 now = attributes(*clients_[view], model_.size());
  if (now.used > model_.size() + (1 << 20) + options_.max_size) {
    log_.fail("used: " + std::to_string(now.used) + " bytes of " + std::to_string(model_.size()));
  }
}

}  // namespace shima
