#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

enum Mount : uint32_t { kNull = 0, kMnt = 1, kDump = 2, kUmnt = 3, kUmntAll = 4, kExport = 5 };

class MountTest : public NfsTest {
 protected:
  static XdrWriter path(const std::string& text) {
    XdrWriter out;
    out.opaque(text);
    return out;
  }
  std::pair<uint32_t, std::string> mount(const std::string& text) {
    auto [status, in] = client_->mount(kMnt, path(text));
    std::string handle = status == 0 ? in.string(64) : "";
    if (status == 0) {
      EXPECT_EQ(in.u32(), 1u);  // one flavour
      EXPECT_EQ(in.u32(), 1u);  // AUTH_SYS
    }
    EXPECT_TRUE(in.good());
    EXPECT_EQ(in.left(), 0u);
    return {status, handle};
  }
  // Pairs of strings of a list: DUMP's client and path.
  std::vector<std::string> dump() {
    TestCall call;
    call.program = 100005;
    call.procedure = kDump;
    XdrReader in = client_->run(call).results;
    std::vector<std::string> mounts;
    while (in.boolean()) {
      std::string client = in.string(255);
      mounts.push_back(client + ":" + in.string(1024));
    }
    EXPECT_TRUE(in.good());
    return mounts;
  }
};

TEST_F(MountTest, AVolumeIsMountedByItsName) {
  for (const char* name : {"/db", "/db/", "//db", "/./db/."})
    EXPECT_EQ(mount(name), std::pair(0u, root())) << name;
  EXPECT_EQ(attributes_of(mount("/db").second).type, 2u);
}

TEST_F(MountTest, ADirectoryOfAVolumeIsMounted) {
  std::string one = make_directory(root(), "sub"), two = make_directory(one, "dir");
  make_file("file");
  EXPECT_EQ(mount("/db/sub"), std::pair(0u, one));
  EXPECT_EQ(mount("/db/sub/dir"), std::pair(0u, two));
  EXPECT_EQ(mount("/db/sub/missing").first, kErrNoEnt);
  EXPECT_EQ(mount("/db/file").first, kErrNotDir);
  EXPECT_EQ(mount("/db/file/x").first, kErrNotDir);
  EXPECT_EQ(mount("/db/sub/..").first, kErrAcces);
  EXPECT_EQ(mount("/db/" + std::string(256, 'n')).first, kErrNameTooLong);
}

TEST_F(MountTest, WhatIsNotThereIsNotMounted) {
  for (const char* name : {"", "/", "db", "/other", "/../db"}) EXPECT_NE(mount(name).first, 0u) << name;
  EXPECT_EQ(mount("/other").first, kErrNoEnt);
  TestCall call;
  call.program = 100005;
  call.procedure = kMnt;
  call.arguments = path("/" + std::string(1024, 'a'));
  EXPECT_EQ(client_->run(call).status, 4u);  // longer than MNTPATHLEN: GARBAGE_ARGS
}

TEST_F(MountTest, OnlyAllowedClientsMount) {
  exports_.set_access("db", {});
  int opened = exports_.opened();
  EXPECT_EQ(mount("/db").first, kErrAcces);
  EXPECT_EQ(mount("/nonsense").first, kErrNoEnt);
  EXPECT_EQ(exports_.opened(), opened);  // nobody else makes the server open a volume
}

TEST_F(MountTest, AVolumeThatCannotBeOpenedIsAFault) {
  exports_.set_open_error({Code::kUnavailable, "no server answers"});
  EXPECT_EQ(mount("/db").first, 10006u);  // SERVERFAULT
}

TEST_F(MountTest, DumpTellsWhoHasMountedWhat) {
  EXPECT_TRUE(dump().empty());
  mount("/db");
  make_directory(root(), "sub");
  mount("/db/sub");
  EXPECT_EQ(dump(), (std::vector<std::string>{"127.0.0.1:/db", "127.0.0.1:/db/sub"}));
  client_->mount(kUmnt, path("/db"));
  EXPECT_EQ(dump(), (std::vector<std::string>{"127.0.0.1:/db/sub"}));
  client_->mount(kUmntAll, {});
  EXPECT_TRUE(dump().empty());
}

TEST_F(MountTest, ExportListsWhatTheClientMayUse) {
  exports_.add(make_volume(2, "open"));
  exports_.add(make_volume(3, "secret"));
  exports_.set_access("secret", {});
  TestCall call;
  call.program = 100005;
  call.procedure = kExport;
  XdrReader in = client_->run(call).results;
  std::vector<std::string> names;
  while (in.boolean()) {
    names.push_back(in.string(1024));
    EXPECT_FALSE(in.boolean());  // no groups
  }
  EXPECT_EQ(names, (std::vector<std::string>{"/db", "/open"}));
}

TEST_F(MountTest, VersionOneGivesAFixedHandle) {
  auto [status, in] = client_->mount(kMnt, path("/db"), 1);
  EXPECT_EQ(status, 0u);
  EXPECT_EQ(in.fixed_string(32), root());
  EXPECT_EQ(in.left(), 0u);
  TestCall call;
  call.program = 100005;
  call.version = 2;
  TestReply reply = client_->run(call);
  EXPECT_EQ(reply.status, 2u);
  EXPECT_EQ(reply.results.u32(), 1u);
  EXPECT_EQ(reply.results.u32(), 3u);
}

TEST_F(MountTest, AClientOfWhomItIsNotKnownWhetherItMayIsToldToTryLater) {
  exports_.set_access("db", {.try_later = true});
  EXPECT_EQ(mount("/db").first, 10006u);  // SERVERFAULT: mountstat3 has no JUKEBOX
  exports_.set_access("db", {.allowed = true});
  EXPECT_EQ(mount("/db").first, 0u);
}

}  // namespace
}  // namespace shima
