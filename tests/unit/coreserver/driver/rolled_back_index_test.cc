// Rot in RocksDB's log drops the index's newest writes: what the journal has given back tells.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "coreserver/driver/core_server.h"
#include "coreserver/driver/group_checkpoint.h"
#include "coreserver/driver/server_disk.h"

namespace shima {
namespace {

class RolledBackIndex : public testing::Test {
 protected:
  RolledBackIndex() {
    path_ = std::filesystem::temp_directory_path() / "shima-rolled-back-XXXXXX";
    SHIMA_CHECK(mkdtemp(path_.data()), "no folder of temporary files");
    options_.name = "site-a/core-0";
    options_.site = "site-a";
    options_.journal_segment_bytes = 1 << 20;
    options_.journal_max_bytes = 8 << 20;
    options_.disks = {{path_}};
    options_.client.address = options_.storage.address = options_.wan.address = "127.0.0.1";
    options_.etcd_endpoints = {"127.0.0.1:1"};  // nobody: the disk is opened nevertheless
    options_.etcd_timeout_ms = 200;
  }
  ~RolledBackIndex() override { std::filesystem::remove_all(path_); }

  void append(ServerDisk& disk, uint64_t sequence) {
    auto record = std::make_shared<Record>();
    record->header.group = group_;
    record->header.position = {Term(1), Sequence(sequence)};
    record->header.previous_term = Term(sequence > 1 ? 1 : 0);
    record->header.kind = RecordKind::kNoop;
    std::promise<Status> durable;
    disk.journal().append(record, [&](Status status) { durable.set_value(std::move(status)); });
    ASSERT_TRUE(durable.get_future().get());
  }
  // As a group does that has applied its records up to there.
  void checkpoint_and_release(ServerDisk& disk, uint64_t sequence) {
    GroupCheckpoint checkpoint;
    checkpoint.volume = "db";
    checkpoint.block_size = 1 << 20;
    if (sequence) checkpoint.position = {Term(1), Sequence(sequence)};
    ASSERT_TRUE(disk.blocks().checkpoint(group_, encode_checkpoint(checkpoint)));
    if (sequence) disk.journal().release(group_, Sequence(sequence));
  }
  std::string index_log() const {
    std::string newest;
    for (const auto& entry : std::filesystem::directory_iterator(path_ + "/index"))
      if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
    return newest;
  }
  // Starts the server and ends it; what it said.
  std::string said_at_a_start() {
    testing::internal::CaptureStderr();
    auto server = CoreServer::start(options_);
    EXPECT_TRUE(server.is_ok()) << server.status().to_string();
    if (server.is_ok()) (*server)->stop();
    return testing::internal::GetCapturedStderr();
  }

  const GroupId group_{VolumeId(11), GroupIndex(3)};
  std::string path_;
  ServerOptions options_;
};

TEST_F(RolledBackIndex, DamagesAnIdleGroupWhoseJournalIsEmpty) {
  uint64_t before = 0;
  {
    auto disk = ServerDisk::open(path_, options_);
    ASSERT_TRUE(disk) << disk.status().to_string();
    checkpoint_and_release(**disk, 0);
    append(**disk, 1);
    append(**disk, 2);
    checkpoint_and_release(**disk, 1);
    before = std::filesystem::file_size(index_log());
    checkpoint_and_release(**disk, 2);
  }
  const std::string log = index_log();
  ASSERT_GT(std::filesystem::file_size(log), before);
  {
    std::fstream file(log, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(before) + 20);
    file.put('\x5a');
  }
  for (int start = 0; start < 2; ++start) {
    const std::string said = said_at_a_start();
    EXPECT_NE(said.find("blocks up to 1:1, 0 records in the journal; DAMAGED"), std::string::npos) << said;
    EXPECT_NE(said.find("the index has lost its newest writes"), std::string::npos) << said;
  }
}

TEST_F(RolledBackIndex, IsNotSeenInAnIndexThatIsWhole) {
  {
    auto disk = ServerDisk::open(path_, options_);
    ASSERT_TRUE(disk) << disk.status().to_string();
    checkpoint_and_release(**disk, 0);
    append(**disk, 1);
    checkpoint_and_release(**disk, 1);
  }
  const std::string said = said_at_a_start();
  EXPECT_NE(said.find("blocks up to 1:1, 0 records in the journal"), std::string::npos) << said;
  EXPECT_EQ(said.find("DAMAGED"), std::string::npos) << said;
}

}  // namespace
}  // namespace shima
