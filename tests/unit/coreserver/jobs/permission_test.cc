#include "coreserver/jobs/permission.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

pb::Attributes file(uint32_t mode, pb::FileType type = pb::FILE_TYPE_REGULAR) {
  pb::Attributes a;
  a.set_type(type);
  a.set_mode(mode);
  a.set_uid(10);
  a.set_gid(20);
  return a;
}

TEST(Permission, TheFirstClassThatFitsDecides) {
  const pb::Credentials owner = user(10, 20), member = user(11, 21, {20}), other = user(12, 22);
  EXPECT_EQ(check_access(file(0700), owner, 7), 0);
  EXPECT_EQ(check_access(file(0700), member, 4), EACCES);
  EXPECT_EQ(check_access(file(0077), owner, 4), EACCES) << "the owner does not profit from the others' bits";
  EXPECT_EQ(check_access(file(0707), member, 4), EACCES) << "nor does the group";
  EXPECT_EQ(check_access(file(0050), member, 5), 0);
  EXPECT_EQ(check_access(file(0050), member, 7), EACCES);
  EXPECT_EQ(check_access(file(0004), other, 4), 0);
  EXPECT_EQ(check_access(file(0004), other, 2), EACCES);
  EXPECT_EQ(check_access(file(0), other, 0), 0);
}

TEST(Permission, RootMayDoAllButExecuteWhatNobodyMay) {
  EXPECT_EQ(check_access(file(0), user(0, 0), 6), 0);
  EXPECT_EQ(check_access(file(0666), user(0, 0), 1), EACCES);
  EXPECT_EQ(check_access(file(0001), user(0, 0), 7), 0);
  EXPECT_EQ(check_access(file(0, pb::FILE_TYPE_DIRECTORY), user(0, 0), 7), 0);
}

TEST(Permission, WhatTheKernelHasCheckedIsAllowed) {
  EXPECT_EQ(check_access(file(0), checked_by_kernel(12, 22), 7), 0);
}

TEST(Permission, AStickyDirectoryGivesUpToItsOwnerTheEntrysOwnerAndRoot) {
  pb::Attributes directory = file(01777, pb::FILE_TYPE_DIRECTORY), victim = file(0644);
  directory.set_uid(5);
  EXPECT_EQ(check_sticky(directory, victim, user(10, 1)), 0);
  EXPECT_EQ(check_sticky(directory, victim, user(5, 1)), 0);
  EXPECT_EQ(check_sticky(directory, victim, user(0, 0)), 0);
  EXPECT_EQ(check_sticky(directory, victim, user(6, 20)), EPERM);
  directory.set_mode(0777);
  EXPECT_EQ(check_sticky(directory, victim, user(6, 20)), 0);
}

TEST(Permission, SetIdBitsAreLostAsLinuxLosesThem) {
  EXPECT_EQ(without_set_id(file(06755), user(10, 20)), 0755u);
  EXPECT_EQ(without_set_id(file(06745), user(10, 20)), 02745u)
      << "no group execution: a bit for locking, kept";
  EXPECT_EQ(without_set_id(file(06745), user(10, 99)), 0745u) << "but not by one of another group";
  EXPECT_EQ(without_set_id(file(06745), user(0, 0)), 02745u);
}

}  // namespace
}  // namespace shima
