// A volume client at a site that is not the volume's home and has a replica, for tests of R17.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tests/unit/accessserver/volume/volume_client_fixture.h"

namespace shima {

// The home "here" as in VolumeClientTest, and one server at "there" with a replica of all groups, to which
// the test ships.
class ReplicaReadsTest : public VolumeClientTest {
 protected:
  static constexpr InodeId kFile{5};

  void SetUp() override {
    VolumeClientTest::SetUp();
    VolumeLayout layout = source_.fetch("db").value();
    layout.sites = {"here", "there"};
    for (GroupLayout& group : layout.groups)
      group.members.push_back(there_->member(MemberKind::kRemote, "there"));
    source_.set(layout);
  }
  void TearDown() override { client_.reset(); }

  // With the default wait for the replica's bytes, a stall of the machine would send reads home.
  void open_there(VolumeClientOptions options = {}) {
    options.own_site = "there";
    if (options.replica_wait_ms == VolumeClientOptions().replica_wait_ms) options.replica_wait_ms = 20'000;
    open(options);
  }

  void write(uint64_t offset, uint64_t length, uint64_t seed, WriteTags tags = {}) {
    Status status = write_file(kFile, offset, random_bytes(length, seed), tags);
    ASSERT_TRUE(status.is_ok()) << status.to_string();
  }
  void ship() { volume_->ship_all(*there_volume_); }

  // What was asked since the last call, of whom.
  struct Asked {
    size_t versions = 0, home = 0, replica = 0;
    bool operator==(const Asked&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Asked& asked) {
      return out << asked.versions << " versions, " << asked.home << " pieces at home, " << asked.replica
                 << " at the replica";
    }
  };
  Asked asked() {
    Asked sum;
    {
      std::lock_guard lock(volume_->mutex);
      for (const auto& read : std::exchange(volume_->reads, {})) {
        EXPECT_FALSE(read.own_replica());
        ++(read.version_only() ? sum.versions : sum.home);
      }
    }
    std::lock_guard lock(there_volume_->mutex);
    for (const auto& read : std::exchange(there_volume_->reads, {})) {
      EXPECT_TRUE(read.own_replica() && !read.version_only());
      sum.replica++;
    }
    return sum;
  }

  std::shared_ptr<FakeVolume> there_volume_ = std::make_shared<FakeVolume>(kBlock);
  std::unique_ptr<FakeCoreServer> there_ = std::make_unique<FakeCoreServer>(there_volume_, 3);
};

}  // namespace shima
