#include <gtest/gtest.h>

#include <cerrno>
#include <limits>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

struct Written : testing::Test {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f", 0644);
  void SetUp() override {
    ASSERT_EQ(volume.open_session(1).error(), 0);
    ASSERT_EQ(volume.open_session(2).error(), 0);
    volume.session = 1;
  }
  int64_t later(int64_t ns = 1000) { return volume.now_ns + ns; }
};

TEST_F(Written, MakesTheFileLongerNeverShorter) {
  const pb::Attributes a = volume.written(file, 5000, 0, later(), false).attributes();
  EXPECT_EQ(a.size(), 5000u);
  EXPECT_EQ(a.high_water(), 5000u);
  EXPECT_EQ(volume.written(file, 10, 0, later(), false).attributes().size(), 5000u);
  EXPECT_EQ(volume.written(file, kMaxFileBytes, 0, later(), false).attributes().size(), kMaxFileBytes);
  EXPECT_EQ(volume.written(file, kMaxFileBytes + 1, 0, later(), false).error(), EFBIG);
}

TEST_F(Written, SetsTimesAndTheChangeCounter) {
  const pb::Attributes before = volume.attributes(file);
  const int64_t time_ns = later(5000);
  const pb::Attributes a = volume.written(file, 1, 0, time_ns, false).attributes();
  EXPECT_EQ(a.mtime_ns(), time_ns);
  EXPECT_GE(a.ctime_ns(), a.mtime_ns());
  EXPECT_GT(a.change(), before.change());
  EXPECT_EQ(volume.written(file, 1, 0, time_ns - 10, false).attributes().mtime_ns(), time_ns)
      << "an earlier write that is noted later";
}

TEST_F(Written, RefusesOtherTypesAndInodesThatAreGone) {
  EXPECT_EQ(volume.written(kRootInode, 1, 0, later(), false).error(), EINVAL);
  EXPECT_EQ(volume.written(999, 1, 0, later(), false).error(), ESTALE);
  EXPECT_EQ(volume.written(file, 1, 7, later(), false).error(), EAGAIN);
}

TEST_F(Written, AMarkIsTheSessionsAndIsSetOnce) {
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).attributes().writers_size(), 1);
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).attributes().writers_size(), 1);
  volume.session = 2;
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).attributes().writers_size(), 2);
  EXPECT_EQ(volume.paused(file, 1, later(), 1, 4096).attributes().writers_size(), 1);
  EXPECT_EQ(volume.attributes(file).writers(0), 2u);
}

TEST_F(Written, AMarkNeedsASessionThatIsOpen) {
  volume.session = 3;
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).error(), ENOTCONN);
  volume.session = 0;
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).error(), ENOTCONN);
  EXPECT_EQ(volume.written(file, 1, 0, later(), false).error(), 0);
}

TEST_F(Written, MarksOfOneFileAreBounded) {
  for (uint64_t session = 100; session < 100 + 1024; session++) {
    volume.open_session(session);
    volume.session = session;
    ASSERT_EQ(volume.written(file, 1, 0, later(), true).error(), 0);
  }
  volume.session = 1;
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).error(), EUSERS);
  volume.session = 100;
  EXPECT_EQ(volume.written(file, 1, 0, later(), true).error(), 0);
}

TEST_F(Written, WhileThereIsAMarkHighWaterCoversTheWholeFile) {
  volume.truncate(file, 1'000'000);
  EXPECT_EQ(volume.attributes(file).high_water(), 0u);
  EXPECT_EQ(volume.written(file, 100, 0, later(), true).attributes().high_water(), 1'000'000u)
      << "the session may write anywhere in it from now on, without a job";
  EXPECT_EQ(volume.truncate(file, 2'000'000).attributes().high_water(), 2'000'000u);
  volume.paused(file, 1, later(), 1, 4096);
  EXPECT_EQ(volume.truncate(file, 3'000'000).attributes().high_water(), 2'000'000u);
}

