// NFS over the real file layer and jobs, on a volume in memory, through two access servers at once.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/memory_volume/memory_volume.h"
#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

class OneExport final : public Exports {
 public:
  explicit OneExport(std::shared_ptr<FileSystem> volume) : volume_(std::move(volume)) {}
  void by_name(const std::string& name, Done done) override {
    if (name == volume_->volume_name()) return done(volume_);
    done({Code::kNotFound, "there is no such volume"});
  }
  void by_id(uint64_t id, Done done) override {
    if (id == volume_->volume_id()) return done(volume_);
    done({Code::kNotFound, "there is no such volume"});
  }
  std::shared_ptr<FileSystem> open_now(uint64_t id) const override {
    return id == volume_->volume_id() ? volume_ : nullptr;
  }
  void list(std::function<void(Result<std::vector<std::string>>)> done) override {
    done(std::vector<std::string>{volume_->volume_name()});
  }
  Access access(const std::string&, const std::string&) const override {
    Access access;
    access.allowed = true;
    return access;
  }

 private:
  std::shared_ptr<FileSystem> volume_;
};

// An access server with a client.
struct Side {
  Side(MemoryVolume& volume, EventLoop& loop, const std::string& name) {
    FileSystemOptions options;
    options.session_name = name;
    exports = std::make_unique<OneExport>(std::shared_ptr<FileSystem>(make_file_system(volume, options)));
    NfsServerOptions nfs;
    nfs.address = "127.0.0.1";
    nfs.port = 0;
    auto opened = NfsServer::open({&loop}, nfs, *exports);
    EXPECT_TRUE(opened.is_ok()) << opened.status().to_string();
    server = std::move(*opened);
    client = std::make_unique<RpcClient>(server->port());
    client->defaults.uid = client->defaults.gid = 0;
  }

  std::string lookup(const std::string& directory, const std::string& name) {
    auto [status, in] = client->nfs(kLookup, words(directory, name));
    EXPECT_EQ(status, kOk) << name;
    return in.string(64);
  }
  std::pair<uint32_t, std::string> create(const std::string& directory, const std::string& name,
                                          uint32_t mode = 0644) {
    XdrWriter out = words(directory, name);
    out.u32(1);
    Sattr{.mode = mode}.put(out);
    return made(kCreate, std::move(out));
  }
  std::pair<uint32_t, std::string> mkdir(const std::string& directory, const std::string& name,
                                         uint32_t mode = 0755) {
    XdrWriter out = words(directory, name);
    Sattr{.mode = mode}.put(out);
    return made(kMkdir, std::move(out));
  }
  uint32_t write(const std::string& file, uint64_t offset, const std::string& bytes) {
    XdrWriter out = words(file);
    out.u64(offset);
    out.u32(static_cast<uint32_t>(bytes.size()));
    out.u32(2);
    out.opaque(bytes);
    return client->nfs(kWrite, std::move(out)).first;
  }
  std::pair<uint32_t, std::string> read(const std::string& file, uint64_t offset, uint32_t count) {
    XdrWriter out = words(file);
    out.u64(offset);
    out.u32(count);
    auto [status, in] = client->nfs(kRead, std::move(out));
    take_post_op(in);
    in.u32();
    in.boolean();
    return {status, status == kOk ? in.string(1 << 20) : ""};
  }
  uint32_t truncate(const std::string& file, uint64_t size) {
    XdrWriter out = words(file);
    Sattr{.size = size}.put(out);
    out.boolean(false);
    return client->nfs(kSetattr, std::move(out)).first;
  }
  Fattr attributes(const std::string& handle) {
    auto [status, in] = client->nfs(kGetattr, words(handle));
    EXPECT_EQ(status, kOk);
    return take_fattr(in);
  }
  uint32_t status(uint32_t procedure, XdrWriter out) { return client->nfs(procedure, std::move(out)).first; }
  std::pair<uint32_t, std::string> made(uint32_t procedure, XdrWriter out) {
    auto [status, in] = client->nfs(procedure, std::move(out));
    if (status == kOk) {
      EXPECT_TRUE(in.boolean());
    }
    return {status, status == kOk ? in.string(64) : ""};
  }
  static XdrWriter words(const std::string& handle) {
    XdrWriter out;
    out.opaque(handle);
    return out;
  }
  static XdrWriter words(const std::string& handle, const std::string& name) {
    XdrWriter out = words(handle);
    out.opaque(name);
    return out;
  }

  std::unique_ptr<OneExport> exports;
  std::unique_ptr<NfsServer> server;  // goes before the exports
  std::unique_ptr<RpcClient> client;
};

