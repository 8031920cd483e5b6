#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

struct Xattr : testing::Test {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f", 0644);

  pb::JobReply set_reply(uint64_t inode, const std::string& name, const std::string& value,
                         bool create = false, bool replace = false) {
    pb::JobRequest request;
    pb::SetXattr& job = *request.mutable_set_xattr();
    job.set_inode(inode);
    job.set_name(name);
    job.set_value(value);
    job.set_create(create);
    job.set_replace(replace);
    return volume.run(request);
  }
  int set(const std::string& name, const std::string& value, bool create = false, bool replace = false) {
    return set_reply(file, name, value, create, replace).error();
  }
  pb::JobReply get(const std::string& name) {
    pb::JobRequest request;
    request.mutable_get_xattr()->set_inode(file);
    request.mutable_get_xattr()->set_name(name);
    return volume.run(request);
  }
  int remove(const std::string& name) {
    pb::JobRequest request;
    request.mutable_remove_xattr()->set_inode(file);
    request.mutable_remove_xattr()->set_name(name);
    return volume.run(request).error();
  }
  std::vector<std::string> list() {
    pb::JobRequest request;
    request.mutable_list_xattrs()->set_inode(file);
    const pb::JobReply reply = volume.run(request);
    return {reply.names().begin(), reply.names().end()};
  }
};

TEST_F(Xattr, IsSetReadListedAndRemoved) {
  const std::string value("a\0b", 3);
  EXPECT_EQ(set("user.b", value), 0);
  EXPECT_EQ(set("user.a", ""), 0);
  EXPECT_EQ(get("user.b").data(), value);
  EXPECT_EQ(get("user.a").error(), 0) << "an empty value is one";
  EXPECT_EQ(get("user.a").data(), "");
  EXPECT_EQ(list(), (std::vector<std::string>{"user.a", "user.b"}));
  EXPECT_EQ(remove("user.a"), 0);
  EXPECT_EQ(remove("user.a"), ENODATA);
  EXPECT_EQ(get("user.a").error(), ENODATA);
  EXPECT_EQ(list(), (std::vector<std::string>{"user.b"}));
}

TEST_F(Xattr, ChangesTheCtimeOnly) {
  const pb::Attributes before = volume.attributes(file);
  const pb::Attributes after = set_reply(file, "user.a", "v").attributes();
  EXPECT_GT(after.ctime_ns(), before.ctime_ns());
  EXPECT_EQ(after.mtime_ns(), before.mtime_ns());
}

TEST_F(Xattr, CreateAndReplaceLookFirst) {
  EXPECT_EQ(set("user.a", "1", false, true), ENODATA);
  EXPECT_EQ(set("user.a", "1", true), 0);
  EXPECT_EQ(set("user.a", "2", true), EEXIST);
  EXPECT_EQ(set("user.a", "2", false, true), 0);
  EXPECT_EQ(set("user.a", "3", true, true), EEXIST);
  EXPECT_EQ(set("user.b", "3", true, true), ENODATA);
  EXPECT_EQ(get("user.a").data(), "2");
}

TEST_F(Xattr, NamesAndValuesAreBounded) {
  EXPECT_EQ(set("user." + std::string(250, 'n'), "v"), 0);
  EXPECT_EQ(set("user." + std::string(251, 'n'), "v"), ERANGE);
  EXPECT_EQ(set("", "v"), ERANGE);
  EXPECT_EQ(set(std::string("user.a\0b", 8), "v"), EINVAL);
  EXPECT_EQ(set("user.", "v"), EOPNOTSUPP);
  EXPECT_EQ(set("other.a", "v"), EOPNOTSUPP);
  EXPECT_EQ(set("system.posix_acl_access", "v"), EOPNOTSUPP);
  EXPECT_EQ(set("user.big", std::string(65536, 'v')), 0);
  EXPECT_EQ(set("user.big", std::string(65537, 'v')), E2BIG);
}

TEST_F(Xattr, AnInodeHasSoManyAndFreesWhatItGivesUp) {
  int many = 0;
  while (many < 100 && set("user." + std::to_string(many), std::string(65536, 'v')) == 0) many++;
  EXPECT_EQ(many, 15) << "1 MiB with their names";
  EXPECT_EQ(set("user.more", std::string(65536, 'v')), ENOSPC);
  EXPECT_EQ(set("user.0", std::string(65536, 'w')), 0) << "as long as before";
  EXPECT_EQ(remove("user.0"), 0);
  EXPECT_EQ(set("user.more", std::string(65536, 'v')), 0);
}

TEST_F(Xattr, NamesOfAnInodeFitIntoOneList) {
  int error = 0, many = 0;
  for (; error == 0 && many < 1000; many++)
    error = set("user." + std::string(240, 'n') + std::to_string(many), "");
  EXPECT_EQ(error, ENOSPC);
  uint64_t bytes = 0;
  for (const std::string& name : list()) bytes += name.size() + 1;
  EXPECT_LE(bytes, 65536u);
  EXPECT_GT(bytes, 65000u);
}

TEST_F(Xattr, PermissionsAreThoseOfTheNameSpaces) {
  set("user.a", "v");
  set("trusted.a", "v");
  set("security.a", "v");
  volume.who = user(1, 1);
  EXPECT_EQ(get("user.a").error(), 0);
  EXPECT_EQ(set("user.a", "w"), EACCES);
  EXPECT_EQ(get("trusted.a").error(), ENODATA);
  EXPECT_EQ(set("trusted.a", "w"), EPERM);
  EXPECT_EQ(get("security.a").error(), 0);
  EXPECT_EQ(set("security.a", "w"), EPERM);
  EXPECT_EQ(list(), (std::vector<std::string>{"security.a", "user.a"}));
  volume.who = checked_by_kernel(1, 1);
  EXPECT_EQ(set("user.a", "w"), 0);
  volume.who = user(0, 0);
  volume.chmod(file, 0600);
  volume.who = user(1, 1);
  EXPECT_EQ(get("user.a").error(), EACCES);
}

TEST_F(Xattr, UserAttributesAreForFilesAndDirectories) {
  const uint64_t fifo = volume.make(kRootInode, "p", pb::FILE_TYPE_FIFO, 0666);
  EXPECT_EQ(set_reply(fifo, "user.a", "v").error(), EPERM);
  EXPECT_EQ(set_reply(fifo, "trusted.a", "v").error(), 0);
  EXPECT_EQ(set_reply(kRootInode, "user.a", "v").error(), 0);
  const uint64_t sticky = volume.make_directory(kRootInode, "t", 01777);
  volume.who = user(1, 1);
  EXPECT_EQ(set_reply(sticky, "user.a", "v").error(), EPERM);
}

TEST_F(Xattr, GoesWithTheInode) {
  set("user.a", "v");
  volume.unlink(kRootInode, "f");
  ASSERT_EQ(volume.orphan_dropped(file).error(), 0);
  for (const auto& [key, value] : volume.kv.entries()) EXPECT_NE(key[0], 'x');
}

}  // namespace
}  // namespace shima
