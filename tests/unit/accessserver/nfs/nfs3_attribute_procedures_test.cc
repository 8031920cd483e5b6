#include <cerrno>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

TEST_F(NfsTest, NullAnswersNothing) {
  TestCall call;
  TestReply reply = client_->run(call);
  EXPECT_EQ(reply.status, 0u);
  EXPECT_EQ(reply.results.left(), 0u);
}

TEST_F(NfsTest, GetattrShowsTheInode) {
  Fattr a = attributes_of(root());
  EXPECT_EQ(a.type, 2u);  // NF3DIR
  EXPECT_EQ(a.mode, 0755u);
  EXPECT_EQ(a.nlink, 2u);
  EXPECT_EQ(a.fsid, 0xabcu);
  EXPECT_EQ(a.fileid, FakeFileSystem::kRoot);
  EXPECT_EQ(a.mtime_ns, static_cast<uint64_t>(volume_->attributes_of(2).mtime_ns()));
}

TEST_F(NfsTest, HandlesThatAreNotOursAreBad) {
  for (const std::string& bad : {std::string(), std::string("x"), std::string(32, 'x'), std::string(64, '\0'),
                                 root().substr(0, 31), root() + "1234"}) {
    EXPECT_EQ(status_of(kGetattr, arguments(bad)), kErrBadHandle);
  }
  TestCall call;  // over 64 bytes: not an nfs_fh3 at all
  call.procedure = kGetattr;
  call.arguments.opaque(std::string(65, 'x'));
  EXPECT_EQ(client_->run(call).status, 4u);  // GARBAGE_ARGS
}

TEST_F(NfsTest, HandlesOfWhatIsGoneAreStale) {
  EXPECT_EQ(status_of(kGetattr, arguments(handle(4711))), kErrStale);
  EXPECT_EQ(status_of(kGetattr, arguments(NfsHandle{.volume = 0xdef, .inode = 2, .life = 1}.encode())),
            kErrStale);
  NfsHandle generation{.volume = 0xabc, .inode = 2, .generation = 2, .life = 1};
  EXPECT_EQ(status_of(kGetattr, arguments(generation.encode())), kErrStale);
  volume_->set_life(2);
  EXPECT_EQ(status_of(kGetattr, arguments(root())), kErrStale);
}

TEST_F(NfsTest, AnInodeWithoutANameIsStaleForEveryProcedure) {
  std::string file = make_file("f");
  volume_->remove_all_names_of(3);
  EXPECT_EQ(status_of(kGetattr, arguments(file)), kErrStale);
  EXPECT_EQ(status_of(kRead, read_arguments(file, 0, 10)), kErrStale);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, "x")), kErrStale);
  XdrWriter set = arguments(file);
  Sattr{.mode = 0600}.put(set);
  set.boolean(false);
  EXPECT_EQ(status_of(kSetattr, set), kErrStale);
  for (uint32_t procedure : {kFsstat, kFsinfo, kPathconf})
    EXPECT_EQ(status_of(procedure, arguments(file)), kErrStale);
}

TEST_F(NfsTest, SetattrSetsWhatIsThereAndShowsBeforeAndAfter) {
  std::string file = make_file("f");
  Fattr before = attributes_of(file);
  XdrWriter out = arguments(file);
  Sattr{.mode = 01711,
        .uid = 107,
        .gid = 108,
        .size = 5000,
        .atime = 2,
        .mtime = 2,
        .time_s = 1000,
        .time_ns = 7}
      .put(out);
  out.boolean(false);
  auto [status, in] = client_->nfs(kSetattr, std::move(out));
  EXPECT_EQ(status, kOk);
  Wcc wcc = take_wcc(in);
  EXPECT_TRUE(in.good());
  EXPECT_EQ(in.left(), 0u);
  EXPECT_TRUE(wcc.has_before);
  EXPECT_EQ(wcc.size, 0u);
  EXPECT_EQ(wcc.ctime_ns, before.ctime_ns);
  ASSERT_TRUE(wcc.after.has_value());
  EXPECT_EQ(wcc.after->mode, 01711u);
  EXPECT_EQ(wcc.after->uid, 107u);
  EXPECT_EQ(wcc.after->gid, 108u);
  EXPECT_EQ(wcc.after->size, 5000u);
  EXPECT_EQ(wcc.after->mtime_ns, 1'000'000'000'007u);
}

