#include "cli/image_import.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "cli/in_flight.h"

namespace shima {
namespace {

constexpr uint64_t kPunchBytes =
    64u << 20;  // of one punch: the volume client keeps each block's piece in memory

Status file_error(const std::string& what, const std::string& path) {
  return {Code::kIo, what + " " + path + " failed: " + std::strerror(errno)};
}

// Sends one image's pieces; its life is one import.
class Import {
 public:
  Import(const ImageFile& image, const VolumeWrites& volume, const ImportPlan& plan,
         const std::function<void(uint64_t)>& progress)
      : image_(image),
        volume_(volume),
        plan_(plan),
        in_flight_(plan.limits.in_flight, [this, &progress] { progress(done_->load()); }) {}

  Result<ImportSummary> run() {
    Status status = send_everything();
    Status writes = in_flight_.wait_all();
    SHIMA_RETURN_IF_ERROR(status.is_ok() || !writes.is_ok() ? writes : status);
    return summary_;
  }

 private:
  Status send_everything() {
    summary_.image_bytes = image_.size();
    uint64_t at = 0;
    while (at < image_.size()) {
      const ImageFile::Range data = image_.next_data(at);
      send_hole(at, data.begin);
      SHIMA_RETURN_IF_ERROR(send_data(data.begin, data.end));
      at = std::max(data.end, data.begin);
    }
    send_hole(image_.size(), plan_.volume_bytes);
    return Status::ok();
  }

  Status send_data(uint64_t begin, uint64_t end) {
    while (begin < end) {
      const uint64_t border = (begin / plan_.limits.piece_bytes + 1) * plan_.limits.piece_bytes;
      const uint64_t length = std::min(border, end) - begin;
      auto piece = image_.read(begin, length);
      if (!piece) return piece.status();
      send_piece(begin, *piece);
      begin += length;
    }
    return Status::ok();
  }

  // Cuts a piece into runs of data and runs of zeros.
  void send_piece(uint64_t offset, const Buffer& piece) {
    size_t run_begin = 0;
    bool run_is_zero = false;
    for (size_t at = 0; at < piece.size();) {
      const size_t part = std::min<size_t>(piece.size() - at, kZeroPiece - (offset + at) % kZeroPiece);
      const bool zero = all_zero(piece.span().subspan(at, part));
      if (at > 0 && zero != run_is_zero) {
        send_run(offset, piece, run_begin, at, run_is_zero);
        run_begin = at;
      }
      run_is_zero = zero;
      at += part;
    }
    send_run(offset, piece, run_begin, piece.size(), run_is_zero);
  }

  void send_run(uint64_t offset, const Buffer& piece, size_t begin, size_t end, bool zero) {
    if (zero) return send_hole(offset + begin, offset + end);
    if (!in_flight_.enter()) return;
    summary_.written_bytes += end - begin;
    volume_.write(offset + begin, piece.slice(begin, end - begin), in_flight_.done(adder(end - begin)));
  }

  void send_hole(uint64_t begin, uint64_t end) {
    if (!plan_.punch_holes) {
      *done_ += end - begin;
      return;
    }
    while (begin < end) {
      const uint64_t length = std::min(end, (begin / kPunchBytes + 1) * kPunchBytes) - begin;
      if (!in_flight_.enter()) return;
      summary_.punched_bytes += length;
      volume_.punch(begin, length, in_flight_.done(adder(length)));
      begin += length;
    }
  }

  std::function<void()> adder(uint64_t bytes) {
    return [done = done_, bytes] { *done += bytes; };
  }

  const ImageFile& image_;
  const VolumeWrites& volume_;
  const ImportPlan plan_;
  ImportSummary summary_;
  std::shared_ptr<std::atomic<uint64_t>> done_ = std::make_shared<std::atomic<uint64_t>>(0);
  InFlight in_flight_;
};

}  // namespace

bool all_zero(std::span<const uint8_t> bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Result<ImageFile> ImageFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error("opening the image", path);
  ImageFile file(fd, 0, path);
  struct stat what;
  if (::fstat(fd, &what) != 0) return file_error("looking at the image", path);
  if (!S_ISREG(what.st_mode) && !S_ISBLK(what.st_mode)) {
    return {Code::kInvalidArgument,
            "wanted a raw image, a file or a block device, but " + path + " is neither"};
  }
  const off_t end = ::lseek(fd, 0, SEEK_END);
  if (end < 0) return file_error("finding the end of the image", path);
  file.size_ = static_cast<uint64_t>(end);
  return file;
}

ImageFile::ImageFile(ImageFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), path_(std::move(other.path_)) {}

ImageFile::~ImageFile() {
  if (fd_ >= 0) ::close(fd_);
}

ImageFile::Range ImageFile::next_data(uint64_t offset) const {
  const off_t data = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
  // ENXIO: only a hole is left. Another error: the file system does not know its holes, so all is data.
  if (data < 0) return errno == ENXIO ? Range{size_, size_} : Range{offset, size_};
  const off_t hole = ::lseek(fd_, data, SEEK_HOLE);
  const uint64_t begin = std::min(static_cast<uint64_t>(data), size_);
  return {begin, hole < 0 ? size_ : std::min(static_cast<uint64_t>(hole), size_)};
}

Result<Buffer> ImageFile::read(uint64_t offset, uint64_t length) const {
  Status status;
  Buffer bytes = Buffer::make(length, [&](uint8_t* to) {
    uint64_t got = 0;
    while (got < length) {
      const ssize_t n = ::pread(fd_, to + got, length - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        status = file_error("reading the image", path_);
        return;
      }
      if (n == 0) {
        status = {Code::kIo, "the image " + path_ + " became shorter while it was read: nothing at byte " +
                                 std::to_string(offset + got) + "; import it again when nothing changes it"};
        return;
      }
      got += static_cast<uint64_t>(n);
    }
  });
  if (!status.is_ok()) return status;
  return bytes;
}

Result<ImportSummary> import_image(const ImageFile& image, const VolumeWrites& volume, const ImportPlan& plan,
                                   const std::function<void(uint64_t)>& progress) {
  return Import(image, volume, plan, progress).run();
}

}  // namespace shima