class NfsOverVolumeTest : public testing::Test {
 protected:
  NfsOverVolumeTest() {
    loop_.start();
    one_ = std::make_unique<Side>(volume_, loop_, "a/access-0");
    two_ = std::make_unique<Side>(volume_, loop_, "b/access-0");
  }
  ~NfsOverVolumeTest() override {
    one_.reset();
    two_.reset();
  }
  std::string root_ = NfsHandle{.volume = 9, .inode = 2, .life = 3}.encode();
  MemoryVolume volume_{
      {.name = "mem", .volume_id = 9, .life = 3, .block_size = 64 << 10, .seed = 5, .reorder = true}};
  EventLoop loop_{"nfs"};
  std::unique_ptr<Side> one_, two_;
};

TEST_F(NfsOverVolumeTest, BothServersShowOneVolume) {
  XdrWriter path;
  path.opaque("/mem");
  auto [mounted, in] = one_->client->mount(1, path);
  EXPECT_EQ(mounted, 0u);
  EXPECT_EQ(in.string(64), root_);
  auto [status, directory] = one_->mkdir(root_, "d");
  ASSERT_EQ(status, kOk);
  EXPECT_EQ(two_->lookup(root_, "d"), directory);
  auto [created, file] = two_->create(directory, "f");
  ASSERT_EQ(created, kOk);
  EXPECT_EQ(one_->lookup(directory, "f"), file);
  EXPECT_EQ(two_->mkdir(root_, "d").first, kErrExist);
  EXPECT_EQ(one_->attributes(root_).nlink, 3u);
}

