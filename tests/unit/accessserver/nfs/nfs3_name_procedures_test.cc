#include <cerrno>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

XdrWriter with_sattr(XdrWriter out, const Sattr& set = {}) {
  set.put(out);
  return out;
}

TEST_F(NfsTest, LookupFindsNamesAndDots) {
  std::string directory = make_directory(root(), "d");
  for (const auto& [from, name, wanted] : {std::tuple(root(), "d", directory),
                                           {directory, "..", root()},
                                           {directory, ".", directory},
                                           {root(), "..", root()}}) {
    auto [status, in] = client_->nfs(kLookup, arguments(from, name));
    EXPECT_EQ(status, kOk);
    EXPECT_EQ(in.string(64), wanted);
    EXPECT_TRUE(take_post_op(in).has_value());
    EXPECT_TRUE(take_post_op(in).has_value());
    EXPECT_EQ(in.left(), 0u);
  }
  auto [status, in] = client_->nfs(kLookup, arguments(root(), "missing"));
  EXPECT_EQ(status, kErrNoEnt);
  EXPECT_EQ(take_post_op(in)->fileid, 2u);
  EXPECT_EQ(status_of(kLookup, arguments(make_file("f"), "x")), kErrNotDir);
}

TEST_F(NfsTest, NamesThatCannotBeAreRefusedEverywhere) {
  std::string file = make_file("f");
  const std::vector<std::pair<std::string, uint32_t>> bad = {{"", kErrAcces},
                                                             {"a/b", kErrAcces},
                                                             {std::string("a\0b", 3), kErrAcces},
                                                             {std::string(256, 'n'), kErrNameTooLong},
                                                             {std::string(100'000, 'n'), kErrNameTooLong}};
  uint64_t before = volume_->operations();
  for (const auto& [name, wanted] : bad) {
    EXPECT_EQ(status_of(kLookup, arguments(root(), name)), wanted);
    XdrWriter create = arguments(root(), name);
    create.u32(1);
    EXPECT_EQ(status_of(kCreate, with_sattr(create)), wanted);
    EXPECT_EQ(status_of(kMkdir, with_sattr(arguments(root(), name))), wanted);
    XdrWriter symlink = with_sattr(arguments(root(), name));
    symlink.opaque("t");
    EXPECT_EQ(status_of(kSymlink, symlink), wanted);
    XdrWriter mknod = arguments(root(), name);
    mknod.u32(7);
    EXPECT_EQ(status_of(kMknod, with_sattr(mknod)), wanted);
    EXPECT_EQ(status_of(kRemove, arguments(root(), name)), wanted);
    EXPECT_EQ(status_of(kRmdir, arguments(root(), name)), wanted);
    for (bool first : {true, false}) {
      XdrWriter rename = arguments(root(), first ? name : "f");
      rename.opaque(root());
      rename.opaque(first ? "g" : name);
      EXPECT_EQ(status_of(kRename, rename), wanted);
    }
    XdrWriter link = arguments(file, root());
    link.opaque(name);
    EXPECT_EQ(status_of(kLink, link), wanted);
  }
  EXPECT_EQ(volume_->operations(), before);
  make_file(std::string(255, 'n'));
}

TEST_F(NfsTest, CreateKnowsItsThreeModes) {
  auto create = [&](const std::string& name, uint32_t mode, uint64_t verifier = 0,
                    const Sattr& set = {.mode = 0600}) {
    XdrWriter out = arguments(root(), name);
    out.u32(mode);
    mode == 2 ? out.u64(verifier) : set.put(out);
    return client_->nfs(kCreate, std::move(out));
  };
  auto [status, in] = create("f", 1, 0, {.mode = 0640, .size = 77});
  EXPECT_EQ(status, kOk);
  EXPECT_TRUE(in.boolean());
  std::string file = in.string(64);
  Fattr a = *take_post_op(in);
  EXPECT_EQ(a.type, 1u);
  EXPECT_EQ(a.mode, 0640u);
  EXPECT_EQ(a.uid, 1000u);
  EXPECT_EQ(a.size, 77u);
  Wcc wcc = take_wcc(in);
  EXPECT_TRUE(wcc.has_before);
  EXPECT_LT(wcc.mtime_ns, wcc.after->mtime_ns);
  EXPECT_EQ(in.left(), 0u);

  auto [exists, failed] = create("f", 1);
  EXPECT_EQ(exists, kErrExist);
  EXPECT_TRUE(take_wcc(failed).after.has_value());
  EXPECT_EQ(create("f", 0, 0, {.mode = 0777, .size = 5}).first, kOk);  // UNCHECKED: only the size
  EXPECT_EQ(attributes_of(file).size, 5u);
  EXPECT_EQ(attributes_of(file).mode, 0640u);

  EXPECT_EQ(create("x", 2, 0x1122334455667788).first, kOk);
  EXPECT_EQ(create("x", 2, 0x1122334455667788).first, kOk);  // a repetition
  EXPECT_EQ(create("x", 2, 0x1122334455667789).first, kErrExist);
  EXPECT_EQ(create("y", 1, 0, {.size = (1ull << 44) + 1}).first, kErrFbig);
  TestCall call;
  call.procedure = kCreate;
  call.arguments = arguments(root(), "z");
  call.arguments.u32(3);
  EXPECT_EQ(client_->run(call).status, 4u);  // no such mode: GARBAGE_ARGS
}

TEST_F(NfsTest, MknodMakesWhatHasNoProcedureOfItsOwn) {
  auto mknod = [&](const std::string& name, uint32_t type) {
    XdrWriter out = arguments(root(), name);
    out.u32(type);
    if (type != 1 && type != 2 && type != 5) Sattr{.mode = 0600}.put(out);
    if (type == 3 || type == 4) out.u32(8), out.u32(17);
    return client_->nfs(kMknod, std::move(out));
  };
  for (uint32_t type : {3u, 4u, 6u, 7u}) {
    auto [status, in] = mknod("n" + std::to_string(type), type);
    EXPECT_EQ(status, kOk);
    EXPECT_TRUE(in.boolean());
    in.string(64);
    Fattr a = *take_post_op(in);
    EXPECT_EQ(a.type, type);
    EXPECT_EQ(a.rdev_major, type < 5 ? 8u : 0u);
    EXPECT_EQ(a.rdev_minor, type < 5 ? 17u : 0u);
  }
  for (uint32_t type : {1u, 2u, 5u}) EXPECT_EQ(mknod("x", type).first, kErrBadType);
}

TEST_F(NfsTest, SymlinkTargetsAreChecked) {
  auto symlink = [&](const std::string& target) {
    XdrWriter out = with_sattr(arguments(root(), "l" + std::to_string(target.size())));
    out.opaque(target);
    return status_of(kSymlink, std::move(out));
  };
  EXPECT_EQ(symlink(""), kErrInval);
  EXPECT_EQ(symlink(std::string("a\0b", 3)), kErrInval);
  EXPECT_EQ(symlink(std::string(4096, 't')), kErrNameTooLong);
  EXPECT_EQ(symlink(std::string(4095, 't')), kOk);
}

TEST_F(NfsTest, RemoveAndRmdirTakeTheirKindOnly) {
  make_file("f");
  std::string directory = make_directory(root(), "d");
  make_directory(directory, "e");
  EXPECT_EQ(status_of(kRmdir, arguments(root(), "f")), kErrNotDir);
  EXPECT_EQ(status_of(kRemove, arguments(root(), "d")), kErrIsDir);
  EXPECT_EQ(status_of(kRmdir, arguments(root(), "d")), kErrNotEmpty);
  EXPECT_EQ(status_of(kRemove, arguments(root(), "x")), kErrNoEnt);
  EXPECT_EQ(status_of(kRmdir, arguments(root(), ".")), kErrInval);
  EXPECT_EQ(status_of(kRmdir, arguments(root(), "..")), kErrExist);
  EXPECT_EQ(status_of(kRemove, arguments(root(), ".")), kErrAcces);
  auto [status, in] = client_->nfs(kRemove, arguments(root(), "f"));
  EXPECT_EQ(status, kOk);
  Wcc wcc = take_wcc(in);
  EXPECT_LT(wcc.ctime_ns, wcc.after->ctime_ns);
  EXPECT_EQ(in.left(), 0u);
  EXPECT_EQ(status_of(kRmdir, arguments(directory, "e")), kOk);
  EXPECT_EQ(status_of(kRmdir, arguments(root(), "d")), kOk);
  EXPECT_EQ(status_of(kLookup, arguments(directory, "e")), kErrStale);
}

TEST_F(NfsTest, RenameMovesAndShowsBothDirectories) {
  std::string directory = make_directory(root(), "d");
  std::string file = make_file("f");
  auto rename = [&](const std::string& from, const std::string& name, const std::string& to,
                    const std::string& new_name) {
    XdrWriter out = arguments(from, name);
    out.opaque(to);
    out.opaque(new_name);
    return client_->nfs(kRename, std::move(out));
  };
  auto [status, in] = rename(root(), "f", directory, "g");
  EXPECT_EQ(status, kOk);
  Wcc from = take_wcc(in), to = take_wcc(in);
  EXPECT_EQ(from.after->fileid, 2u);
  EXPECT_EQ(to.after->fileid, 3u);
  EXPECT_TRUE(from.has_before && to.has_before);
  EXPECT_EQ(in.left(), 0u);
  auto [found, where] = client_->nfs(kLookup, arguments(directory, "g"));
  EXPECT_EQ(found, kOk);
  EXPECT_EQ(where.string(64), file);
  EXPECT_EQ(rename(root(), "f", directory, "g").first, kErrNoEnt);
  for (const char* dot : {".", ".."}) {
    EXPECT_EQ(rename(root(), dot, directory, "g").first, kErrInval);
    EXPECT_EQ(rename(directory, "g", root(), dot).first, kErrInval);
  }
  NfsHandle other{.volume = 0xdef, .inode = 2, .life = 1}, old{.volume = 0xabc, .inode = 2, .life = 3};
  EXPECT_EQ(rename(directory, "g", other.encode(), "h").first, kErrXdev);
  EXPECT_EQ(rename(directory, "g", old.encode(), "h").first, kErrStale);
  EXPECT_EQ(rename(directory, "g", "nonsense", "h").first, kErrBadHandle);
}

TEST_F(NfsTest, LinkGivesAnotherName) {
  std::string file = make_file("f");
  auto link = [&](const std::string& what, const std::string& directory, const std::string& name) {
    XdrWriter out = arguments(what, directory);
    out.opaque(name);
    return client_->nfs(kLink, std::move(out));
  };
  auto [status, in] = link(file, root(), "g");
  EXPECT_EQ(status, kOk);
  EXPECT_EQ(take_post_op(in)->nlink, 2u);
  EXPECT_TRUE(take_wcc(in).after.has_value());
  EXPECT_EQ(in.left(), 0u);
  EXPECT_EQ(link(file, root(), "g").first, kErrExist);
  EXPECT_EQ(link(file, root(), ".").first, kErrExist);
  EXPECT_EQ(link(root(), root(), "h").first, kErrPerm);
  EXPECT_EQ(link(file, file, "h").first, kErrNotDir);
  EXPECT_EQ(link(handle(4711), root(), "h").first, kErrStale);
  EXPECT_EQ(link(file, NfsHandle{.volume = 0xdef, .inode = 2, .life = 1}.encode(), "h").first, kErrXdev);
  EXPECT_EQ(link(file, "nonsense", "h").first, kErrBadHandle);
}

TEST_F(NfsTest, ARetransmissionOnANewConnectionGetsTheFirstAnswer) {
  make_file("f");
  TestCall call;
  call.xid = 9999;
  call.procedure = kRemove;
  call.arguments = arguments(root(), "f");
  std::string record = marked(call.encode());
  ASSERT_TRUE(client_->send_raw(record));
  EXPECT_EQ(client_->receive().results.u32(), kOk);
  RpcClient again(server_->port());
  ASSERT_TRUE(again.send_raw(record));
  EXPECT_EQ(again.receive().results.u32(), kOk);  // not NOENT
  EXPECT_EQ(server_->statistics().repeated_calls, 1u);
}

TEST_F(NfsTest, ReadOnlyVolumesRefuseEveryChange) {
  std::string file = make_file("f");
  exports_.set_access("db", {.allowed = true, .read_only = true});
  EXPECT_EQ(status_of(kGetattr, arguments(file)), kOk);
  EXPECT_EQ(status_of(kRead, read_arguments(file, 0, 1)), kOk);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, "x")), kErrRofs);
  XdrWriter set = with_sattr(arguments(file));
  set.boolean(false);
  EXPECT_EQ(status_of(kSetattr, set), kErrRofs);
  EXPECT_EQ(status_of(kMkdir, with_sattr(arguments(root(), "d"))), kErrRofs);
  EXPECT_EQ(status_of(kRemove, arguments(root(), "f")), kErrRofs);
  XdrWriter rename = arguments(root(), "f");
  rename.opaque(root());
  rename.opaque("g");
  EXPECT_EQ(status_of(kRename, rename), kErrRofs);
  XdrWriter link = arguments(file, root());
  link.opaque("g");
  EXPECT_EQ(status_of(kLink, link), kErrRofs);
}

