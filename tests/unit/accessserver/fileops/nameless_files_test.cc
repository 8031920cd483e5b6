// Files whose last name is gone: who has them open, and keeping them (R21).
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <thread>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;

FileSystemOptions talkative_options() {
  FileSystemOptions options = quick_options();
  options.orphan_sweep_ms = 600'000;  // nothing is dropped
  return options;
}

class NamelessFiles : public testing::Test {
 protected:
  MemoryVolume volume_{{.block_size = 65536}};
};

TEST_F(NamelessFiles, OfTheOnlySessionAreKnownAtOnce) {
  BlockingFileSystem one(volume_);  // whose next sign of life is far away
  const uint64_t file = one.create("file"), other = one.create("other");
  ASSERT_EQ(one.remove("file"), 0);
  EXPECT_EQ(one.find_who_has_open(file), ESTALE);
  EXPECT_EQ(one.find_who_has_open(file), ESTALE);
  EXPECT_EQ(one.find_who_has_open(12345), ESTALE) << "there never was such an inode";
  one.files().opened(other);
  ASSERT_EQ(one.remove("other"), 0);
  one.files().closed(other);
  EXPECT_EQ(one.find_who_has_open(other), ESTALE);
}

TEST_F(NamelessFiles, AnInodeWithANameIsFoundAtOnce) {
  BlockingFileSystem one(volume_);
  EXPECT_EQ(one.find_who_has_open(one.create("file")), 0);
}

TEST_F(NamelessFiles, WhoHasOneOpenElsewhereIsFoundUntilItIsClosed) {
  BlockingFileSystem one(volume_, talkative_options()), two(volume_, talkative_options());
  const uint64_t file = one.create("file");
  one.files().opened(file);
  ASSERT_EQ(two.remove("file"), 0);
  EXPECT_EQ(two.find_who_has_open(file), 0);
  one.files().closed(file);
  EXPECT_TRUE(soon([&] { return two.find_who_has_open(file) == ESTALE; }))
      << "the other session tells of the close by itself";
}

TEST_F(NamelessFiles, AreTakenForOpenWhileASessionIsSilent) {
  BlockingFileSystem one(volume_, talkative_options());
  JobRequest open;
  open.mutable_open_session()->set_session(4711);
  ASSERT_EQ(volume_.run_now(open).error(), 0);
  const uint64_t file = one.create("file");
  ASSERT_EQ(one.remove("file"), 0);
  EXPECT_EQ(one.find_who_has_open(file), 0);
  JobRequest close;
  close.mutable_close_session()->set_session(4711);
  ASSERT_EQ(volume_.run_now(close).error(), 0);
  EXPECT_TRUE(soon([&] { return one.find_who_has_open(file) == ESTALE; }));
}

TEST_F(NamelessFiles, ThatAreHeldStayUntilTheyAreClosed) {
  BlockingFileSystem one(volume_, quick_options()), two(volume_, quick_options());
  const uint64_t file = one.create("file");
  ASSERT_EQ(one.write(file, 0, "hello").error, 0);
  one.files().opened(file);
  ASSERT_EQ(two.remove("file"), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // two has said that it has it not
  two.files().opened(file);
  ASSERT_EQ(two.hold(file), 0);
  one.files().closed(file);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // many sweeps
  EXPECT_EQ(two.read(file, 0, 10), "hello");
  two.files().closed(file);
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
}

TEST_F(NamelessFiles, AreNotHeldWhenTheyAreGone) {
  BlockingFileSystem one(volume_, quick_options());
  const uint64_t file = one.create("file");
  ASSERT_EQ(one.remove("file"), 0);
  ASSERT_TRUE(soon([&] { return one.attributes_reply(file).error() == ESTALE; }));
  one.files().opened(file);
  EXPECT_EQ(one.hold(file), ESTALE);
  one.files().closed(file);
}

// Each sign of life takes so long that others have deleted more files by then: there is always another
// orphan.
TEST_F(NamelessFiles, AreHeldAlthoughOthersGoOnDeleting) {
  MemoryVolume slow{{.block_size = 65536, .max_delay_ms = 30}};
  BlockingFileSystem one(slow);  // no signs of life but those that are waited for
  const uint64_t file = one.create("file");
  one.files().opened(file);
  ASSERT_EQ(one.remove("file"), 0);
  std::atomic<bool> held = false;
  std::thread deleting([&] {
    for (uint64_t i = 0; !held; ++i) {
      JobRequest make, remove;
      make.mutable_create()->set_parent(kRootInode);
      make.mutable_create()->set_name("other-" + std::to_string(i));
      make.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
      make.mutable_create()->set_how(metadata::v1::Create::GUARDED);
      remove.mutable_remove()->set_parent(kRootInode);
      remove.mutable_remove()->set_name(make.create().name());
      EXPECT_EQ(slow.run_now(make).error(), 0);
      EXPECT_EQ(slow.run_now(remove).error(), 0);
    }
  });
  const uint64_t before = slow.count(JobRequest::kKeepAlive);
  std::promise<uint64_t> signs;
  one.files().hold(file, [&](int error) {
    EXPECT_EQ(error, 0);
    signs.set_value(slow.count(JobRequest::kKeepAlive) - before);
  });
  const uint64_t signs_of_life = signs.get_future().get();
  held = true;
  deleting.join();
  EXPECT_LE(signs_of_life, 5u) << "who opens a file waits until others have deleted theirs";
}

TEST_F(NamelessFiles, AreAnErrorWhenTheVolumeCannotBeTold) {
  BlockingFileSystem one(volume_, talkative_options());
  const uint64_t file = one.create("file");
  one.files().opened(file);
  ASSERT_EQ(one.remove("file"), 0);
  volume_.inject([](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
    if (!r.job || !r.job->has_keep_alive()) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "no answer")};
  });
  EXPECT_NE(one.hold(file), 0);
  EXPECT_NE(one.find_who_has_open(file), 0);
  volume_.inject(nullptr);
  EXPECT_EQ(one.hold(file), 0);
}

}  // namespace
}  // namespace shima