TEST_F(NfsOverVolumeTest, WhatOneServerAckedTheOtherShows) {
  std::string file = one_->create(root_, "f").second;
  std::string bytes(300'000, '\0');
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(i * 7 + i / 1021);
  for (size_t at = 0; at < bytes.size(); at += 50'000) {
    ASSERT_EQ(one_->write(file, at, bytes.substr(at, 50'000)), kOk);
    EXPECT_EQ(two_->attributes(file).size, at + 50'000);
  }
  EXPECT_TRUE(two_->read(file, 0, 1 << 20).second == bytes);
  Fattr before = two_->attributes(file);
  ASSERT_EQ(two_->write(file, 100, "changed"), kOk);
  EXPECT_EQ(one_->read(file, 98, 11).second, bytes.substr(98, 2) + "changed" + bytes.substr(107, 2));
  Fattr after = one_->attributes(file);
  EXPECT_GT(after.mtime_ns, before.mtime_ns);
  EXPECT_GE(after.ctime_ns, after.mtime_ns);
}

TEST_F(NfsOverVolumeTest, TruncationLeavesZerosEverywhere) {
  std::string file = one_->create(root_, "f").second;
  ASSERT_EQ(one_->write(file, 0, std::string(200'000, 'x')), kOk);
  ASSERT_EQ(two_->truncate(file, 1000), kOk);
  EXPECT_EQ(one_->attributes(file).size, 1000u);
  ASSERT_EQ(one_->write(file, 150'000, "end"), kOk);
  EXPECT_EQ(two_->read(file, 0, 1 << 20).second, std::string(1000, 'x') + std::string(149'000, '\0') + "end");
  ASSERT_EQ(one_->truncate(file, 500'000), kOk);
  EXPECT_EQ(two_->attributes(file).size, 500'000u);
  EXPECT_EQ(two_->read(file, 499'999, 10).second, std::string(1, '\0'));
}

TEST_F(NfsOverVolumeTest, PermissionsAreCheckedButTheOwnerMayWrite) {
  std::string file = one_->create(root_, "f", 0600).second;
  XdrWriter chown = Side::words(file);
  Sattr{.mode = 0400, .uid = 1000, .gid = 1000}.put(chown);
  chown.boolean(false);
  ASSERT_EQ(one_->status(kSetattr, chown), kOk);
  two_->client->defaults.uid = two_->client->defaults.gid = 1000;
  EXPECT_EQ(two_->write(file, 0, "mine"), kOk);
  EXPECT_EQ(two_->read(file, 0, 10).second, "mine");
  EXPECT_EQ(two_->create(root_, "g").first, kErrAcces);  // the root is root's
  two_->client->defaults.uid = two_->client->defaults.gid = 1001;
  EXPECT_EQ(two_->write(file, 0, "x"), kErrAcces);
  EXPECT_EQ(two_->read(file, 0, 10).first, kErrAcces);
  EXPECT_EQ(one_->read(file, 0, 10).second, "mine");
}

TEST_F(NfsOverVolumeTest, RemovedFilesAreStaleAtBothServers) {
  std::string file = one_->create(root_, "f").second;
  ASSERT_EQ(one_->write(file, 0, "bytes"), kOk);
  EXPECT_EQ(two_->status(kRemove, Side::words(root_, "f")), kOk);
  EXPECT_EQ(one_->status(kGetattr, Side::words(file)), kErrStale);
  EXPECT_EQ(two_->status(kGetattr, Side::words(file)), kErrStale);
  EXPECT_EQ(one_->read(file, 0, 5).first, kErrStale);
  EXPECT_EQ(one_->write(file, 0, "x"), kErrStale);
  XdrWriter link = Side::words(file, root_);
  link.opaque("again");
  EXPECT_EQ(two_->status(kLink, link), kErrStale);
  EXPECT_EQ(one_->status(kLookup, Side::words(root_, "f")), kErrNoEnt);
}

TEST_F(NfsOverVolumeTest, RenameReplacesAndDirectoriesMustBeEmpty) {
  std::string directory = one_->mkdir(root_, "d").second;
  std::string old_file = one_->create(directory, "g").second;
  std::string file = one_->create(root_, "f").second;
  XdrWriter rename = Side::words(root_, "f");
  rename.opaque(directory);
  rename.opaque("g");
  EXPECT_EQ(two_->status(kRename, rename), kOk);
  EXPECT_EQ(one_->lookup(directory, "g"), file);
  EXPECT_EQ(one_->status(kGetattr, Side::words(old_file)), kErrStale);
  EXPECT_EQ(one_->status(kRmdir, Side::words(root_, "d")), kErrNotEmpty);
  EXPECT_EQ(one_->status(kRemove, Side::words(root_, "d")), kErrIsDir);
  EXPECT_EQ(one_->status(kRemove, Side::words(directory, "g")), kOk);
  EXPECT_EQ(two_->status(kRmdir, Side::words(root_, "d")), kOk);
}

TEST_F(NfsOverVolumeTest, ListingsOfBothServersHaveTheSameCookies) {
  std::set<std::string> wanted = {".", ".."};
  for (int i = 0; i < 100; i++) {
    std::string name = "file-" + std::to_string(i);
    ASSERT_EQ((i % 2 ? one_ : two_)->create(root_, name).first, kOk);
    wanted.insert(name);
  }
  std::set<std::string> got;
  uint64_t cookie = 0;
  for (int page = 0; page < 200; page++) {
    Side& side = page % 2 ? *one_ : *two_;  // another server for each page
    XdrWriter out = Side::words(root_);
    out.u64(cookie);
    out.u64(0);
    out.u32(4096);
    out.u32(1500);
    auto [status, in] = side.client->nfs(kReaddirplus, std::move(out));
    ASSERT_EQ(status, kOk);
    take_post_op(in);
    in.u64();
    while (in.boolean()) {
      in.u64();
      EXPECT_TRUE(got.insert(in.string(255)).second);
      cookie = in.u64();
      EXPECT_TRUE(take_post_op(in).has_value());
      EXPECT_TRUE(in.boolean());
      in.string(64);
    }
    if (in.boolean()) break;
  }
  EXPECT_EQ(got, wanted);
}

TEST_F(NfsOverVolumeTest, AnExclusiveCreateFindsItsOwnFileAtTheOtherServer) {
  auto create = [&](Side& side, uint64_t verifier) {
    XdrWriter out = Side::words(root_, "x");
    out.u32(2);
    out.u64(verifier);
    return side.made(kCreate, std::move(out));
  };
  auto [status, file] = create(*one_, 0x1234567890abcdef);
  EXPECT_EQ(status, kOk);
  EXPECT_EQ(create(*two_, 0x1234567890abcdef), std::pair(0u, file));
  EXPECT_EQ(create(*two_, 0x1234567890abcdee).first, kErrExist);
}

TEST_F(NfsOverVolumeTest, LinksSymlinksAndStatistics) {
  std::string file = one_->create(root_, "f").second;
  XdrWriter link = Side::words(file, root_);
  link.opaque("g");
  EXPECT_EQ(two_->status(kLink, link), kOk);
  EXPECT_EQ(one_->attributes(file).nlink, 2u);
  XdrWriter symlink = Side::words(root_, "l");
  Sattr().put(symlink);
  symlink.opaque("f");
  std::string target = one_->made(kSymlink, std::move(symlink)).second;
  auto [status, in] = two_->client->nfs(kReadlink, Side::words(target));
  EXPECT_EQ(status, kOk);
  take_post_op(in);
  EXPECT_EQ(in.string(100), "f");
  for (uint32_t procedure : {kFsstat, kFsinfo, kPathconf}) {
    EXPECT_EQ(one_->status(procedure, Side::words(root_)), kOk);
  }
}

}  // namespace
}  // namespace shima
