// R21: sessions, their locks, and orphans that they have open.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using metadata::v1::LOCK_TYPE_READ;
using metadata::v1::LOCK_TYPE_UNLOCK;
using metadata::v1::LOCK_TYPE_WRITE;
using Call = MemoryVolume::Call;

class Sessions : public testing::Test {
 protected:
  // As if the volume had not heard of any session for longer than the grace.
  void let_sessions_expire() {
    for (int i = 0; i < 6; i++) {
      volume_.advance_clock_ns(5'000'000'000);
      volume_.expire_sessions();
    }
  }
  bool lock_is_free(BlockingFileSystem& files, uint64_t file, uint64_t owner = 1) {
    if (files.lock(file, owner, LOCK_TYPE_WRITE) != 0) return false;
    EXPECT_EQ(files.lock(file, owner, LOCK_TYPE_UNLOCK), 0);
    return true;
  }
  static MemoryVolume::Inject no_keep_alives() {
    return [](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
      if (!r.job || !r.job->has_keep_alive()) return std::nullopt;
      return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "no answer")};
    };
  }

  MemoryVolume volume_{{.block_size = 65536}};
};

TEST_F(Sessions, LocksExcludeAcrossServers) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  EXPECT_EQ(one.lock(file, 1, LOCK_TYPE_READ), 0);
  EXPECT_EQ(two.lock(file, 1, LOCK_TYPE_READ), 0);
  EXPECT_EQ(two.lock(file, 1, LOCK_TYPE_WRITE), EAGAIN);
  EXPECT_EQ(one.lock(file, 1, LOCK_TYPE_UNLOCK), 0);
  EXPECT_EQ(two.lock(file, 1, LOCK_TYPE_WRITE), 0);
}

TEST_F(Sessions, ALockThatWaitsComesWhenItIsFree) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  auto waiting = std::async(std::launch::async, [&] { return two.lock(file, 1, LOCK_TYPE_WRITE, true); });
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_UNLOCK), 0);
  EXPECT_EQ(waiting.get(), 0);
}

TEST_F(Sessions, ALockThatWaitsCanBeCancelled) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  metadata::v1::LockRange range;
  range.set_inode(file);
  range.set_kind(metadata::v1::LOCK_KIND_POSIX);
  range.set_type(LOCK_TYPE_WRITE);
  range.set_end(100);
  std::promise<int> promise;
  uint64_t ticket = two.files().set_lock(range, true, [&](int error) { promise.set_value(error); });
  two.files().cancel(ticket);
  EXPECT_EQ(promise.get_future().get(), EINTR);
  two.files().cancel(ticket);
  two.files().cancel(4711);
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_UNLOCK), 0);
  EXPECT_TRUE(lock_is_free(one, file));
}

TEST_F(Sessions, LocksAsPlainJobsAreTheSessionsToo) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.lock(file, 5, LOCK_TYPE_WRITE), 0);
  JobRequest test;
  test.mutable_test_lock()->mutable_lock()->set_inode(file);
  test.mutable_test_lock()->mutable_lock()->set_kind(metadata::v1::LOCK_KIND_POSIX);
  test.mutable_test_lock()->mutable_lock()->set_type(LOCK_TYPE_READ);
  test.mutable_test_lock()->mutable_lock()->set_end(10);
  test.mutable_test_lock()->mutable_lock()->set_owner(5);
  EXPECT_EQ(two.run(test).conflict().session(), one.files().session());
  EXPECT_FALSE(one.run(test).has_conflict());
  JobRequest release;
  release.mutable_release_locks()->set_inode(file);
  release.mutable_release_locks()->set_owner(5);
  release.mutable_release_locks()->set_kind(metadata::v1::LOCK_KIND_POSIX);
  EXPECT_EQ(one.run(release).error(), 0);
  EXPECT_FALSE(two.run(test).has_conflict());
}

TEST_F(Sessions, LocksGoWhenTheFileSystemIsClosed) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  EXPECT_FALSE(lock_is_free(two, file));
  one.close();
  EXPECT_TRUE(lock_is_free(two, file));
}

