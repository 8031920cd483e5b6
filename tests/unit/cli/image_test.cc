// Import, export and checksum of images, against a volume in memory whose answers come late and out of order.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "cli/image_export.h"
#include "cli/image_import.h"

namespace shima {
namespace {

namespace fs = std::filesystem;

// Answers on a thread of its own, in a random order.
class FakeVolume {
 public:
  explicit FakeVolume(uint64_t size, uint8_t fill = 0) : bytes(size, fill), worker_([this] { work(); }) {}
  ~FakeVolume() {
    stop_ = true;
    worker_.join();
  }

  VolumeWrites writes() {
    return {[this](uint64_t offset, Buffer data, IoDone done) {
              post([=, this] {
                if (fails_at(offset, data.size())) return done(Status(Code::kNoSpace, "the disk is full"));
                std::copy(data.span().begin(), data.span().end(), bytes.begin() + static_cast<long>(offset));
                written += data.size();
                done(Status::ok());
              });
            },
            [this](uint64_t offset, uint64_t length, IoDone done) {
              post([=, this] {
                std::fill_n(bytes.begin() + static_cast<long>(offset), length, 0);
                punched += length;
                done(Status::ok());
              });
            }};
  }
  ReadOperation reads() {
    return [this](uint64_t offset, uint64_t length, ReadDone done) {
      post([=, this] {
        if (fails_at(offset, length)) return done(Status(Code::kDeadlineExceeded, "no answer"), Buffer());
        done(Status::ok(), Buffer::copy_of(std::span(bytes).subspan(offset, length)));
      });
    };
  }

  std::vector<uint8_t> bytes;
  uint64_t fail_from = UINT64_MAX;
  std::atomic<uint64_t> written = 0, punched = 0;
  std::atomic<size_t> most_waiting = 0;

 private:
  bool fails_at(uint64_t offset, uint64_t length) const { return offset + length > fail_from; }

  void post(std::function<void()> work) {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(work));
    most_waiting = std::max<size_t>(most_waiting, waiting_.size());
  }

  void work() {
    std::mt19937 random(7);
    for (;;) {
      std::function<void()> next;
      {
        std::lock_guard lock(mutex_);
        if (waiting_.empty() && stop_) return;
        if (!waiting_.empty()) {
          std::swap(waiting_[random() % waiting_.size()], waiting_.back());
          next = std::move(waiting_.back());
          waiting_.pop_back();
        }
      }
      next ? next() : std::this_thread::yield();
    }
  }

  std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;
  std::atomic<bool> stop_ = false;
  std::thread worker_;
};

class Image : public testing::Test {
 protected:
  Image() : directory_(fs::temp_directory_path() / ("shima-image-" + std::to_string(::getpid()))) {
    fs::create_directories(directory_);
  }
  ~Image() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ / name; }

