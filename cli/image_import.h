// Import: a raw disk image becomes the content of a volume's file.
//
// Holes of the image, and 64 KiB of zeros, are not written. Where the volume held data before they are
// punched, so that the volume reads as the image in every byte; behind the image's end likewise, up to the
// volume's size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "cli/volume_io.h"

namespace shima {

// A raw image: a regular file or a block device, open for reading.
class ImageFile {
 public:
  static Result<ImageFile> open(const std::string& path);
  ImageFile(ImageFile&& other) noexcept;
  ImageFile& operator=(ImageFile&&) = delete;
  ~ImageFile();

  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  // The next range of data at or after `offset`; begin == size(): only a hole is left.
  struct Range {
    uint64_t begin = 0, end = 0;
  };
  Range next_data(uint64_t offset) const;
  Result<Buffer> read(uint64_t offset, uint64_t length) const;

 private:
  ImageFile(int fd, uint64_t size, std::string path) : fd_(fd), size_(size), path_(std::move(path)) {}
  int fd_;
  uint64_t size_;
  std::string path_;
};

struct ImportPlan {
  bool punch_holes = false;   // the volume may hold older data
  uint64_t volume_bytes = 0;  // size of the volume's file, at least the image's
  TransferLimits limits;
};

struct ImportSummary {
  uint64_t image_bytes = 0;
  uint64_t written_bytes = 0;  // the rest were holes
  uint64_t punched_bytes = 0;  // of these, made holes in the volume
};

// `progress` is called from this thread with the bytes of the volume that are done.
Result<ImportSummary> import_image(const ImageFile& image, const VolumeWrites& volume, const ImportPlan& plan,
                                   const std::function<void(uint64_t)>& progress);

}  // namespace shima
