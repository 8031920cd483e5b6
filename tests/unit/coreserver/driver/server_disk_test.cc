// Disks of a server: who begins one, and what no start takes.
#include "coreserver/driver/server_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <thread>

#include "common/types/crc32c.h"
#include "coreserver/driver/core_server.h"
#include "coreserver/driver/group_checkpoint.h"
#include "coreserver/journal/segment_format.h"

namespace shima {
namespace {

class ServerDiskTest : public testing::Test {
 protected:
  ServerDiskTest() {
    folder_ = std::filesystem::temp_directory_path() / "shima-server-disk-XXXXXX";
    SHIMA_CHECK(mkdtemp(folder_.data()), "no folder of temporary files");
    options_.name = "site-a/core-0";
    options_.site = "site-a";
    options_.journal_segment_bytes = 1 << 20;
    options_.journal_max_bytes = 8 << 20;
  }
  ~ServerDiskTest() override { std::filesystem::remove_all(folder_); }

  std::string directory(const std::string& name) {
    std::filesystem::create_directories(folder_ + "/" + name);
    return folder_ + "/" + name;
  }
  // A disk with one group that has no records yet.
  void begin_disk_with(const std::string& path, GroupId group) {
    auto disk = ServerDisk::open(path, options_);
    ASSERT_TRUE(disk) << disk.status().to_string();
    GroupCheckpoint checkpoint;
    checkpoint.volume = "db";
    checkpoint.block_size = 1 << 20;
    ASSERT_TRUE((*disk)->blocks().checkpoint(group, encode_checkpoint(checkpoint)));
  }

  std::string folder_;
  ServerOptions options_;
};

// Of two processes that start at once on an empty directory, the second takes the first one's disk.
TEST_F(ServerDiskTest, ADiskThatIsBegunMeanwhileIsNotBegunAnew) {
  constexpr uint64_t kTheirs = 0xd15c;
  const std::string path = directory("d0");
  const int other = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_GE(other, 0);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> id{0};
  std::thread start([&] {
    auto disk = ServerDisk::open(path, options_);
    if (disk) id = (*disk)->id();
    done = true;
  });
  for (int i = 0; i < 30 && !done; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(done) << "it waits for the other one";
  const Buffer bytes = superblock_bytes(kTheirs, options_.name);
  std::ofstream(path + "/superblock.new", std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  std::filesystem::rename(path + "/superblock.new", path + "/superblock");
  ::close(other);
  start.join();
  EXPECT_EQ(id, kTheirs);
  EXPECT_EQ(ServerDisk::probe(path, options_).value(), kTheirs);
}

// Recovery writes: it would zero what the first process has just made durable.
TEST_F(ServerDiskTest, ADiskInUseIsNotTouched) {
  const std::string path = directory("d0");
  auto first = ServerDisk::open(path, options_);
  ASSERT_TRUE(first) << first.status().to_string();
  const auto listed = [&] {
    std::map<std::string, std::filesystem::file_time_type> files;
    for (const auto& each : std::filesystem::directory_iterator(path + "/journal"))
      files[each.path()] = each.last_write_time();
    return files;
  };
  // Its thread prepares a segment at first.
  const auto prepared = [&] { return std::filesystem::exists(path + "/journal/" + segment_file_name(1)); };
  for (int i = 0; i < 60'000 && !prepared(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto before = listed();
  const Status refused = ServerDisk::open(path, options_).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.to_string();
  EXPECT_NE(refused.message().find("another process serves this disk"), std::string::npos);
  EXPECT_EQ(listed(), before);
  first->reset();
  EXPECT_TRUE(ServerDisk::open(path, options_)) << "its end frees the disk";
}

TEST_F(ServerDiskTest, AGroupOnTwoDisksIsRefusedAndBothAreNamed) {
  const std::string one = directory("d0"), two = directory("d1");
  const GroupId group{VolumeId(11), GroupIndex(3)};
  begin_disk_with(one, group);
  begin_disk_with(two, group);
  options_.disks = {{one}, {two}};
  options_.etcd_endpoints = {"127.0.0.1:1"};  // nobody: the disks are opened nevertheless
  options_.etcd_timeout_ms = 200;
  const Status refused = CoreServer::start(options_).status();
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.to_string();
  EXPECT_NE(refused.message().find(one + " and on " + two), std::string::npos) << refused.to_string();
}

// What the journal has may be the second copy of acknowledged data: it is not taken for a deletion's rest.
TEST_F(ServerDiskTest, ALostIndexBesideAJournalWithRecordsIsRefusedAndTheRecordsStay) {
  const std::string path = directory("d0");
  const GroupId group{VolumeId(11), GroupIndex(3)};
  begin_disk_with(path, group);
  {
    auto disk = ServerDisk::open(path, options_);
    ASSERT_TRUE(disk) << disk.status().to_string();
    auto record = std::make_shared<Record>();
    record->header.group = group;
    record->header.position = {Term(1), Sequence(1)};
    record->header.kind = RecordKind::kPunch;
    record->header.inode = InodeId(1);
    record->header.length = kChunkSize;
    std::promise<Status> durable;
    (*disk)->journal().append(record, [&](Status status) { durable.set_value(std::move(status)); });
    ASSERT_TRUE(durable.get_future().get());
  }
  const std::string away = folder_ + "/index-away";
  std::filesystem::rename(path + "/index", away);
  options_.disks = {{path}};
  options_.etcd_endpoints = {"127.0.0.1:1"};  // nobody: the disk is opened nevertheless
  options_.etcd_timeout_ms = 200;
  for (int start = 0; start < 2; ++start) {
    const Status refused = CoreServer::start(options_).status();
    EXPECT_EQ(refused.code(), Code::kCorrupt) << refused.to_string();
    EXPECT_NE(refused.message().find("journal/ has records of groups"), std::string::npos)
        << refused.to_string();
  }
  std::filesystem::remove_all(path + "/index");
  std::filesystem::rename(away, path + "/index");
  auto disk = ServerDisk::open(path, options_);
  ASSERT_TRUE(disk) << disk.status().to_string();
  EXPECT_EQ((*disk)->journal().take_recovered()[group].records.size(), 1u);
}

}  // namespace
}  // namespace shima