TEST_F(Sessions, AreKeptAliveLongerThanTheGrace) {
  BlockingFileSystem one(volume_, quick_options()), two(volume_);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  uint64_t session = one.files().session();
  for (int i = 0; i < 6; i++) {
    volume_.advance_clock_ns(5'000'000'000);
    uint64_t before = volume_.count(JobRequest::kKeepAlive);
    ASSERT_TRUE(soon([&] { return volume_.count(JobRequest::kKeepAlive) > before + 1; }));
  }
  EXPECT_EQ(one.files().session(), session);
  EXPECT_EQ(stored_attributes(volume_, file).inode(), file);
  EXPECT_EQ(one.write(file, 0, "x").error, 0);
}

TEST_F(Sessions, ALostOneIsReplacedAndItsLocksAreGone) {
  BlockingFileSystem one(volume_, quick_options());
  BlockingFileSystem two(volume_, quick_options());
  uint64_t file = one.create("file"), other = one.create("other");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  uint64_t session = one.files().session();
  let_sessions_expire();
  ASSERT_TRUE(soon([&] { return one.files().session() != session; }));
  ASSERT_TRUE(soon([&] { return lock_is_free(two, file); }));
  // The owner that lost its lock learns of it, and so does who writes to the file; others do not.
  EXPECT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), ENOLCK);
  EXPECT_EQ(one.write(file, 0, "x").error, EIO);
  EXPECT_EQ(one.append(file, "x").error, EIO);
  EXPECT_EQ(one.truncate(file, 0), EIO);
  EXPECT_EQ(one.allocate(file, AllocateKind::kPunchHole, 0, 1, true), 0);  // an empty file: no byte changes
  EXPECT_EQ(one.write(other, 0, "x").error, 0);
  EXPECT_EQ(one.lock(file, 2, LOCK_TYPE_READ), 0);
  EXPECT_EQ(one.lock(file, 2, LOCK_TYPE_UNLOCK), 0);
  // As close(2) does.
  EXPECT_EQ(one.lock(file, 1, LOCK_TYPE_UNLOCK), 0);
  EXPECT_EQ(one.write(file, 0, "x").error, 0);
  EXPECT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
}

TEST_F(Sessions, ALostOnesMarksAreSetAgainByTheNewOne) {
  FileSystemOptions options = quick_options();
  options.writing_paused_after_ms = 600'000;
  BlockingFileSystem one(volume_, options), two(volume_, options);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  uint64_t session = one.files().session();
  let_sessions_expire();
  ASSERT_TRUE(soon([&] { return one.files().session() != session; }));
  FileWritten written = one.write(file, 0, "y");
  ASSERT_EQ(written.error, 0);
  EXPECT_EQ(two.attributes(file).mtime_ns(), one.attributes(file).mtime_ns());
  FileAttributes stored = stored_attributes(volume_, file);
  EXPECT_TRUE(std::ranges::count(stored.writers(), one.files().session()) == 1);
  one.close();
  EXPECT_EQ(stored_attributes(volume_, file).writers_size(), 0);  // the old one's too
}

TEST_F(Sessions, AWriteFindsOutThatTheSessionIsGone) {
  BlockingFileSystem one(volume_);  // without keep-alives
  uint64_t file = one.create("file");
  uint64_t session = one.files().session();
  let_sessions_expire();
  EXPECT_EQ(one.write(file, 0, "x").error, 0);
  EXPECT_NE(one.files().session(), session);
  let_sessions_expire();
  EXPECT_EQ(one.append(file, "y").error, 0);
  EXPECT_EQ(one.read(file, 0, 10), "xy");
}

TEST_F(Sessions, WithoutKeepAlivesWritesThatMayRelyOnLocksFail) {
  FileSystemOptions options = quick_options();
  options.self_fence_after_ms = 3000;
  BlockingFileSystem one(volume_, options);
  uint64_t file = one.create("file"), other = one.create("other");
  ASSERT_EQ(one.lock(file, 1, LOCK_TYPE_WRITE), 0);
  ASSERT_TRUE(soon([&] { return one.write(file, 0, "x").error == 0; }));  // after a stall the first one fails
  volume_.inject(no_keep_alives());
  EXPECT_TRUE(soon([&] { return one.write(file, 0, "x").error == EIO; }));
  EXPECT_EQ(one.write(other, 0, "x").error, 0);
  volume_.inject(nullptr);
  EXPECT_TRUE(
      soon([&] { return one.write(file, 0, "x").error == 0; }));  // the session lives, and so does the lock
  EXPECT_TRUE(soon([&] { return one.lock(file, 1, LOCK_TYPE_WRITE) == 0; }));
}

TEST_F(Sessions, CallsFailWhileNoneCanBeOpened) {
  volume_.inject([](const MemoryVolume::Request&) {
    return MemoryVolume::Failure{Status(Code::kUnavailable, "no servers")};
  });
  BlockingFileSystem one(volume_, quick_options());
  EXPECT_EQ(one.attributes_reply(kRootInode).error(), ETIMEDOUT);  // it passes: an NFS client waits
  volume_.inject(nullptr);
  EXPECT_TRUE(soon([&] { return one.attributes_reply(kRootInode).error() == 0; }));
}

class Orphans : public Sessions {};

