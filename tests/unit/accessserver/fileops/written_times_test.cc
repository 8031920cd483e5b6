// R19: times, sizes and change counters while data is written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using Call = MemoryVolume::Call;

class WrittenTimes : public testing::Test {
 protected:
  uint64_t jobs_of_writing() const { return volume_.count(JobRequest::kWritten); }
  FileSystemOptions quick() const {
    FileSystemOptions options = calm_options();
    options.writing_paused_after_ms = 40;
    return options;
  }

  MemoryVolume volume_{{.block_size = 65536}};
};

TEST_F(WrittenTimes, AWriteInsideTheFileNeedsNoJobOnceTheMarkIsThere) {
  BlockingFileSystem one(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, std::string(100'000, 'x'));
  uint64_t before = jobs_of_writing(), reads = volume_.count(JobRequest::kGetAttributes);
  for (int i = 0; i < 20; i++) EXPECT_EQ(one.write(file, i * 1000, "y").error, 0);
  EXPECT_EQ(jobs_of_writing(), before);
  EXPECT_EQ(volume_.count(JobRequest::kGetAttributes),
            reads);  // checked credentials: what is known is enough
  one.write(file, 100'000, "z");
  EXPECT_EQ(jobs_of_writing(), before + 1);
}

TEST_F(WrittenTimes, TheWriterItselfSeesEveryWriteWithoutAskingTheGroups) {
  BlockingFileSystem one(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  uint64_t asked = volume_.count(Call::kInodeData);
  FileAttributes last = one.attributes(file);
  for (int i = 0; i < 5; i++) {
    one.write(file, 1, "y");
    FileAttributes now = one.attributes(file);
    EXPECT_GT(now.mtime_ns(), last.mtime_ns());
    EXPECT_GT(now.ctime_ns(), last.ctime_ns());
    EXPECT_GT(now.change(), last.change());
    EXPECT_GT(now.used_bytes(), 0u);
    last = now;
  }
  EXPECT_EQ(volume_.count(Call::kInodeData), asked);
}

TEST_F(WrittenTimes, AnotherServerSeesThemByAskingTheGroups) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  FileAttributes last = two.attributes(file);
  for (int i = 0; i < 5; i++) {
    FileWritten written = one.write(file, 1, "y");
    FileAttributes now = two.attributes(file);
    EXPECT_GT(now.mtime_ns(), last.mtime_ns());
    EXPECT_GE(now.ctime_ns(), now.mtime_ns());
    EXPECT_GT(now.change(), last.change());
    EXPECT_EQ(now.mtime_ns(), written.after.mtime_ns());
    EXPECT_EQ(now.used_bytes(), 4096u);
    last = now;
  }
}

TEST_F(WrittenTimes, AreMergedIntoDirectoryListingsToo) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  FileWritten written = one.write(file, 0, "y");
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_read_directory()->set_inode(kRootInode);
  request.mutable_read_directory()->set_max_entries(100);
  request.mutable_read_directory()->set_max_bytes(10'000);
  request.mutable_read_directory()->set_attributes(true);
  int64_t seen = 0;
  metadata::v1::JobReply reply = two.run(request);
  for (const auto& entry : reply.entries()) {
    if (entry.inode() == file) seen = entry.attributes().mtime_ns();
  }
  EXPECT_EQ(seen, written.after.mtime_ns());
}

TEST_F(WrittenTimes, UtimesAfterAWriteStays) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  metadata::v1::NewAttributes past;
  past.set_mtime_ns(1'000'000'000);
  ASSERT_EQ(one.set(file, past).error(), 0);
  EXPECT_EQ(one.attributes(file).mtime_ns(), 1'000'000'000);
  EXPECT_EQ(two.attributes(file).mtime_ns(), 1'000'000'000);
  one.close();  // which notes what the groups have
  EXPECT_EQ(two.attributes(file).mtime_ns(), 1'000'000'000);
}

TEST_F(WrittenTimes, AWriteAfterUtimesShows) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  for (int64_t time : {int64_t{1'000'000'000}, int64_t{4'000'000'000'000'000'000}}) {  // 1970 and 2096
    metadata::v1::NewAttributes set;
    set.set_mtime_ns(time);
    ASSERT_EQ(one.set(file, set).error(), 0);
    ASSERT_EQ(two.attributes(file).mtime_ns(), time);
    FileWritten written = one.write(file, 0, "y");
    EXPECT_NE(one.attributes(file).mtime_ns(), time);
    EXPECT_EQ(one.attributes(file).mtime_ns(), two.attributes(file).mtime_ns());
    EXPECT_EQ(one.attributes(file).mtime_ns(), written.after.mtime_ns());
  }
}

TEST_F(WrittenTimes, UtimesStaysEvenIfTheWritersClockIsAhead) {
  FileSystemOptions ahead = calm_options();
  ahead.wall_clock_ns = [] {
    auto hour_ahead = std::chrono::system_clock::now().time_since_epoch() + std::chrono::hours(1);
    return static_cast<int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(hour_ahead).count());
  };
  BlockingFileSystem one(volume_, ahead), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  metadata::v1::NewAttributes past;
  past.set_mtime_ns(1'000'000'000);
  ASSERT_EQ(one.set(file, past).error(), 0);
  EXPECT_EQ(one.attributes(file).mtime_ns(), 1'000'000'000);
}

TEST_F(WrittenTimes, StampsGrowWithAClockThatStandsStill) {
  FileSystemOptions still = calm_options();
  still.wall_clock_ns = [] { return int64_t{5}; };
  BlockingFileSystem one(volume_, still), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  int64_t first = two.attributes(file).mtime_ns();
  one.write(file, 0, "yyyy");
  EXPECT_GT(two.attributes(file).mtime_ns(), first);
}

TEST_F(WrittenTimes, APauseTakesTheMarkAwayAndNotesWhatTheGroupsHave) {
  BlockingFileSystem one(volume_, quick()), two(volume_);
  uint64_t file = one.create("file");
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.call == Call::kJob && r.job->job_case() == JobRequest::kWritingPaused;
  });
  FileWritten written = one.write(file, 0, std::string(10'000, 'x'));
  EXPECT_EQ(stored_attributes(volume_, file).writers_size(), 1);
  volume_.release();
  ASSERT_TRUE(soon([&] { return stored_attributes(volume_, file).writers_size() == 0; }));
  FileAttributes stored = stored_attributes(volume_, file);
  EXPECT_EQ(stored.mtime_ns(), written.after.mtime_ns());
  EXPECT_EQ(stored.used_bytes(), 12'288u);
  uint64_t asked = volume_.count(Call::kInodeData);
  EXPECT_EQ(two.attributes(file).mtime_ns(), written.after.mtime_ns());
  EXPECT_EQ(volume_.count(Call::kInodeData), asked);
}

TEST_F(WrittenTimes, AWriteDuringAPauseSetsTheMarkAgain) {
  BlockingFileSystem one(volume_, quick()), two(volume_);
  uint64_t file = one.create("file");
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.call == Call::kJob && r.job->job_case() == JobRequest::kWritingPaused;
  });
  one.write(file, 0, std::string(10'000, 'x'));
  ASSERT_TRUE(soon([&] { return volume_.held() == 1; }));
  auto written = one.start_write({.inode = file,
                                  .offset = 0,
                                  .bytes = Buffer::copy_of(std::string_view("y")),
                                  .credentials = checked()});
  EXPECT_EQ(written.wait_for(std::chrono::milliseconds(30)), std::future_status::timeout);
  volume_.release();
  FileWritten result = written.get();
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(two.attributes(file).mtime_ns(), result.after.mtime_ns());
}

TEST_F(WrittenTimes, MarksAreGoneWhenTheFileSystemIsClosed) {
  BlockingFileSystem one(volume_);
  std::vector<uint64_t> files;
  for (int i = 0; i < 100; i++) {
    files.push_back(one.create("file" + std::to_string(i)));
    one.write(files.back(), 0, "x");
  }
  one.close();
  for (uint64_t file : files) EXPECT_EQ(stored_attributes(volume_, file).writers_size(), 0);
}

TEST_F(WrittenTimes, ThousandsOfMarksArePausedAtOnce) {
  BlockingFileSystem one(volume_, quick());
  std::vector<uint64_t> files;
  for (int i = 0; i < 2000; i++) {
    files.push_back(one.create("file" + std::to_string(i)));
    ASSERT_EQ(one.write(files.back(), 0, "x").error, 0);
  }
  EXPECT_TRUE(soon([&] {
    return std::ranges::all_of(
        files, [&](uint64_t file) { return stored_attributes(volume_, file).writers_size() == 0; });
  }));
}

TEST_F(WrittenTimes, AMarkOfADeadSessionIsTakenAwayBySomebodyElse) {
  FileSystemOptions options = calm_options();
  options.dead_mark_after_ms = 30;
  BlockingFileSystem two(volume_, options);
  uint64_t file = two.create("file");
  JobRequest open;
  open.mutable_open_session()->set_session(4711);
  ASSERT_EQ(volume_.run_now(open).error(), 0);
  JobRequest written;
  written.set_session(4711);
  written.mutable_written()->set_inode(file);
  written.mutable_written()->set_mark(true);
  written.mutable_written()->set_end(5);
  ASSERT_EQ(volume_.run_now(written).error(), 0);
  ASSERT_EQ(stored_attributes(volume_, file).writers_size(), 1);
  EXPECT_TRUE(soon([&] {
    two.attributes(file);
    return stored_attributes(volume_, file).writers_size() == 0;
  }));
}

TEST_F(WrittenTimes, AMarkOfALiveWriterStays) {
  FileSystemOptions options = calm_options();
  options.dead_mark_after_ms = 50;
  BlockingFileSystem one(volume_), two(volume_, options);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  for (int i = 0; i < 40; i++) {
    one.write(file, 0, "y");
    two.attributes(file);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(stored_attributes(volume_, file).writers_size(), 1);
}

TEST_F(WrittenTimes, AGuardMayBeATimeThatOnlyTheDataGroupsHave) {
  BlockingFileSystem one(volume_), two(volume_);
  uint64_t file = one.create("file");
  one.write(file, 0, "xxxx");
  one.write(file, 0, "y");
  int64_t ctime = two.attributes(file).ctime_ns();
  ASSERT_NE(ctime, stored_attributes(volume_, file).ctime_ns());
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_set_attributes()->set_inode(file);
  request.mutable_set_attributes()->set_guard_ctime_ns(ctime);
  request.mutable_set_attributes()->mutable_set()->set_mode(0600);
  EXPECT_EQ(two.run(request).error(), 0);
  EXPECT_EQ(two.run(request).error(), EAGAIN);  // it has changed
}

TEST_F(WrittenTimes, CallsThatWaitToBeSentShareAJobButNotOneThatWasSentBefore) {
  BlockingFileSystem one(volume_);
  uint64_t file = one.create("file");
  JobRequest get;
  get.mutable_get_attributes()->set_inode(file);
  volume_.hold([](const MemoryVolume::Request& r) {
    return r.call == Call::kJob && r.job->job_case() == JobRequest::kGetAttributes;
  });
  uint64_t before = volume_.count(JobRequest::kGetAttributes);
  std::vector<std::future<metadata::v1::JobReply>> replies;
  for (int i = 0; i < 4; i++) {  // fills the slots of one inode, one after another
    replies.push_back(one.start(get));
    ASSERT_TRUE(soon([&] { return volume_.held() == replies.size(); }));
  }
  for (int i = 0; i < 100; i++) replies.push_back(one.start(get));
  metadata::v1::NewAttributes mode;
  mode.set_mode(0600);
  ASSERT_EQ(one.set(file, mode).error(), 0);
  volume_.release();
  for (auto& reply : replies) EXPECT_EQ(reply.get().attributes().mode(), 0600u);
  EXPECT_LE(volume_.count(JobRequest::kGetAttributes), before + 6);
  EXPECT_GE(volume_.count(JobRequest::kGetAttributes), before + 5);
}

}  // namespace
}  // namespace shima
