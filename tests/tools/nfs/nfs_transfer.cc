#include "tests/tools/nfs/nfs_transfer.h"

#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "common/observe/histogram.h"
#include "tests/tools/asked_to_end.h"

namespace shima {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;

constexpr uint64_t kZeroPiece = 64u << 10;
constexpr size_t kNumberedBytes = 4096;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
uint64_t us_since(Clock::time_point begin) { return static_cast<uint64_t>(seconds_since(begin) * 1e6); }
void print(const ordered_json& line) { std::printf("%s\n", line.dump().c_str()); }

class LocalFile {
 public:
  LocalFile(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0644)) {}
  ~LocalFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  const int fd_;
};

bool all_zero(std::span<const uint8_t> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// One line a second, for people.
class ProgressLines {
 public:
  ProgressLines(bool on, const char* what, uint64_t total) : on_(on), what_(what), total_(total) {}
  void update(uint64_t done) {
    if (!on_ || seconds_since(shown_) < 1) return;
    shown_ = Clock::now();
    std::fprintf(stderr, "%s %.0f of %.0f MiB, %.1f MB/s\n", what_, static_cast<double>(done) / (1 << 20),
                 static_cast<double>(total_) / (1 << 20),
                 static_cast<double>(done) / 1e6 / seconds_since(begin_));
  }
  double seconds() const { return seconds_since(begin_); }

 private:
  const bool on_;
  const char* const what_;
  const uint64_t total_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point shown_ = begin_;
};

Status local_error(const std::string& path) {
  return {Code::kInvalidArgument, path + ": " + std::strerror(errno)};
}

// What of a local file is not zero, in order.
class LocalPieces {
 public:
  LocalPieces(int fd, uint64_t size, uint64_t piece_bytes)
      : fd_(fd), size_(size), piece_bytes_(piece_bytes) {}

  // The next run of 64 KiB that are not zero, within one piece; false at the end.
  bool next(uint64_t& offset, std::shared_ptr<std::vector<uint8_t>>& bytes) {
    while (at_ < size_) {
      const uint64_t length = std::min(piece_bytes_ - at_ % piece_bytes_, size_ - at_);
      auto piece = std::make_shared<std::vector<uint8_t>>(length);
      if (::pread(fd_, piece->data(), length, static_cast<off_t>(at_)) != static_cast<ssize_t>(length)) {
        failed_ = true;
        return false;
      }
      const auto zero_at = [&](size_t from) {
        return all_zero(std::span(*piece).subspan(from, std::min<size_t>(kZeroPiece, length - from)));
      };
      size_t begin = 0;
      while (begin < length && zero_at(begin)) begin = std::min<size_t>(begin + kZeroPiece, length);
      size_t end = begin;
      while (end < length && !zero_at(end)) end = std::min<size_t>(end + kZeroPiece, length);
      offset = at_ + begin;
      at_ += end;
      if (begin == end) continue;
      piece->resize(end);
      piece->erase(piece->begin(), piece->begin() + static_cast<ptrdiff_t>(begin));
      bytes = std::move(piece);
      return true;
    }
    return false;
  }
  bool failed() const { return failed_; }

 private:
  const int fd_;
  const uint64_t size_, piece_bytes_;
  uint64_t at_ = 0;
  bool failed_ = false;
};

Result<nfs_stat_64> stat_path(NfsSession& session, const std::string& path) {
  nfs_stat_64 found{};
  SHIMA_RETURN_IF_ERROR(session.call(
      "stat of " + path, [&](nfs_context* nfs) { return nfs_stat64(nfs, path.c_str(), &found); }));
  return found;
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr);
  }
  void add(std::span<const uint8_t> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string text() {
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_DigestFinal_ex(context_.get(), sum, &length);
    std::string hex;
    for (unsigned i = 0; i < length; ++i) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", sum[i]);
      hex += two;
    }
    return hex;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

void add_latencies(ordered_json& line, const Histogram& us) {
  line["p50_us"] = us.quantile(0.5);
  line["p99_us"] = us.quantile(0.99);
  line["max_us"] = us.max();
}

}  // namespace