TEST_F(NfsTest, SetattrWithTheServersTimeAsksForIt) {
  std::string file = make_file("f");
  Fattr before = attributes_of(file);
  XdrWriter out = arguments(file);
  Sattr{.atime = 1, .mtime = 1}.put(out);
  out.boolean(false);
  EXPECT_EQ(status_of(kSetattr, out), kOk);
  EXPECT_GT(attributes_of(file).atime_ns, before.atime_ns);
}

TEST_F(NfsTest, SetattrIsGuardedByTheCtime) {
  std::string file = make_file("f");
  uint64_t ctime_ns = attributes_of(file).ctime_ns;
  auto guarded = [&](uint64_t ns) {
    XdrWriter out = arguments(file);
    Sattr{.mode = 0600}.put(out);
    out.boolean(true);
    out.u32(static_cast<uint32_t>(ns / 1'000'000'000));
    out.u32(static_cast<uint32_t>(ns % 1'000'000'000));
    return client_->nfs(kSetattr, std::move(out));
  };
  auto [status, in] = guarded(ctime_ns + 1);
  EXPECT_EQ(status, kErrNotSync);
  EXPECT_EQ(take_wcc(in).after->mode, 0644u);
  EXPECT_EQ(guarded(ctime_ns).first, kOk);
  EXPECT_EQ(guarded(ctime_ns).first, kErrNotSync);
}

TEST_F(NfsTest, SetattrRefusesTimesThatAreNoneAndSizesBeyondTheLargest) {
  std::string file = make_file("f");
  XdrWriter time = arguments(file), size = arguments(file), directory = arguments(root());
  Sattr{.mtime = 2, .time_ns = 1'000'000'000}.put(time);
  Sattr{.size = (1ull << 44) + 1}.put(size);
  Sattr{.size = 1}.put(directory);
  for (XdrWriter* out : {&time, &size, &directory}) out->boolean(false);
  EXPECT_EQ(status_of(kSetattr, time), kErrInval);
  EXPECT_EQ(status_of(kSetattr, size), kErrFbig);
  EXPECT_EQ(status_of(kSetattr, directory), kErrIsDir);
}

TEST_F(NfsTest, AccessAnswersByModeUserAndExport) {
  std::string file = make_file("f", 0640);
  auto allowed = [&](uint32_t uid) {
    client_->defaults.uid = uid;
    XdrWriter out = arguments(file);
    out.u32(63);
    auto [status, in] = client_->nfs(kAccess, std::move(out));
    EXPECT_EQ(status, kOk);
    EXPECT_TRUE(take_post_op(in).has_value());
    return in.u32();
  };
  EXPECT_EQ(allowed(1000), 1u | 4 | 8);
  EXPECT_EQ(allowed(1001), 1u);  // of the group
  client_->defaults.gid = 7;
  EXPECT_EQ(allowed(1001), 0u);
  exports_.set_access("db", {.allowed = true, .read_only = true});
  EXPECT_EQ(allowed(1000), 1u);
}

TEST_F(NfsTest, FsstatFsinfoAndPathconfTellTheVolume) {
  auto [status, in] = client_->nfs(kFsstat, arguments(root()));
  EXPECT_EQ(status, kOk);
  EXPECT_TRUE(take_post_op(in).has_value());
  std::vector<uint64_t> values;
  for (int i = 0; i < 6; i++) values.push_back(in.u64());
  EXPECT_EQ(values, (std::vector<uint64_t>{1000 << 20, 600 << 20, 600 << 20, 5000, 4000, 4000}));
  EXPECT_EQ(in.u32(), 0u);

  auto [info_status, info] = client_->nfs(kFsinfo, arguments(root()));
  EXPECT_EQ(info_status, kOk);
  EXPECT_TRUE(take_post_op(info).has_value());
  std::vector<uint32_t> sizes;
  for (int i = 0; i < 7; i++) sizes.push_back(info.u32());
  EXPECT_EQ(sizes, (std::vector<uint32_t>{1 << 20, 1 << 20, 4096, 1 << 20, 1 << 20, 4096, 64 << 10}));
  EXPECT_EQ(info.u64(), 16ull << 40);
  EXPECT_EQ(take_time(info), 1u);
  EXPECT_EQ(info.u32(), 0x1bu);

  auto [path_status, path] = client_->nfs(kPathconf, arguments(root()));
  EXPECT_EQ(path_status, kOk);
  EXPECT_TRUE(take_post_op(path).has_value());
  std::vector<uint32_t> limits;
  for (int i = 0; i < 6; i++) limits.push_back(path.u32());
  EXPECT_EQ(limits, (std::vector<uint32_t>{65000, 255, 1, 1, 0, 1}));
  EXPECT_EQ(path.left(), 0u);
}

TEST_F(NfsTest, ErrorsOfTheVolumeReachTheClientWithTheRightResults) {
  const std::map<uint32_t, uint32_t> words = {
      {kGetattr, 0}, {kSetattr, 2},  {kLookup, 1}, {kAccess, 1},  {kReadlink, 1},    {kRead, 1},
      {kWrite, 2},   {kCreate, 2},   {kMkdir, 2},  {kSymlink, 2}, {kMknod, 2},       {kRemove, 2},
      {kRmdir, 2},   {kRename, 4},   {kLink, 3},   {kReaddir, 1}, {kReaddirplus, 1}, {kFsstat, 1},
      {kFsinfo, 1},  {kPathconf, 1}, {kCommit, 2}};
  for (auto [procedure, count] : words) {
    XdrWriter out = arguments(root());
    if (procedure == kLink) out.opaque(root());
    if (procedure == kLookup || (procedure >= kCreate && procedure <= kLink)) out.opaque("n");
    if (procedure == kSetattr || procedure == kMkdir || procedure == kSymlink) Sattr().put(out);
    if (procedure == kSetattr) out.boolean(false);
    if (procedure == kSymlink) out.opaque("target");
    if (procedure == kAccess) out.u32(1);
    if (procedure == kCreate) out.u32(0), Sattr().put(out);
    if (procedure == kMknod) out.u32(7), Sattr().put(out);
    if (procedure == kRename) out.opaque(root()), out.opaque("m");
    if (procedure == kRead || procedure == kCommit) out.u64(0), out.u32(10);
    if (procedure == kWrite) out.u64(0), out.u32(1), out.u32(0), out.opaque("x");
    if (procedure == kReaddir) out.u64(0), out.u64(0), out.u32(4096);
    if (procedure == kReaddirplus) out.u64(0), out.u64(0), out.u32(4096), out.u32(4096);
    volume_->fail_next(EIO);
    auto [status, in] = client_->nfs(procedure, out);
    EXPECT_EQ(status, kErrIo) << procedure;
    EXPECT_EQ(in.left(), 4 * count) << procedure;
    XdrWriter shorter;  // without its last byte the arguments are garbage
    shorter.fixed(out.flat().substr(0, out.size() - 4));
    TestCall call;
    call.procedure = procedure;
    call.arguments = shorter;
    TestReply reply = client_->run(call);
    EXPECT_EQ(reply.status, 4u) << procedure;
  }
  EXPECT_EQ(server_->statistics().procedures["RENAME"].requests, 2u);
  EXPECT_EQ(server_->statistics().procedures["RENAME"].errors, 2u);
}

}  // namespace
}  // namespace shima
