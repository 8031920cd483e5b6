#include "cli/image_export.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>

#include "common/types/crc32c.h"

namespace shima {
namespace {

// The pieces under way; shared with the callbacks, which may come after an error has ended the reading.
struct ReadQueue {
  struct Piece {
    uint64_t offset = 0, length = 0;
    bool arrived = false;
    Status status;
    Buffer bytes;
  };
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<std::shared_ptr<Piece>> pieces;
};

void start_piece(const std::shared_ptr<ReadQueue>& queue, const ReadOperation& read, uint64_t offset,
                 uint64_t length) {
  auto piece = std::make_shared<ReadQueue::Piece>();
  piece->offset = offset;
  piece->length = length;
  queue->pieces.push_back(piece);
  read(offset, length, [queue, piece](Status status, Buffer bytes) {
    std::lock_guard lock(queue->mutex);
    if (status.is_ok() && bytes.size() != piece->length) {
      status = {Code::kInternal, "a read gave another number of bytes than it was asked for"};
    }
    piece->status = std::move(status);
    piece->bytes = std::move(bytes);
    piece->arrived = true;
    queue->arrived.notify_all();
  });
}

void wait_for(ReadQueue& queue, const ReadQueue::Piece& piece, const std::function<void()>& tick) {
  std::unique_lock lock(queue.mutex);
  while (!piece.arrived) {
    queue.arrived.wait_for(lock, std::chrono::milliseconds(100));
    lock.unlock();
    tick();
    lock.lock();
  }
}

Status file_error(const std::string& what, const std::string& path) {
  const Code code = errno == ENOSPC || errno == EDQUOT ? Code::kNoSpace : Code::kIo;
  return {code, what + " " + path + " failed: " + std::strerror(errno)};
}

// PATH.partial, until it is PATH.
class PartialFile {
 public:
  explicit PartialFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {}
  ~PartialFile() {
    if (fd_ >= 0 && locked_) ::unlink(partial_.c_str());
    if (fd_ >= 0) ::close(fd_);
  }

  Status create(uint64_t size) {
    fd_ = ::open(partial_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) return file_error("making", partial_);
    // The lock must be on the file of that name: a rival may just have renamed the one that was opened here.
    struct stat opened, named;
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 || ::fstat(fd_, &opened) != 0 ||
        ::stat(partial_.c_str(), &named) != 0 || opened.st_ino != named.st_ino) {
      return {Code::kFailedPrecondition,
              "another export writes " + partial_ + " now; wait for it or use another name"};
    }
    locked_ = true;
    // What an interrupted export left behind goes.
    if (::ftruncate(fd_, 0) != 0) return file_error("truncating", partial_);
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return file_error("setting the size of", partial_);
    return Status::ok();
  }

  Status write(uint64_t offset, std::span<const uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return file_error("writing", partial_);
      offset += static_cast<uint64_t>(n);
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
    return Status::ok();
  }

  Status finish() {
    if (::fsync(fd_) != 0) return file_error("syncing", partial_);
    if (::rename(partial_.c_str(), path_.c_str()) != 0)
      return file_error("renaming " + partial_ + " to", path_);
    ::close(std::exchange(fd_, -1));
    const size_t slash = path_.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = fd >= 0 && ::fsync(fd) == 0;
    Status status = synced ? Status::ok() : file_error("syncing the directory", directory);
    if (fd >= 0) ::close(fd);
    return status;
  }

 private:
  const std::string path_, partial_;
  int fd_ = -1;
  bool locked_ = false;
};

// Writes what is not zero, in runs of whole chunks.
Status write_sparse(PartialFile& file, uint64_t offset, const Buffer& bytes, uint64_t& written) {
  size_t at = 0;
  while (at < bytes.size()) {
    const auto chunk_at = [&](size_t from) {
      return bytes.span().subspan(from, std::min<size_t>(kChunkSize, bytes.size() - from));
    };
    size_t end = at;
    while (end < bytes.size() && !all_zero(chunk_at(end))) end += chunk_at(end).size();
    if (end > at) {
      SHIMA_RETURN_IF_ERROR(file.write(offset + at, bytes.span().subspan(at, end - at)));
      written += end - at;
    }
    at = end;
    while (at < bytes.size() && all_zero(chunk_at(at))) at += chunk_at(at).size();
  }
  return Status::ok();
}

}  // namespace

Status read_in_order(const ReadOperation& read, uint64_t size, const TransferLimits& limits,
                     const std::function<Status(uint64_t offset, const Buffer&)>& consume,
                     const std::function<void()>& tick) {
  auto queue = std::make_shared<ReadQueue>();
  uint64_t asked = 0;
  for (uint64_t given = 0; given < size;) {
    while (asked < size && queue->pieces.size() < limits.in_flight) {
      const uint64_t length = std::min(limits.piece_bytes, size - asked);
      start_piece(queue, read, asked, length);
      asked += length;
    }
    const std::shared_ptr<ReadQueue::Piece> piece = queue->pieces.front();
    wait_for(*queue, *piece, tick);
    if (!piece->status.is_ok()) return piece->status;
    SHIMA_RETURN_IF_ERROR(consume(piece->offset, piece->bytes));
    queue->pieces.pop_front();
    given += piece->length;
    tick();
  }
  return Status::ok();
}

Result<ExportSummary> export_image(const ReadOperation& read, uint64_t size, const std::string& path,
                                   const TransferLimits& limits,
                                   const std::function<void(uint64_t)>& progress) {
  PartialFile file(path);
  SHIMA_RETURN_IF_ERROR(file.create(size));
  ExportSummary summary{.image_bytes = size};
  uint64_t done = 0;
  const auto consume = [&](uint64_t offset, const Buffer& bytes) {
    done = offset + bytes.size();
    return write_sparse(file, offset, bytes, summary.written_bytes);
  };
  SHIMA_RETURN_IF_ERROR(read_in_order(read, size, limits, consume, [&] { progress(done); }));
  SHIMA_RETURN_IF_ERROR(file.finish());
  return summary;
}

Result<std::string> checksum_image(const ReadOperation& read, uint64_t size, const TransferLimits& limits,
                                   const std::function<void(uint64_t)>& progress) {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const Status broken(Code::kInternal, "OpenSSL does not compute sha256 here");
  if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) return broken;
  uint64_t done = 0;
  const auto consume = [&](uint64_t offset, const Buffer& bytes) {
    done = offset + bytes.size();
    return EVP_DigestUpdate(digest.get(), bytes.data(), bytes.size()) == 1 ? Status::ok() : broken;
  };
  SHIMA_RETURN_IF_ERROR(read_in_order(read, size, limits, consume, [&] { progress(done); }));
  uint8_t sum[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (EVP_DigestFinal_ex(digest.get(), sum, &length) != 1) return broken;
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += "0123456789abcdef"[sum[i] >> 4];
    text += "0123456789abcdef"[sum[i] & 15];
  }
  return text;
}

}  // namespace shima
