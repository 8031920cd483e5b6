// Bytes, sizes, attributes and times: RFC 1813 sections 3.3.1 to 3.3.7 and 3.3.18 to 3.3.21, POSIX.1-2017
// section 4.9 (file times update).
#include "tests/posix/nfs/rules/nfs_rules_fixture.h"

namespace shima {
namespace {

using DataRules = NfsRules;

TEST_F(DataRules, WhatWasNeverWrittenIsZero) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 200'000, "end"), NFS3_OK);
  EXPECT_EQ(content(file), std::string(200'000, '\0') + "end");
  ASSERT_EQ(root().setattr(file, {.size = 300'000}).status, NFS3_OK);
  EXPECT_EQ(content(file), std::string(200'000, '\0') + "end" + std::string(99'997, '\0'));
}

TEST_F(DataRules, WhatWasCutOffDoesNotComeBack) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 0, std::string(200'000, 'x')), NFS3_OK);
  ASSERT_EQ(root().setattr(file, {.size = 70'001}).status, NFS3_OK);
  ASSERT_EQ(root().setattr(file, {.size = 200'000}).status, NFS3_OK);
  EXPECT_EQ(content(file), std::string(70'001, 'x') + std::string(129'999, '\0'));
  ASSERT_EQ(root().setattr(file, {.size = 5}).status, NFS3_OK);
  ASSERT_EQ(write(root(), file, 150'000, "y"), NFS3_OK);
  EXPECT_EQ(content(file), "xxxxx" + std::string(149'995, '\0') + "y");
}

TEST_F(DataRules, ReadsEndAtTheEnd) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 0, "0123456789"), NFS3_OK);
  NfsAnswer got = root().read(file, 5, 100);
  EXPECT_EQ(got.bytes, "56789");
  EXPECT_TRUE(got.end);
  got = root().read(file, 2, 3);
  EXPECT_EQ(got.bytes, "234");
  EXPECT_FALSE(got.end);
  got = root().read(file, 10, 1);
  EXPECT_EQ(got.status, NFS3_OK);
  EXPECT_TRUE(got.bytes.empty() && got.end);
  got = root().read(file, uint64_t{1} << 62, 1);
  EXPECT_EQ(got.status, NFS3_OK);
  EXPECT_TRUE(got.bytes.empty() && got.end);
}

TEST_F(DataRules, OnlyRegularFilesHaveBytes) {
  const std::string directory = make_directory("d");
  const std::string fifo = root().mknod(directory_, "p", NF3FIFO, {.mode = 0666}).handle;
  for (const std::string& handle : {directory, fifo}) {
    EXPECT_EQ(root().read(handle, 0, 1).status, NFS3ERR_INVAL);
    EXPECT_EQ(write(root(), handle, 0, "x"), NFS3ERR_INVAL);
    const int status = root().setattr(handle, {.size = 0}).status;
    EXPECT_TRUE(status == NFS3ERR_INVAL || status == NFS3ERR_ISDIR) << status;
  }
}

TEST_F(DataRules, FilesEndAt16TiB) {
  const std::string file = make_file("f");
  const uint64_t limit = root().statistics(file).limits.maxfilesize;
  EXPECT_EQ(limit, uint64_t{16} << 40);
  EXPECT_EQ(write(root(), file, limit, "x"), NFS3ERR_FBIG);
  EXPECT_EQ(write(root(), file, limit - 1, "xy"), NFS3ERR_FBIG);
  EXPECT_EQ(write(root(), file, UINT64_MAX, "x"), NFS3ERR_FBIG);
  EXPECT_EQ(root().setattr(file, {.size = limit + 1}).status, NFS3ERR_FBIG);
  EXPECT_EQ(root().setattr(file, {.size = UINT64_MAX}).status, NFS3ERR_FBIG);
  EXPECT_EQ(attributes(file).size, 0u);
  EXPECT_EQ(write(root(), file, limit - 1, "x"), NFS3_OK);
  EXPECT_EQ(attributes(file).size, limit);
}

TEST_F(DataRules, WritesChangeMtimeAndCtime) {
  const std::string file = make_file("f");
  fattr3 before = attributes(file);
  for (const char* bytes : {"first", "again", "longer than before"}) {
    ASSERT_EQ(write(root(), file, 0, bytes), NFS3_OK);
    const fattr3 after = attributes(file);
    EXPECT_GT(nanoseconds(after.mtime), nanoseconds(before.mtime)) << bytes;
    EXPECT_GT(nanoseconds(after.ctime), nanoseconds(before.ctime)) << bytes;
    before = after;
  }
}

TEST_F(DataRules, ATruncationChangesTimesEvenToTheSameSize) {
  const std::string file = make_file("f");
  const fattr3 before = attributes(file);
  ASSERT_EQ(root().setattr(file, {.size = 0}).status, NFS3_OK);
  EXPECT_GT(nanoseconds(attributes(file).ctime), nanoseconds(before.ctime));
}

TEST_F(DataRules, TimesAreKeptToTheNanosecond) {
  const std::string file = make_file("f");
  for (int64_t ns :
       {int64_t{0}, int64_t{1}, int64_t{1'234'567'890'123'456'789}, int64_t{4'294'967'295'999'999'999}}) {
    ASSERT_EQ(root().setattr(file, {.atime_ns = ns, .mtime_ns = ns}).status, NFS3_OK);
    EXPECT_EQ(nanoseconds(attributes(file).atime), ns);
    EXPECT_EQ(nanoseconds(attributes(file).mtime), ns);
    ASSERT_EQ(write(root(), file, 0, "x"), NFS3_OK);
    EXPECT_NE(nanoseconds(attributes(file).mtime), ns) << "the write is later";
  }
}

TEST_F(DataRules, AGuardedSetattrWantsTheCtimeItKnows) {
  const std::string file = make_file("f");
  const nfstime3 known = attributes(file).ctime;
  ASSERT_EQ(root().setattr(file, {.mode = 0600}, known).status, NFS3_OK);
  EXPECT_EQ(root().setattr(file, {.mode = 0644}, known).status, NFS3ERR_NOT_SYNC);
  EXPECT_EQ(attributes(file).mode, 0600u);
  ASSERT_EQ(write(root(), file, 0, "x"), NFS3_OK);
  const nfstime3 written = attributes(file).ctime;
  EXPECT_EQ(root().setattr(file, {.size = 0}, written).status, NFS3_OK) << "a write's ctime is known, too";
  EXPECT_EQ(root().setattr(file, {.size = 5}, written).status, NFS3ERR_NOT_SYNC);
}

TEST_F(DataRules, AnswersTellTheAttributesBeforeAndAfter) {
  const std::string file = make_file("f");
  ASSERT_EQ(write(root(), file, 0, "12345"), NFS3_OK);
  const fattr3 before = attributes(file);
  const NfsAnswer changed = root().setattr(file, {.size = 3});
  ASSERT_TRUE(changed.before && changed.attributes);
  EXPECT_EQ(changed.before->size, 5u);
  EXPECT_EQ(nanoseconds(changed.before->mtime), nanoseconds(before.mtime));
  EXPECT_EQ(nanoseconds(changed.before->ctime), nanoseconds(before.ctime));
  EXPECT_EQ(changed.attributes->size, 3u);
  const fattr3 directory = attributes(directory_);
  const NfsAnswer made = root().create(directory_, "g", GUARDED, {.mode = 0644});
  ASSERT_TRUE(made.before && made.directory);
  EXPECT_EQ(nanoseconds(made.before->ctime), nanoseconds(directory.ctime));
  EXPECT_GT(nanoseconds(made.directory->mtime), nanoseconds(directory.mtime));
  EXPECT_EQ(nanoseconds(made.directory->ctime), nanoseconds(attributes(directory_).ctime));
}

TEST_F(DataRules, NamesChangeTheTimesOfTheirDirectory) {
  const std::string directory = make_directory("d");
  int64_t last = nanoseconds(attributes(directory).mtime);
  const auto expect_later = [&](const char* what) {
    const fattr3 now = attributes(directory);
    EXPECT_GT(nanoseconds(now.mtime), last) << what;
    EXPECT_GE(nanoseconds(now.ctime), nanoseconds(now.mtime)) << what;
    last = nanoseconds(now.mtime);
  };
  const std::string file = make_file_in(directory, "f");
  expect_later("create");
  ASSERT_EQ(root().link(file, directory, "g").status, NFS3_OK);
  expect_later("link");
  ASSERT_EQ(root().rename(directory, "g", directory, "h").status, NFS3_OK);
  expect_later("rename");
  ASSERT_EQ(root().remove(directory, "h").status, NFS3_OK);
  expect_later("remove");
  ASSERT_EQ(root().create(directory, "f", GUARDED, {.mode = 0644}).status, NFS3ERR_EXIST);
  EXPECT_EQ(nanoseconds(attributes(directory).mtime), last) << "what failed changes nothing";
}

TEST_F(DataRules, OneSetattrSetsAllOrNothing) {
  const std::string file = make_file("f", 0644, 1001, 1001);
  ASSERT_EQ(write(root(), file, 0, "12345"), NFS3_OK);
  EXPECT_EQ(as(1001, 1001).setattr(file, {.mode = 0600, .uid = 1002, .size = 1}).status, NFS3ERR_PERM);
  EXPECT_EQ(attributes(file).mode, 0644u);
  EXPECT_EQ(attributes(file).size, 5u);
  EXPECT_EQ(root().setattr(file, {.mode = 04600, .uid = 1002, .gid = 3, .size = 1, .mtime_ns = 7}).status,
            NFS3_OK);
  const fattr3 now = attributes(file);
  EXPECT_EQ(now.mode, 04600u) << "the mode that comes with it wins over the clearing by chown";
  EXPECT_EQ(now.uid, 1002u);
  EXPECT_EQ(now.gid, 3u);
  EXPECT_EQ(now.size, 1u);
  EXPECT_EQ(nanoseconds(now.mtime), 7);
}

TEST_F(DataRules, StatisticsAreSane) {
  const NfsStatistics3 now = root().statistics(directory_);
  ASSERT_EQ(now.status, NFS3_OK);
  EXPECT_GT(now.space.tbytes, 0u);
  EXPECT_LE(now.space.fbytes, now.space.tbytes);
  EXPECT_LE(now.space.abytes, now.space.fbytes);
  EXPECT_LE(now.space.ffiles, now.space.tfiles);
  EXPECT_GE(now.limits.rtmax, 65536u);
  EXPECT_GE(now.limits.wtmax, 65536u);
  EXPECT_EQ(now.names.name_max, 255u);
  EXPECT_TRUE(now.names.no_trunc && now.names.chown_restricted && now.names.case_preserving);
  EXPECT_FALSE(now.names.case_insensitive);
}

TEST_F(DataRules, ForgedHandlesAreRefused) {
  for (const std::string& handle : {std::string(), std::string("x"), std::string(64, '\0'),
                                    std::string(64, '\xff'), directory_.substr(1), directory_ + "x"}) {
    const int status = root().getattr(handle).status;
    EXPECT_TRUE(status == NFS3ERR_BADHANDLE || status == NFS3ERR_STALE) << status;
  }
}

}  // namespace
}  // namespace shima
