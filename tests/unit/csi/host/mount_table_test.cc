#include "csi/host/mount_table.h"

#include <gtest/gtest.h>

#include "csi/host/kernel_mounts.h"

namespace shima {
namespace {

constexpr char kTable[] =
    "21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
    "90 21 0:52 / /var/lib/kubelet/with\\040blank rw,nosuid,relatime shared:5 master:2 - fuse.shima "
    "shima:vm1 "
    "rw,user_id=0,group_id=0\n"
    "91 21 0:52 / /target ro,relatime - fuse.shima shima:vm1 rw\n"
    "92 21 0:5 /loop3 /device rw - devtmpfs devtmpfs rw\n"
    "93 21 0:60 / /nfs rw - nfs 10.1.0.200:/vm2 rw,vers=3\n"
    "94 91 0:61 / /target rw - fuse.shima shima:vm1 rw\n";

TEST(MountTable, EveryFieldIsRead) {
  const auto table = parse_mount_table(kTable);
  ASSERT_TRUE(table.is_ok()) << table.status().to_string();
  ASSERT_EQ(table->entries().size(), 6u);
  const MountEntry* fuse = table->at("/var/lib/kubelet/with blank");
  ASSERT_NE(fuse, nullptr);
  EXPECT_EQ(fuse->mount_id, 90u);
  EXPECT_EQ(fuse->device_minor, 52u);
  EXPECT_EQ(fuse->type, "fuse.shima");
  EXPECT_EQ(fuse->super_options, "rw,user_id=0,group_id=0");
  EXPECT_TRUE(fuse->has_option("nosuid"));
  EXPECT_FALSE(fuse->has_option("suid"));
  EXPECT_EQ(table->at("/device")->root, "/loop3");
}

TEST(MountTable, TheUppermostMountOfAPathIsSeen) {
  const auto table = parse_mount_table(kTable);
  EXPECT_EQ(table->at("/target")->device_minor, 61u);
  EXPECT_EQ(table->depth("/target"), 2u);
  EXPECT_EQ(table->at("/targe"), nullptr);
  EXPECT_EQ(table->depth("/none"), 0u);
}

TEST(MountTable, MountsAreKnownByVolume) {
  const auto table = parse_mount_table(kTable);
  EXPECT_TRUE(is_fuse_mount_of(*table->at("/target"), "vm1"));
  EXPECT_FALSE(is_fuse_mount_of(*table->at("/target"), "vm"));
  EXPECT_FALSE(is_fuse_mount_of(*table->at("/nfs"), "vm2"));
  EXPECT_TRUE(is_nfs_mount_of(*table->at("/nfs"), "vm2"));
  EXPECT_FALSE(is_nfs_mount_of(*table->at("/nfs"), "2"));
}

TEST(MountTable, WhatIsNoTableIsRefused) {
  for (const char* text : {"x", "1 2 3 4 5 6 7", "1 2 0:1 / / rw - ext4", "a 1 0:1 / / rw - ext4 x rw",
                           "1 2 01 / / rw - ext4 x rw", "1 2 0: / / rw - ext4 x rw"}) {
    EXPECT_EQ(parse_mount_table(text).status().code(), Code::kCorrupt) << text;
  }
  EXPECT_TRUE(parse_mount_table("")->entries().empty());
}

TEST(MountTable, ThisMachinesIsRead) {
  const auto table = read_mount_table();
  ASSERT_TRUE(table.is_ok()) << table.status().to_string();
  EXPECT_NE(table->at("/proc"), nullptr);
}

TEST(FileSystems, AreFoundByWholeNames) {
  constexpr char kList[] = "nodev\tsysfs\n\text4\nnodev\tnfsd\n";
  EXPECT_TRUE(lists_file_system(kList, "ext4"));
  EXPECT_TRUE(lists_file_system(kList, "sysfs"));
  EXPECT_FALSE(lists_file_system(kList, "nfs"));
}

}  // namespace
}  // namespace shima