  // Random data in some of the pieces, holes and zeros in others.
  std::string make_image(uint64_t size, std::vector<uint8_t>& content) {
    std::mt19937_64 random(size);
    content.assign(size, 0);
    const int fd = ::open(path("image").c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
    EXPECT_EQ(::ftruncate(fd, static_cast<off_t>(size)), 0);
    for (uint64_t at = 0; at < size; at += 100'000) {
      const auto kind = random() % 3;  // hole, zeros, data
      if (kind == 0) continue;
      const uint64_t length = std::min<uint64_t>(100'000, size - at);
      if (kind == 2) {
        for (uint64_t i = at; i < at + length; ++i) content[i] = static_cast<uint8_t>(random());
      }
      EXPECT_EQ(::pwrite(fd, content.data() + at, length, static_cast<off_t>(at)),
                static_cast<ssize_t>(length));
    }
    ::close(fd);
    return path("image");
  }

  static Result<ImportSummary> import(const std::string& from, FakeVolume& volume, bool punch) {
    auto image = ImageFile::open(from);
    if (!image) return image.status();
    return import_image(*image, volume.writes(),
                        {.punch_holes = punch, .volume_bytes = volume.bytes.size(), .limits = {}},
                        [](uint64_t) {});
  }

  static std::vector<uint8_t> read_file(const std::string& from) {
    std::ifstream file(from, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  const fs::path directory_;
};

TEST_F(Image, AnImportedImageIsTheVolumesContent) {
  std::vector<uint8_t> content;
  const std::string from = make_image(20'000'123, content);
  FakeVolume volume(content.size());
  auto summary = import(from, volume, /*punch=*/false);
  ASSERT_TRUE(summary.is_ok()) << summary.status().to_string();
  EXPECT_EQ(volume.bytes, content);
  EXPECT_EQ(summary->image_bytes, content.size());
  EXPECT_EQ(summary->written_bytes, volume.written);
  EXPECT_LT(summary->written_bytes, content.size() * 2 / 3);
  EXPECT_EQ(volume.punched, 0u);
}

TEST_F(Image, OlderDataIsPunchedWhereTheImageHasHolesAndBehindItsEnd) {
  std::vector<uint8_t> content;
  const std::string from = make_image(5'000'000, content);
  FakeVolume volume(150'000'000, 0xee);
  auto summary = import(from, volume, /*punch=*/true);
  ASSERT_TRUE(summary.is_ok());
  content.resize(volume.bytes.size(), 0);
  EXPECT_EQ(volume.bytes, content);
  EXPECT_EQ(summary->punched_bytes, volume.punched);
  EXPECT_EQ(summary->punched_bytes + summary->written_bytes, volume.bytes.size());
}

TEST_F(Image, NoMoreThanTheLimitIsUnderWay) {
  std::vector<uint8_t> content;
  const std::string from = make_image(60'000'000, content);
  FakeVolume volume(content.size());
  ASSERT_TRUE(import(from, volume, false).is_ok());
  EXPECT_LE(volume.most_waiting, TransferLimits().in_flight);
}

TEST_F(Image, AFailedWriteEndsTheImportWithItsError) {
  std::vector<uint8_t> content;
  const std::string from = make_image(60'000'000, content);
  FakeVolume volume(content.size());
  volume.fail_from = 2'000'000;
  auto summary = import(from, volume, false);
  EXPECT_EQ(summary.status().code(), Code::kNoSpace);
  EXPECT_LT(volume.written, 40'000'000u);
}

TEST_F(Image, ProgressEndsAtTheWholeSize) {
  std::vector<uint8_t> content;
  auto image = ImageFile::open(make_image(3'000'000, content));
  ASSERT_TRUE(image.is_ok());
  FakeVolume volume(content.size());
  uint64_t last = 0;
  ASSERT_TRUE(import_image(*image, volume.writes(), {.volume_bytes = content.size(), .limits = {}},
                           [&](uint64_t done) {
                             EXPECT_GE(done, last);
                             EXPECT_LE(done, content.size());
                             last = done;
                           })
                  .is_ok());
}

TEST_F(Image, WhatIsNoImageIsRefused) {
  EXPECT_EQ(ImageFile::open(path("absent")).status().code(), Code::kIo);
  EXPECT_EQ(ImageFile::open(directory_).status().code(), Code::kInvalidArgument);
}

TEST_F(Image, AnExportIsTheContentWithHoles) {
  std::vector<uint8_t> content;
  make_image(20'000'123, content);
  FakeVolume volume(content.size());
  volume.bytes = content;
  auto summary = export_image(volume.reads(), content.size(), path("out"), {}, [](uint64_t) {});
  ASSERT_TRUE(summary.is_ok()) << summary.status().to_string();
  EXPECT_EQ(read_file(path("out")), content);
  struct stat what;
  ASSERT_EQ(::stat(path("out").c_str(), &what), 0);
  EXPECT_LT(static_cast<uint64_t>(what.st_blocks) * 512, content.size() * 2 / 3);
  EXPECT_FALSE(fs::exists(path("out.partial")));
}

TEST_F(Image, AFailedExportLeavesTheOldFileAndNothingElse) {
  std::ofstream(path("out")) << "old";
  FakeVolume volume(10'000'000, 1);
  volume.fail_from = 5'000'000;
  EXPECT_EQ(
      export_image(volume.reads(), volume.bytes.size(), path("out"), {}, [](uint64_t) {}).status().code(),
      Code::kDeadlineExceeded);
  EXPECT_EQ(read_file(path("out")).size(), 3u);
  EXPECT_FALSE(fs::exists(path("out.partial")));
}

TEST_F(Image, WhatAnInterruptedExportLeftIsReplaced) {
  std::ofstream(path("out.partial")) << std::string(100'000, 'x');
  FakeVolume volume(70'000);
  ASSERT_TRUE(export_image(volume.reads(), volume.bytes.size(), path("out"), {}, [](uint64_t) {}).is_ok());
  EXPECT_EQ(read_file(path("out")), volume.bytes);
}

TEST_F(Image, AnExportToADirectoryThatIsNotThereFails) {
  FakeVolume volume(1000);
  EXPECT_EQ(export_image(volume.reads(), 1000, path("no/out"), {}, [](uint64_t) {}).status().code(),
            Code::kIo);
}

TEST_F(Image, ChecksumsAreSha256OverTheWholeSize) {
  FakeVolume volume(3'000'001, 'a');
  uint8_t expected[32];
  unsigned length = 0;
  EVP_Digest(volume.bytes.data(), volume.bytes.size(), expected, &length, EVP_sha256(), nullptr);
  auto sum = checksum_image(volume.reads(), volume.bytes.size(), {}, [](uint64_t) {});
  ASSERT_TRUE(sum.is_ok());
  std::string text;
  for (uint8_t byte : expected) {
    char hex[3];
    std::snprintf(hex, sizeof hex, "%02x", byte);
    text += hex;
  }
  EXPECT_EQ(*sum, text);
}

TEST_F(Image, AReadErrorEndsAChecksum) {
  FakeVolume volume(80'000'000);
  volume.fail_from = 3'000'000;
  EXPECT_EQ(checksum_image(volume.reads(), volume.bytes.size(), {}, [](uint64_t) {}).status().code(),
            Code::kDeadlineExceeded);
}

}  // namespace
}  // namespace shima