Status put_file(NfsSession& session, const std::string& local, const std::string& path,
                const TransferOptions& options) {
  LocalFile file(local, O_RDONLY);
  struct stat status {};
  if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0) return local_error(local);
  const uint64_t size = static_cast<uint64_t>(status.st_size);
  SHIMA_RETURN_IF_ERROR(session.open(path, O_RDWR | O_CREAT | O_TRUNC, 0644));
  ProgressLines progress(options.progress, "put", size);
  LocalPieces pieces(file.fd(), size, options.piece_bytes);
  Histogram us;
  uint64_t written = 0;
  SHIMA_RETURN_IF_ERROR(session.pipeline(true, options.depth, [&](NfsSession::Piece& piece) {
    std::shared_ptr<std::vector<uint8_t>> bytes;
    if (!pieces.next(piece.offset, bytes)) return false;
    piece.bytes = *bytes;
    piece.done = [&, bytes, begin = Clock::now()] {
      us.record(us_since(begin));
      written += bytes->size();
      progress.update(written);
    };
    return true;
  }));
  if (pieces.failed()) return {Code::kIo, local + " could not be read to its end; did it change?"};
  SHIMA_RETURN_IF_ERROR(session.truncate(size));  // holes at the end
  const double seconds = progress.seconds();
  SHIMA_RETURN_IF_ERROR(session.close());
  Result<nfs_stat_64> found = stat_path(session, path);
  if (!found) return found.status();
  ordered_json line = {{"path", path},
                       {"inode", found->nfs_ino},
                       {"bytes", found->nfs_size},
                       {"written_bytes", written},
                       {"seconds", seconds},
                       {"mb_per_second", static_cast<double>(written) / 1e6 / seconds},
                       {"writes", us.count()}};
  add_latencies(line, us);
  print(line);
  return Status::ok();
}

Status get_file(NfsSession& session, const std::string& path, const std::string& local,
                const TransferOptions& options) {
  Result<nfs_stat_64> found = stat_path(session, path);
  if (!found) return found.status();
  std::unique_ptr<LocalFile> file;
  if (!local.empty()) file = std::make_unique<LocalFile>(local, O_RDWR | O_CREAT | O_TRUNC);
  if (file && file->fd() < 0) return local_error(local);
  SHIMA_RETURN_IF_ERROR(session.open(path, O_RDONLY, 0));
  const uint64_t size = found->nfs_size;
  ProgressLines progress(options.progress, "get", size);
  Sha256 sum;
  uint64_t asked = 0, summed = 0;
  bool local_failed = false;
  std::map<uint64_t, std::shared_ptr<std::vector<uint8_t>>> arrived;  // out of order
  const auto take = [&](uint64_t offset, std::shared_ptr<std::vector<uint8_t>> bytes) {
    arrived[offset] = std::move(bytes);
    for (auto first = arrived.begin(); first != arrived.end() && first->first == summed;
         first = arrived.erase(first)) {
      const std::vector<uint8_t>& piece = *first->second;
      sum.add(piece);
      if (file && ::write(file->fd(), piece.data(), piece.size()) != static_cast<ssize_t>(piece.size()))
        local_failed = true;
      summed += piece.size();
    }
    progress.update(summed);
  };
  SHIMA_RETURN_IF_ERROR(session.pipeline(false, options.depth, [&](NfsSession::Piece& piece) {
    if (asked >= size) return false;
    auto bytes = std::make_shared<std::vector<uint8_t>>(std::min(options.piece_bytes, size - asked));
    piece.offset = std::exchange(asked, asked + bytes->size());
    piece.bytes = *bytes;
    piece.done = [&take, bytes, offset = piece.offset] { take(offset, bytes); };
    return true;
  }));
  SHIMA_RETURN_IF_ERROR(session.close());
  if (local_failed) return {Code::kIo, "writing " + local + " failed"};
  print({{"path", path},
         {"inode", found->nfs_ino},
         {"bytes", summed},
         {"sha256", sum.text()},
         {"seconds", progress.seconds()},
         {"mb_per_second", static_cast<double>(summed) / 1e6 / progress.seconds()}});
  return Status::ok();
}

