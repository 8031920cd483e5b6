#include <cerrno>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

std::string pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST_F(NfsTest, WhatIsWrittenIsOnDiskAndIsRead) {
  std::string file = make_file("f");
  for (size_t size : {size_t{1}, size_t{4095}, size_t{4096}, size_t{1 << 20}}) {
    std::string bytes = pattern(size);
    auto [status, in] = client_->nfs(kWrite, write_arguments(file, 100, bytes));
    EXPECT_EQ(status, kOk);
    Wcc wcc = take_wcc(in);
    EXPECT_TRUE(wcc.has_before);
    EXPECT_EQ(wcc.after->size, 100 + size);
    EXPECT_EQ(in.u32(), size);
    EXPECT_EQ(in.u32(), 2u);  // FILE_SYNC
    uint64_t verifier = in.u64();
    EXPECT_EQ(in.left(), 0u);

    auto [read_status, got] = client_->nfs(kRead, read_arguments(file, 100, static_cast<uint32_t>(size)));
    EXPECT_EQ(read_status, kOk);
    EXPECT_EQ(take_post_op(got)->size, 100 + size);
    EXPECT_EQ(got.u32(), size);
    EXPECT_TRUE(got.boolean());  // eof
    EXPECT_EQ(got.string(1 << 20), bytes);
    EXPECT_EQ(got.left(), 0u);

    XdrWriter commit = arguments(file);
    commit.u64(0);
    commit.u32(0);
    auto [commit_status, committed] = client_->nfs(kCommit, std::move(commit));
    EXPECT_EQ(commit_status, kOk);
    EXPECT_EQ(take_wcc(committed).after->size, 100 + size);
    EXPECT_EQ(committed.u64(), verifier);
  }
}

TEST_F(NfsTest, ReadsAreShortAtTheEndAndLongOnesAreCut) {
  std::string file = make_file("f");
  std::string bytes = pattern(10000);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, bytes)), kOk);
  auto read = [&](uint64_t offset, uint32_t count) {
    auto [status, in] = client_->nfs(kRead, read_arguments(file, offset, count));
    EXPECT_EQ(status, kOk);
    take_post_op(in);
    uint32_t size = in.u32();
    bool end = in.boolean();
    std::string got = in.string(1 << 20);
    EXPECT_EQ(got.size(), size);
    EXPECT_TRUE(in.good());
    return std::pair(got, end);
  };
  EXPECT_EQ(read(0, 5000), std::pair(bytes.substr(0, 5000), false));
  EXPECT_EQ(read(5000, 5000), std::pair(bytes.substr(5000), true));
  EXPECT_EQ(read(9999, UINT32_MAX), std::pair(bytes.substr(9999), true));
  EXPECT_EQ(read(10000, 1), std::pair(std::string(), true));
  EXPECT_EQ(read(UINT64_MAX, UINT32_MAX), std::pair(std::string(), true));
  EXPECT_EQ(read(3, 0), std::pair(std::string(), false));
}

TEST_F(NfsTest, ReadingAndWritingDirectoriesIsInvalid) {
  EXPECT_EQ(status_of(kRead, read_arguments(root(), 0, 10)), kErrInval);
  EXPECT_EQ(status_of(kWrite, write_arguments(root(), 0, "x")), kErrInval);
  EXPECT_EQ(status_of(kWrite, write_arguments(root(), 0, "")), kErrInval);
  XdrWriter commit = arguments(root());
  commit.u64(0);
  commit.u32(0);
  EXPECT_EQ(status_of(kCommit, commit), kErrInval);
}

TEST_F(NfsTest, WritesBeyondTheLargestFileAreRefused) {
  std::string file = make_file("f");
  for (uint64_t offset : {uint64_t{1} << 44, (uint64_t{1} << 44) - 1, UINT64_MAX - 1, UINT64_MAX}) {
    EXPECT_EQ(status_of(kWrite, write_arguments(file, offset, "xy")), kErrFbig);
  }
}

TEST_F(NfsTest, TheCountOfAWriteMayNotPassItsBytes) {
  std::string file = make_file("f");
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, "abc", 4)), kErrInval);
  auto [status, in] = client_->nfs(kWrite, write_arguments(file, 0, "abc", 2));
  EXPECT_EQ(status, kOk);
  EXPECT_EQ(take_wcc(in).after->size, 2u);
  EXPECT_EQ(in.u32(), 2u);
}

TEST_F(NfsTest, AWriteOfNothingSucceedsWhereWritingIsAllowed) {
  std::string file = make_file("f", 0444);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 5, "")), kOk);  // the owner
  client_->defaults.uid = 1001;
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 5, "")), kErrAcces);
  EXPECT_EQ(attributes_of(file).size, 0u);
}

TEST_F(NfsTest, AFullVolumeSaysSo) {
  std::string file = make_file("f");
  volume_->fail_next(ENOSPC);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, "abc")), kErrNoSpc);
}

TEST_F(NfsTest, ManyCallsAreInWorkAndAnswersMayOvertake) {
  std::string file = make_file("f");
  TestCall write, getattr;
  write.procedure = kWrite;
  write.arguments = write_arguments(file, 0, pattern(4096));
  volume_->hold();
  std::set<uint32_t> wanted, got;
  for (int i = 0; i < 200; i++) wanted.insert(client_->send(write));
  TestCall null;
  uint32_t overtaking = client_->send(null);
  EXPECT_EQ(client_->receive().xid, overtaking);
  EXPECT_EQ(volume_->held(), 200u);
  volume_->release();
  for (int i = 0; i < 200; i++) got.insert(client_->receive().xid);
  EXPECT_EQ(got, wanted);
}

TEST_F(NfsTest, ReadlinkShowsTheTargetOfSymlinksOnly) {
  XdrWriter out = arguments(root(), "l");
  Sattr().put(out);
  out.opaque("some/where");
  auto [status, in] = client_->nfs(kSymlink, std::move(out));
  EXPECT_EQ(status, kOk);
  EXPECT_TRUE(in.boolean());
  std::string link = in.string(64);
  EXPECT_EQ(take_post_op(in)->type, 5u);
  auto [read_status, target] = client_->nfs(kReadlink, arguments(link));
  EXPECT_EQ(read_status, kOk);
  EXPECT_EQ(take_post_op(target)->size, 10u);
  EXPECT_EQ(target.string(100), "some/where");
  EXPECT_EQ(status_of(kReadlink, arguments(root())), kErrInval);
}

}  // namespace
}  // namespace shima