TEST_F(NfsTest, ClientsThatMayNotGetNothingEvenWithAHandle) {
  exports_.set_access("db", {});
  EXPECT_EQ(status_of(kGetattr, arguments(root())), kErrAcces);
  EXPECT_EQ(exports_.last_client(), "127.0.0.1");
  exports_.set_access("db", {.try_later = true});  // it is not known at the moment who may
  EXPECT_EQ(status_of(kGetattr, arguments(root())), kErrJukebox);
}

TEST_F(NfsTest, RequestsAreInTheNameOfTheSquashedUser) {
  client_->defaults.uid = client_->defaults.gid = 0;
  exports_.set_access("db",
                      {.allowed = true, .squash = Squash::kRoot, .anonymous_uid = 60, .anonymous_gid = 61});
  std::string file = make_file("f");
  EXPECT_EQ(attributes_of(file).uid, 60u);
  EXPECT_EQ(attributes_of(file).gid, 61u);
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, "x")), kOk);
  EXPECT_EQ(volume_->last_credentials().uid(), 60u);
  exports_.set_access("db", {.allowed = true});
  EXPECT_EQ(status_of(kRead, read_arguments(file, 0, 1)), kOk);
  EXPECT_EQ(volume_->last_credentials().uid(), 0u);
}

TEST_F(NfsTest, AVolumeThatIsNotOpenIsOpenedByItsHandles) {
  auto other = make_volume(0x123, "later");
  exports_.add(other, false);
  std::string handle = NfsHandle{.volume = 0x123, .inode = 2, .life = 1}.encode();
  EXPECT_EQ(status_of(kGetattr, arguments(handle)), kOk);
  EXPECT_EQ(exports_.opened(), 1);
  exports_.set_open_error({Code::kUnavailable, "not now"});
  auto third = make_volume(0x124, "never");
  exports_.add(third, false);
  EXPECT_EQ(status_of(kGetattr, arguments(NfsHandle{.volume = 0x124, .inode = 2, .life = 1}.encode())),
            kErrJukebox);
}

}  // namespace
}  // namespace shima