Status measure_writes(NfsSession& session, const std::string& path, const WriteLoop& loop) {
  SHIMA_RETURN_IF_ERROR(session.open(path, O_RDWR | O_CREAT, 0644));
  const std::vector<uint8_t> bytes(loop.bytes, 0x5a);
  const uint64_t span = std::max<uint64_t>(1, (1u << 20) / loop.bytes);
  if (!loop.append) SHIMA_RETURN_IF_ERROR(session.truncate(span * loop.bytes));
  Histogram us;
  const Clock::time_point begin = Clock::now();
  for (uint64_t i = 0; i < loop.count; ++i) {
    const Clock::time_point started = Clock::now();
    SHIMA_RETURN_IF_ERROR(session.write((loop.append ? i : i % span) * loop.bytes, bytes));
    us.record(us_since(started));
  }
  const double seconds = seconds_since(begin);
  SHIMA_RETURN_IF_ERROR(session.close());
  ordered_json line = {{"path", path}, {"writes", loop.count}, {"bytes", loop.bytes}, {"seconds", seconds}};
  add_latencies(line, us);
  print(line);
  return Status::ok();
}

Status write_numbered(NfsSession& session, const std::string& path, uint64_t count, uint64_t patience_s) {
  end_when_asked();
  uint64_t changes = 0;
  const auto open = [&] { return session.open(path, O_RDWR | O_CREAT, 0644); };
  // Again at the next server, as long as there is none.
  const auto patiently = [&](const std::function<Status()>& call) {
    const Clock::time_point started = Clock::now();
    Status done = call();
    while (done.code() == Code::kUnavailable && seconds_since(started) < static_cast<double>(patience_s)) {
      ++changes;
      std::fprintf(stderr, "%s; going on at the next server\n", done.to_string().c_str());
      done = session.connect_to_next();
      if (done.is_ok()) done = open();
      if (done.is_ok()) done = call();
      if (!done.is_ok()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return done;
  };
  SHIMA_RETURN_IF_ERROR(patiently(open));
  std::vector<uint64_t> piece(kNumberedBytes / sizeof(uint64_t));
  uint64_t longest_us = 0, written_pieces = 0;
  for (uint64_t number = 0; number < count && !asked_to_end(); ++number) {
    std::fill(piece.begin(), piece.end(), number + 1);
    const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(piece.data()), kNumberedBytes);
    const Clock::time_point started = Clock::now();
    Status written = patiently([&] { return session.write(number * kNumberedBytes, bytes); });
    if (!written.is_ok()) return written.with_context("piece " + std::to_string(number));
    longest_us = std::max(longest_us, us_since(started));
    ++written_pieces;
  }
  SHIMA_RETURN_IF_ERROR(patiently([&] { return session.close(); }));
  print({{"path", path},
         {"written", written_pieces},
         {"longest_us", longest_us},
         {"changed_servers", changes},
         {"server", session.server()}});
  return Status::ok();
}

Status verify_numbered(NfsSession& session, const std::string& path, uint64_t count) {
  SHIMA_RETURN_IF_ERROR(session.open(path, O_RDONLY, 0));
  uint64_t asked = 0, verified = 0;
  std::string wrong;
  const auto check = [&](uint64_t number, const std::vector<uint8_t>& bytes) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
      uint64_t found = 0;
      std::memcpy(&found, bytes.data() + at, sizeof found);
      if (found == number + 1) continue;
      wrong = "piece " + std::to_string(number) + " of " + path + " was ACKed and has " +
              std::to_string(found) + " in it, wanted " + std::to_string(number + 1);
      return;
    }
    ++verified;
  };
  SHIMA_RETURN_IF_ERROR(session.pipeline(false, 16, [&](NfsSession::Piece& piece) {
    if (asked == count || !wrong.empty()) return false;
    auto bytes = std::make_shared<std::vector<uint8_t>>(kNumberedBytes);
    piece.offset = asked * kNumberedBytes;
    piece.bytes = *bytes;
    piece.done = [&check, bytes, number = asked++] { check(number, *bytes); };
    return true;
  }));
  if (!wrong.empty()) return {Code::kCorrupt, wrong};
  print({{"path", path}, {"verified", verified}});
  return session.close();
}

}  // namespace shima
