#include "accessserver/nfs/nfs_permissions.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "accessserver/nfs/nfs3_attributes.h"
#include "accessserver/nfs/nfs_handle.h"
#include "accessserver/nfs/nfs_status.h"

namespace shima {
namespace {

using metadata::v1::Credentials;

RpcCredentials caller(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {}) {
  RpcCredentials c;
  c.flavor = RpcAuthFlavor::kSys;
  c.uid = uid;
  c.gid = gid;
  for (uint32_t group : groups) c.group_list[c.group_count++] = group;
  return c;
}

TEST(NfsCredentials, ArePassedOnWithoutSquash) {
  Credentials c = credentials_of(caller(0, 0, {0, 7}), {.allowed = true});
  EXPECT_EQ(c.uid(), 0u);
  EXPECT_EQ(c.gid(), 0u);
  EXPECT_EQ(c.groups_size(), 2);
  EXPECT_FALSE(c.checked());
}

TEST(NfsCredentials, RootSquashReplacesRootAndItsGroupOnly) {
  Access access{.squash = Squash::kRoot, .anonymous_uid = 60, .anonymous_gid = 61};
  Credentials root = credentials_of(caller(0, 5, {0, 7}), access);
  EXPECT_EQ(root.uid(), 60u);
  EXPECT_EQ(root.gid(), 61u);
  EXPECT_EQ(root.groups(0), 61u);
  EXPECT_EQ(root.groups(1), 7u);
  Credentials user = credentials_of(caller(5, 0, {0}), access);
  EXPECT_EQ(user.uid(), 5u);
  EXPECT_EQ(user.gid(), 61u);
  EXPECT_EQ(user.groups(0), 61u);
}

TEST(NfsCredentials, SquashAllAndAuthNoneAreAnonymous) {
  for (bool none : {false, true}) {
    Access access{.squash = none ? Squash::kNone : Squash::kAll};
    RpcCredentials c = none ? RpcCredentials() : caller(5, 6, {7});
    Credentials squashed = credentials_of(c, access);
    EXPECT_EQ(squashed.uid(), 65534u);
    EXPECT_EQ(squashed.gid(), 65534u);
    EXPECT_EQ(squashed.groups_size(), 0);
  }
}

FileAttributes file(metadata::v1::FileType type, uint32_t mode) {
  FileAttributes a;
  a.set_type(type);
  a.set_mode(mode);
  a.set_uid(10);
  a.set_gid(20);
  return a;
}

Credentials user(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {}) {
  Credentials c;
  c.set_uid(uid);
  c.set_gid(gid);
  for (uint32_t group : groups) c.add_groups(group);
  return c;
}

TEST(NfsAccess, TheFirstClassThatFitsDecides) {
  FileAttributes f = file(metadata::v1::FILE_TYPE_REGULAR, 0047);
  EXPECT_EQ(allowed_access(f, user(10, 20), false, 63), 0u);  // the owner has less than everybody
  EXPECT_EQ(allowed_access(f, user(11, 20), false, 63), kAccessRead);
  EXPECT_EQ(allowed_access(f, user(11, 5, {20}), false, 63), kAccessRead);
  EXPECT_EQ(allowed_access(f, user(11, 5), false, 63),
            kAccessRead | kAccessModify | kAccessExtend | kAccessExecute);
  EXPECT_EQ(allowed_access(f, user(11, 5), false, kAccessRead | kAccessDelete), kAccessRead);
}

TEST(NfsAccess, DirectoriesNeedSearchToBeChanged) {
  FileAttributes d = file(metadata::v1::FILE_TYPE_DIRECTORY, 0730);
  EXPECT_EQ(allowed_access(d, user(10, 1), false, 63),
            kAccessRead | kAccessLookup | kAccessModify | kAccessExtend | kAccessDelete);
  EXPECT_EQ(allowed_access(d, user(11, 20), false, 63),
            kAccessLookup | kAccessModify | kAccessExtend | kAccessDelete);
  d.set_mode(0600);
  EXPECT_EQ(allowed_access(d, user(10, 1), false, 63), kAccessRead);
}

TEST(NfsAccess, RootMayAllButExecuteWhatNobodyMay) {
  FileAttributes f = file(metadata::v1::FILE_TYPE_REGULAR, 0);
  EXPECT_EQ(allowed_access(f, user(0, 0), false, 63), kAccessRead | kAccessModify | kAccessExtend);
  f.set_mode(0001);
  EXPECT_EQ(allowed_access(f, user(0, 0), false, 63),
            kAccessRead | kAccessModify | kAccessExtend | kAccessExecute);
  EXPECT_EQ(allowed_access(f, user(0, 0), true, 63), kAccessRead | kAccessExecute);  // read-only export
}

TEST(NfsHandle, EncodesAndDecodesInThirtyTwoBytes) {
  NfsHandle handle{.volume = 0x0102030405060708, .inode = 99, .generation = 1, .life = 7};
  std::string bytes = handle.encode();
  EXPECT_EQ(bytes.size(), 32u);
  auto span = [](const std::string& s) {
    return std::span(reinterpret_cast<const uint8_t*>(s.data()), s.size());
  };
  EXPECT_EQ(NfsHandle::decode(span(bytes)), handle);
  for (size_t i = 0; i < 4; i++) {  // magic and version
    std::string other = bytes;
    other[i] ^= 1;
    EXPECT_FALSE(NfsHandle::decode(span(other)).has_value());
  }
  for (size_t size : {0, 1, 31}) EXPECT_FALSE(NfsHandle::decode(span(bytes.substr(0, size))).has_value());
  EXPECT_FALSE(NfsHandle::decode(span(bytes + "x")).has_value());
  EXPECT_FALSE(NfsHandle::decode(span(NfsHandle{.volume = 1, .inode = 0, .life = 1}.encode())).has_value());
}

TEST(NfsStatus, ErrnosHaveTheNumbersOfTheRfc) {
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(0)), 0);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(ENOENT)), 2);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(ENAMETOOLONG)), 63);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(ENOTEMPTY)), 66);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(EDQUOT)), 69);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(ESTALE)), 70);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(EMLINK)), 31);
  EXPECT_EQ(static_cast<int>(nfs_status_of_errno(4321)), 5);
  EXPECT_EQ(nfs_status_of(Status(Code::kNotFound, "")), NfsStatus::kStale);
  EXPECT_EQ(nfs_status_of(Status(Code::kUnavailable, "")), NfsStatus::kJukebox);
  EXPECT_EQ(mount_status_of(NfsStatus::kJukebox), NfsStatus::kServerFault);
}

TEST(NfsTime, BeforeTheEpochAndAfterTheLastSecondIsTheNearest) {
  auto sent = [](int64_t time_ns) {
    XdrWriter out;
    put_nfstime3(out, time_ns);
    XdrReader in(Buffer::copy_of(out.flat()));
    uint32_t seconds = in.u32();
    return std::pair(seconds, in.u32());
  };
  EXPECT_EQ(sent(-1), std::pair(0u, 0u));
  EXPECT_EQ(sent(1'500'000'000), std::pair(1u, 500'000'000u));
  EXPECT_EQ(sent(INT64_MAX), std::pair(UINT32_MAX, 999'999'999u));
}

}  // namespace
}  // namespace shima