TEST_F(Orphans, TheDataOfARemovedFileGoes) {
  BlockingFileSystem one(volume_, quick_options()), two(volume_, quick_options());
  uint64_t file = one.create("file");
  ASSERT_EQ(one.write(file, 0, std::string(300'000, 'x')).error, 0);
  ASSERT_EQ(two.remove("file"), 0);
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
  EXPECT_TRUE(soon([&] { return one.attributes_reply(file).error() == ESTALE; }));
  EXPECT_EQ(one.write(file, 0, "x").error, ESTALE);
  EXPECT_EQ(one.read_bytes(file, 0, 1).error, ESTALE);
  EXPECT_EQ(volume_.used_bytes(), 0u);
}

TEST_F(Orphans, AnOpenFileIsKeptUntilItIsClosedEverywhere) {
  BlockingFileSystem one(volume_, quick_options()), two(volume_, quick_options());
  uint64_t file = one.create("file");
  one.files().opened(file);
  one.files().opened(file);
  two.files().opened(file);
  ASSERT_EQ(one.write(file, 0, "hello").error, 0);
  ASSERT_EQ(two.remove("file"), 0);
  one.files().closed(file);
  two.files().closed(file);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(one.read(file, 0, 10), "hello");
  EXPECT_EQ(one.write(file, 5, " world").error, 0);
  EXPECT_EQ(one.truncate(file, 9), 0);
  EXPECT_EQ(two.read(file, 0, 20), "hello wor");
  one.files().closed(file);
  EXPECT_TRUE(soon([&] { return one.attributes_reply(file).error() == ESTALE; }));
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
}

TEST_F(Orphans, AServerThatDoesNotAnswerHoldsThemUntilItsSessionIsOver) {
  BlockingFileSystem one(volume_, quick_options());
  JobRequest open;
  open.mutable_open_session()->set_session(4711);
  ASSERT_EQ(volume_.run_now(open).error(), 0);
  uint64_t file = one.create("file");
  ASSERT_EQ(one.write(file, 0, "hello").error, 0);
  ASSERT_EQ(one.remove("file"), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(150));
  EXPECT_GT(volume_.used_bytes(), 0u);
  JobRequest close;
  close.mutable_close_session()->set_session(4711);
  ASSERT_EQ(volume_.run_now(close).error(), 0);
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
}

TEST_F(Orphans, ManyAreDropped) {
  BlockingFileSystem one(volume_, quick_options());
  std::vector<uint64_t> files;
  for (int i = 0; i < 200; i++) {
    files.push_back(one.create("file" + std::to_string(i)));
    ASSERT_EQ(one.write(files.back(), 0, "x").error, 0);
  }
  for (int i = 0; i < 200; i++) ASSERT_EQ(one.remove("file" + std::to_string(i)), 0);
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
  EXPECT_TRUE(soon([&] { return one.attributes_reply(files.back()).error() == ESTALE; }));
}

TEST_F(Orphans, AGroupThatDoesNotAnswerIsAskedAgainLater) {
  BlockingFileSystem one(volume_, quick_options());
  uint64_t file = one.create("file");
  ASSERT_EQ(one.write(file, 0, "hello").error, 0);
  volume_.inject([](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
    if (r.call != Call::kTruncate) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "no answer")};
  });
  ASSERT_EQ(one.remove("file"), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(one.attributes_reply(file).error(), 0);  // nothing is forgotten while data is there
  volume_.inject(nullptr);
  EXPECT_TRUE(soon([&] { return volume_.used_bytes() == 0; }));
  EXPECT_TRUE(soon([&] { return one.attributes_reply(file).error() == ESTALE; }));
}

TEST_F(Sessions, AFencedClientFailsAtOnceAndForGood) {
  FileSystemOptions options = quick_options();
  BlockingFileSystem files(volume_, options), other(volume_);
  uint64_t file = files.create("file");
  ASSERT_EQ(other.lock(file, 1, LOCK_TYPE_WRITE), 0);
  auto waiting = std::async(std::launch::async, [&] { return files.lock(file, 2, LOCK_TYPE_WRITE, true); });
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  volume_.inject([](const MemoryVolume::Request&) -> std::optional<MemoryVolume::Failure> {
    return MemoryVolume::Failure{Status(Code::kFenced, "the publication was taken away")};
  });
  EXPECT_EQ(waiting.get(), EIO);
  EXPECT_EQ(files.write(file, 0, "bytes").error, EIO);
  volume_.inject(nullptr);  // an identity that was fenced stays so
  EXPECT_EQ(files.write(file, 0, "bytes").error, EIO);
  EXPECT_EQ(files.lock(file, 1, LOCK_TYPE_UNLOCK), EIO);
  const uint64_t opened = volume_.count(JobRequest::kOpenSession);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // several keep-alives' time
  EXPECT_EQ(volume_.count(JobRequest::kOpenSession), opened);
  files.close();
}

TEST_F(Sessions, AChangeThroughAPublicationForReadingIsRefusedAsOnAReadOnlyMount) {
  BlockingFileSystem files(volume_);
  uint64_t file = files.create("file");
  volume_.inject([](const MemoryVolume::Request& r) -> std::optional<MemoryVolume::Failure> {
    if (r.call != Call::kWrite) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kPermissionDenied, "published as read-only")};
  });
  EXPECT_EQ(files.write(file, 0, "bytes").error, EROFS);
}

TEST_F(Sessions, AFencedClientOfAFrontEndThatTriesAgainSaysSo) {
  FileSystemOptions options = calm_options();
  options.fenced_errno = ETIMEDOUT;
  BlockingFileSystem files(volume_, options);
  uint64_t file = files.create("file");
  volume_.inject([](const MemoryVolume::Request&) -> std::optional<MemoryVolume::Failure> {
    return MemoryVolume::Failure{Status(Code::kFenced, "another incarnation is registered")};
  });
  EXPECT_EQ(files.write(file, 0, "bytes").error, ETIMEDOUT);
}

}  // namespace
}  // namespace shima
