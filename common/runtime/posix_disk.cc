// Disk over the kernel's file system: pwritev, pread, fdatasync, fallocate.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>

#include "common/runtime/disk.h"

namespace shima {
namespace {

Status failure(const std::string& path, const char* call, int error) {
  std::string text = path + ": " + call + ": " + std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) return {Code::kNoSpace, text + "; free space on this disk"};
  if (error == ENOENT) return {Code::kNotFound, text};
  if (error == EEXIST) return {Code::kAlreadyExists, text};
  return {Code::kIo, text};
}

constexpr size_t kMaxPieces = 1024;  // IOV_MAX of Linux
constexpr size_t kZeroBytes = 1u << 20;
alignas(4096) const uint8_t kZeros[kZeroBytes] = {};

class PosixFile : public FileHandle {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  Status write_at(uint64_t offset, std::span<const std::span<const uint8_t>> pieces) override {
    iovec vectors[kMaxPieces];
    while (!pieces.empty()) {
      size_t count = 0;
      size_t taken = 0;
      for (; taken < pieces.size() && count < kMaxPieces; ++taken) {
        if (pieces[taken].empty()) continue;
        vectors[count++] = {const_cast<uint8_t*>(pieces[taken].data()), pieces[taken].size()};
      }
      pieces = pieces.subspan(taken);
      SHIMA_RETURN_IF_ERROR(write_vectors(offset, vectors, count));
    }
    return Status::ok();
  }

  Status read_at(uint64_t offset, std::span<uint8_t> out) const override {
    while (!out.empty()) {
      ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failure(path_, "pread", errno);
      if (got == 0) {
        return {Code::kIo, path_ + ": pread: short read: wanted " + std::to_string(out.size()) +
                               " bytes at " + std::to_string(offset) + ", the file ends there"};
      }
      offset += static_cast<uint64_t>(got);
      out = out.subspan(static_cast<size_t>(got));
    }
    return Status::ok();
  }

  Status sync() override { return ::fdatasync(fd_) == 0 ? Status::ok() : failure(path_, "fdatasync", errno); }

  // The contract wants zeros, so plain fallocate is not enough where the range holds data. What a file system
  // does not offer is done by the next, slower way.
  Status allocate(uint64_t offset, uint64_t length) override {
    if (length == 0) return Status::ok();
    if (fallocate_retrying(FALLOC_FL_ZERO_RANGE, offset, length) == 0) return Status::ok();
    if (!not_offered(errno)) return failure(path_, "fallocate", errno);
    if (fallocate_retrying(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0 &&
        fallocate_retrying(0, offset, length) == 0) {
      return Status::ok();
    }
    if (!not_offered(errno)) return failure(path_, "fallocate", errno);
    return write_zeros(offset, length);
  }

  Status punch(uint64_t offset, uint64_t length) override {
    if (length == 0) return Status::ok();
    if (fallocate_retrying(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length) == 0)
      return Status::ok();
    if (!not_offered(errno)) return failure(path_, "fallocate(PUNCH_HOLE)", errno);
    auto bytes = size();
    if (!bytes) return bytes.status();
    if (offset >= *bytes) return Status::ok();
    return write_zeros(offset, std::min(length, *bytes - offset));
  }

  Result<uint64_t> size() const override {
    struct stat st;
    if (::fstat(fd_, &st) != 0) return failure(path_, "fstat", errno);
    return static_cast<uint64_t>(st.st_size);
  }

  Status truncate(uint64_t size) override {
    return ::ftruncate(fd_, static_cast<off_t>(size)) == 0 ? Status::ok()
                                                           : failure(path_, "ftruncate", errno);
  }

 private:
  static bool not_offered(int error) { return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL; }

  int fallocate_retrying(int mode, uint64_t offset, uint64_t length) {
    int result;
    do {
      result = ::fallocate(fd_, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
    } while (result != 0 && errno == EINTR);
    return result;
  }

  Status write_vectors(uint64_t& offset, iovec* vectors, size_t count) {
    while (count > 0) {
      ssize_t put = ::pwritev(fd_, vectors, static_cast<int>(count), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return failure(path_, "pwritev", errno);
      if (put == 0) return failure(path_, "pwritev", EIO);
      offset += static_cast<uint64_t>(put);
      auto rest = static_cast<size_t>(put);
      while (count > 0 && rest >= vectors->iov_len) {
        rest -= vectors->iov_len;
        ++vectors;
        --count;
      }
      if (count > 0) {
        vectors->iov_base = static_cast<uint8_t*>(vectors->iov_base) + rest;
        vectors->iov_len -= rest;
      }
    }
    return Status::ok();
  }

  Status write_zeros(uint64_t offset, uint64_t length) {
    while (length > 0) {
      std::span<const uint8_t> piece(kZeros, std::min<uint64_t>(length, kZeroBytes));
      SHIMA_RETURN_IF_ERROR(write_at(offset, std::span(&piece, 1)));
      offset += piece.size();
      length -= piece.size();
    }
    return Status::ok();
  }

  int fd_;
  std::string path_;
};

class PosixDisk : public Disk {
 public:
  Result<std::unique_ptr<FileHandle>> open(const std::string& path, Mode mode) override {
    int flags = O_CLOEXEC;
    switch (mode) {
      case Mode::kRead:
        flags |= O_RDONLY;
        break;
      case Mode::kReadWrite:
        flags |= O_RDWR;
        break;
      case Mode::kCreate:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
      case Mode::kOpenOrCreate:
        flags |= O_RDWR | O_CREAT;
        break;
    }
    int fd;
    do {
      fd = ::open(path.c_str(), flags, 0640);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return failure(path, "open", errno);
    return std::unique_ptr<FileHandle>(std::make_unique<PosixFile>(fd, path));
  }

  Status make_directories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? failure(path, "mkdir", error.value()) : Status::ok();
  }

  Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? Status::ok() : failure(path, "unlink", errno);
  }

  Status rename(const std::string& from, const std::string& to) override {
    return ::rename(from.c_str(), to.c_str()) == 0 ? Status::ok()
                                                   : failure(from + " to " + to, "rename", errno);
  }

  Result<std::vector<std::string>> list(const std::string& directory) override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator it(directory, error);
    for (; !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
      names.push_back(it->path().filename().string());
    }
    if (error) return failure(directory, "readdir", error.value());
    std::sort(names.begin(), names.end());
    return names;
  }

  Status sync_directory(const std::string& directory) override {
    int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failure(directory, "open", errno);
    int result = ::fsync(fd);
    int error = errno;
    ::close(fd);
    return result == 0 ? Status::ok() : failure(directory, "fsync", error);
  }

  Result<DiskSpace> space(const std::string& path) override {
    struct statvfs st;
    if (::statvfs(path.c_str(), &st) != 0) return failure(path, "statvfs", errno);
    return DiskSpace{static_cast<uint64_t>(st.f_blocks) * st.f_frsize,
                     static_cast<uint64_t>(st.f_bavail) * st.f_frsize};
  }
};

}  // namespace

std::unique_ptr<Disk> make_posix_disk() { return std::make_unique<PosixDisk>(); }

}  // namespace shima