TEST_F(Written, AReserveRaisesTheHighWaterAloneAndATruncationReachesIt) {
  pb::JobRequest request;
  request.set_session(1);
  request.mutable_written()->set_inode(file);
  request.mutable_written()->set_reserve(70'000);
  EXPECT_EQ(volume.run(request).attributes().high_water(), 70'000u);
  EXPECT_EQ(volume.attributes(file).size(), 0u);
  request.mutable_written()->set_reserve(50);
  EXPECT_EQ(volume.run(request).attributes().high_water(), 70'000u);
  ASSERT_EQ(volume.written(file, 100, 0, later(), false).error(), 0);
  EXPECT_EQ(volume.truncate(file, 10).attributes().truncating_from(), 70'000u);
}

TEST_F(Written, ANewFileHasTheReserveOfItsCreationWithinTheLimit) {
  pb::JobRequest request = JobVolume::creation(kRootInode, "g", pb::FILE_TYPE_REGULAR, 0644);
  request.mutable_create()->set_reserve(1 << 20);
  EXPECT_EQ(volume.run(request).attributes().high_water(), 1u << 20);
  request = JobVolume::creation(kRootInode, "h", pb::FILE_TYPE_REGULAR, 0644);
  request.mutable_create()->set_reserve(~0ull);
  EXPECT_EQ(volume.run(request).attributes().high_water(), kMaxFileBytes);
}

TEST_F(Written, AfterTimesWereSetTheNextWriteCountsWhateverItsClock) {
  pb::NewAttributes future;
  future.set_mtime_ns(4'000'000'000'000'000'000);
  volume.set(file, future);
  const int64_t floor = volume.attributes(file).mtime_floor_ns();
  EXPECT_EQ(floor, volume.now_ns - volume.tick_ns);
  const pb::Attributes a = volume.written(file, 1, 0, floor - 1'000'000, false).attributes();
  EXPECT_EQ(a.mtime_ns(), floor + 1) << "a write brings the mtime back from the future";
  EXPECT_EQ(volume.written(file, 1, 0, floor + 500, false).attributes().mtime_ns(), floor + 500);
}

TEST_F(Written, DataGroupsTimesBeforeAChangeOfTimesAreVoid) {
  volume.written(file, 1, 0, later(), true);
  const int64_t written_ns = later(2000);  // a write that only the data groups know
  volume.time_ns = written_ns + 1;         // the access server's clock is ahead of the primary's
  pb::NewAttributes past;
  past.set_mtime_ns(1000);
  const pb::Attributes a = volume.set(file, past).attributes();
  EXPECT_EQ(a.mtime_ns(), 1000);
  EXPECT_GE(a.mtime_floor_ns(), written_ns);
  EXPECT_GT(a.ctime_ns(), written_ns) << "the change shows beside the ctime that the write had shown";
  EXPECT_EQ(volume.paused(file, 1, written_ns, 5, 4096).attributes().mtime_ns(), 1000);
}

TEST_F(Written, AClockThatIsFarAheadIsNotBelieved) {
  const int64_t day_ns = 24ll * 3600 * 1'000'000'000;
  const pb::Attributes a =
      volume.written(file, 1, 0, std::numeric_limits<int64_t>::max(), false).attributes();
  EXPECT_LE(a.mtime_ns(), volume.now_ns + day_ns);
  volume.time_ns = std::numeric_limits<int64_t>::max();
  const pb::Attributes truncated = volume.truncate(file, 0).attributes();
  EXPECT_LE(truncated.mtime_floor_ns(), volume.now_ns + day_ns);
}

TEST_F(Written, ClearsSetIdBitsWhenAsked) {
  volume.chmod(file, 06777);
  EXPECT_EQ(volume.written(file, 1, 0, later(), false).attributes().mode(), 06777u);
  pb::JobRequest request;
  request.mutable_written()->set_inode(file);
  request.mutable_written()->set_clear_set_id(true);
  EXPECT_EQ(volume.run(request).attributes().mode(), 0777u);
}

TEST_F(Written, PausingNotesWhatTheDataGroupsHave) {
  volume.written(file, 10, 0, later(), true);
  const pb::Attributes before = volume.attributes(file);
  const int64_t newest = later(9000);
  const pb::Attributes a = volume.paused(file, 1, newest, 42, 8192).attributes();
  EXPECT_EQ(a.mtime_ns(), newest);
  EXPECT_GE(a.ctime_ns(), newest);
  EXPECT_EQ(a.change(), before.change() + 42);
  EXPECT_EQ(a.used_bytes(), 8192u);
  EXPECT_TRUE(a.writers().empty());
  volume.paused(file, 1, newest + 1, 42, 1);
  EXPECT_TRUE(volume.last_batch.empty()) << "there is no mark any more: nothing to note";
  volume.written(file, 10, 0, later(), true);
  EXPECT_GT(volume.paused(file, 1, newest, ~0ull, ~0ull).attributes().change(), a.change()) << "no overflow";
}

TEST_F(Written, AMarkOutlivesItsSession) {
  volume.written(file, 10, 0, later(), true);
  volume.kv.apply(end_session(volume.kv, 1));
  EXPECT_EQ(volume.attributes(file).writers_size(), 1);
  volume.session = 2;
  EXPECT_EQ(volume.paused(file, 1, later(), 1, 4096).attributes().writers_size(), 0);
}

TEST_F(Written, AnOrphanIsWrittenToLikeAFile) {
  volume.unlink(kRootInode, "f");
  EXPECT_EQ(volume.written(file, 9999, 0, later(), true).attributes().size(), 9999u);
  EXPECT_EQ(volume.keep_alive(1, 1).error(), 0);
  EXPECT_EQ(volume.keep_alive(2, 1).error(), 0);
  EXPECT_EQ(volume.list_orphans().orphans(0).high_water(), 9999u);
}

}  // namespace
}  // namespace shima
