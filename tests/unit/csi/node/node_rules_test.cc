#include <gtest/gtest.h>
#include <sys/mount.h>

#include "csi/node/capability_rules.h"
#include "csi/node/mount_flags.h"
#include "csi/node/nfs_options.h"
#include "csi/node/stage_record.h"
#include "csi/node/volume_group.h"

namespace shima {
namespace {

using Mode = ::csi::v1::VolumeCapability::AccessMode;

TEST(MountFlags, KnownOnesBecomeMountsOwn) {
  const auto flags = parse_mount_flags({"noexec", "ro", "nosuid", "noatime", "noexec"}, FileProtocol::kFuse);
  ASSERT_TRUE(flags.is_ok());
  EXPECT_EQ(flags->flags, static_cast<unsigned long>(MS_NOEXEC | MS_NOSUID | MS_NOATIME));
  EXPECT_EQ(flags->read_only, true);
  EXPECT_EQ(flags->given, (std::vector<std::string>{"noatime", "noexec", "nosuid", "ro"}));
}

TEST(MountFlags, OthersAreRefusedByName) {
  for (const char* flag :
       {"allow_other", "bind", "remount", "nconnect=4", "ro,exec", "", "NOEXEC", "addr=1.2.3.4"}) {
    const Status status = parse_mount_flags({"ro", flag}, FileProtocol::kFuse).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << flag;
    EXPECT_NE(status.message().find("\"" + std::string(flag) + "\""), std::string::npos);
  }
  EXPECT_FALSE(parse_mount_flags(std::vector<std::string>(33, "ro"), FileProtocol::kFuse).is_ok());
}

TEST(MountFlags, NfsTakesAFewConnectionsMore) {
  EXPECT_EQ(parse_mount_flags({"nconnect=16"}, FileProtocol::kNfs)->nfs,
            std::vector<std::string>{"nconnect=16"});
  for (const char* flag : {"nconnect=0", "nconnect=17", "nconnect=", "nconnect=4,sync", "nconnect=160"}) {
    EXPECT_FALSE(parse_mount_flags({flag}, FileProtocol::kNfs).is_ok()) << flag;
  }
}

TEST(NfsMountOptions, NameTheServersAddressAndBothPorts) {
  const auto mount = nfs_mount("nfs.site-a:2049", "10.1.0.200", "vm1", {"nconnect=4"});
  ASSERT_TRUE(mount.is_ok());
  EXPECT_EQ(mount->source, "10.1.0.200:/vm1");
  EXPECT_EQ(mount->options,
            "nfsvers=3,proto=tcp,port=2049,mountproto=tcp,mountport=2049,mountvers=3,nolock,hard,noac,"
            "lookupcache=none,nconnect=4,mountaddr=10.1.0.200,addr=10.1.0.200");
  EXPECT_EQ(nfs_mount("[fd00::1]:2049", "fd00::1", "vm1", {})->source, "[fd00::1]:/vm1");
  for (const char* server : {"", "a", "a:", ":1", "a:0", "a:65536", "a,b:1", "a b:1"}) {
    EXPECT_FALSE(nfs_mount(server, "10.1.0.1", "vm1", {}).is_ok()) << server;
  }
}

StageRecord full_record() {
  StageRecord record;
  record.volume = "vm1";
  record.staging_path = "/stage/vm1";
  record.block = true;
  record.flags = {"noatime"};
  record.mount_group = 107;
  record.publication = 12;
  record.size_bytes = 1ull << 40;
  record.phase = StagePhase::kUnstaging;
  record.loop = 3;
  record.targets = {{"/t1", true, {"noexec"}}};
  return record;
}

TEST(StageRecordText, ComesBackAsItWas) {
  const StageRecord record = full_record();
  const auto back = stage_record_from_json(to_json(record));
  ASSERT_TRUE(back.is_ok()) << back.status().to_string();
  EXPECT_TRUE(back->compatible_with(record));
  EXPECT_EQ(back->targets, record.targets);
  EXPECT_EQ(back->loop, 3u);
  EXPECT_EQ(back->read_only_loop, std::nullopt);
  EXPECT_EQ(back->size_bytes, record.size_bytes);
  EXPECT_EQ(back->phase, StagePhase::kUnstaging);
  EXPECT_EQ(to_json(*back), to_json(record));
}

TEST(StageRecordText, HostileTextIsRefusedAndNeverThrows) {
  const std::string good = to_json(full_record());
  for (size_t end = 0; end + 2 < good.size(); ++end)
    EXPECT_FALSE(stage_record_from_json(good.substr(0, end)).is_ok());
  for (const char spoil : {'"', '[', '9', '{', '-'}) {
    for (size_t at = 0; at < good.size(); ++at) {
      std::string spoiled = good;
      spoiled[at] = spoil;
      const auto record = stage_record_from_json(spoiled);
      if (record) {
        EXPECT_TRUE(can_name_record(record->volume));
      }
    }
  }
}

TEST(StageRecordText, AnotherCapabilityIsNotCompatible) {
  StageRecord other = full_record();
  EXPECT_TRUE(full_record().compatible_with(other));
  other.mount_group = 108;
  EXPECT_FALSE(full_record().compatible_with(other));
  other = full_record();
  other.block = false;
  EXPECT_FALSE(full_record().compatible_with(other));
}

TEST(VolumeGroup, IsANumber) {
  EXPECT_EQ(*parse_group("107"), 107u);
  for (const char* text : {"", "qemu", "-1", "4294967295", "99999999999", "1 ", "0x1"}) {
    EXPECT_EQ(parse_group(text).status().code(), Code::kInvalidArgument) << text;
  }
}

::csi::v1::NodePublishVolumeRequest publish() {
  ::csi::v1::NodePublishVolumeRequest request;
  request.set_volume_id("vm1");
  request.set_staging_target_path("/stage");
  request.set_target_path("/target");
  request.mutable_volume_capability()->mutable_mount();
  request.mutable_volume_capability()->mutable_access_mode()->set_mode(Mode::MULTI_NODE_MULTI_WRITER);
  return request;
}

TEST(CapabilityRules, APublishRequestIsRead) {
  auto request = publish();
  request.set_readonly(true);
  request.mutable_volume_capability()->mutable_mount()->add_mount_flags("noexec");
  const auto wanted = publish_request(request);
  ASSERT_TRUE(wanted.is_ok()) << wanted.status().to_string();
  EXPECT_EQ(wanted->target, (PublishedTarget{"/target", true, {"noexec"}}));
  EXPECT_FALSE(wanted->block);
}

TEST(CapabilityRules, EachMissingOrWrongFieldIsNamed) {
  const auto refused = [](const std::function<void(::csi::v1::NodePublishVolumeRequest&)>& spoil,
                          const char* field, Code code = Code::kInvalidArgument) {
    auto request = publish();
    spoil(request);
    const Status status = publish_request(request).status();
    return status.code() == code && status.message().find(field) != std::string::npos;
  };
  EXPECT_TRUE(refused([](auto& r) { r.clear_volume_id(); }, "volume_id"));
  EXPECT_TRUE(refused([](auto& r) { r.set_volume_id(std::string(129, 'a')); }, "volume_id"));
  EXPECT_TRUE(refused([](auto& r) { r.clear_target_path(); }, "target_path"));
  EXPECT_TRUE(refused([](auto& r) { r.clear_volume_capability(); }, "volume_capability"));
  EXPECT_TRUE(refused([](auto& r) { r.mutable_volume_capability()->clear_access_type(); }, "access type"));
  EXPECT_TRUE(refused([](auto& r) { r.mutable_volume_capability()->clear_access_mode(); }, "access_mode"));
  EXPECT_TRUE(refused(
      [](auto& r) {
        r.mutable_volume_capability()->mutable_access_mode()->set_mode(static_cast<Mode::Mode>(99));
      },
      "access_mode"));
  EXPECT_TRUE(refused([](auto& r) { r.mutable_volume_capability()->mutable_mount()->set_fs_type("ext4"); },
                      "fs_type"));
  EXPECT_TRUE(refused([](auto& r) { (*r.mutable_volume_context())["protocol"] = "smb"; }, "protocol"));
  EXPECT_TRUE(refused([](auto& r) { (*r.mutable_publish_context())["x"] = std::string(5000, 'x'); },
                      "publish_context"));
  EXPECT_TRUE(refused([](auto& r) { r.clear_staging_target_path(); }, "staging_target_path",
                      Code::kFailedPrecondition));
}

TEST(CapabilityRules, ReaderModesAreReadOnlyAndSingleWriterHasOneTarget) {
  auto request = publish();
  request.mutable_volume_capability()->mutable_access_mode()->set_mode(Mode::MULTI_NODE_READER_ONLY);
  EXPECT_TRUE(publish_request(request)->target.read_only);
  request.mutable_volume_capability()->mutable_access_mode()->set_mode(Mode::SINGLE_NODE_SINGLE_WRITER);
  EXPECT_TRUE(publish_request(request)->single_writer);
  request.mutable_volume_capability()->mutable_access_mode()->set_mode(Mode::SINGLE_NODE_MULTI_WRITER);
  EXPECT_FALSE(publish_request(request)->single_writer);
}

}  // namespace
}  // namespace shima
