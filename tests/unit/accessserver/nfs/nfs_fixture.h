// A server over fake volumes on loopback, with the words to talk to it.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "accessserver/nfs/nfs_handle.h"
#include "accessserver/nfs/nfs_server.h"
#include "common/runtime/event_loop.h"
#include "tests/unit/accessserver/nfs/fake_file_system.h"
#include "tests/unit/accessserver/nfs/rpc_client.h"

namespace shima {

enum Nfs : uint32_t {
  kGetattr = 1,
  kSetattr = 2,
  kLookup = 3,
  kAccess = 4,
  kReadlink = 5,
  kRead = 6,
  kWrite = 7,
  kCreate = 8,
  kMkdir = 9,
  kSymlink = 10,
  kMknod = 11,
  kRemove = 12,
  kRmdir = 13,
  kRename = 14,
  kLink = 15,
  kReaddir = 16,
  kReaddirplus = 17,
  kFsstat = 18,
  kFsinfo = 19,
  kPathconf = 20,
  kCommit = 21,
};

// What a status of nfsstat3 is called in RFC 1813.
enum Nfs3Err : uint32_t {
  kOk = 0,
  kErrPerm = 1,
  kErrNoEnt = 2,
  kErrIo = 5,
  kErrAcces = 13,
  kErrExist = 17,
  kErrXdev = 18,
  kErrNotDir = 20,
  kErrIsDir = 21,
  kErrInval = 22,
  kErrFbig = 27,
  kErrNoSpc = 28,
  kErrRofs = 30,
  kErrNameTooLong = 63,
  kErrNotEmpty = 66,
  kErrStale = 70,
  kErrBadHandle = 10001,
  kErrNotSync = 10002,
  kErrBadCookie = 10003,
  kErrTooSmall = 10005,
  kErrBadType = 10007,
  kErrJukebox = 10008,
};

struct Fattr {
  uint32_t type = 0, mode = 0, nlink = 0, uid = 0, gid = 0, rdev_major = 0, rdev_minor = 0;
  uint64_t size = 0, used = 0, fsid = 0, fileid = 0;
  uint64_t atime_ns = 0, mtime_ns = 0, ctime_ns = 0;
};

inline uint64_t take_time(XdrReader& in) {
  uint64_t seconds = in.u32();
  return seconds * 1'000'000'000 + in.u32();
}

inline Fattr take_fattr(XdrReader& in) {
  Fattr a;
  for (uint32_t* field : {&a.type, &a.mode, &a.nlink, &a.uid, &a.gid}) *field = in.u32();
  for (uint64_t* field : {&a.size, &a.used}) *field = in.u64();
  for (uint32_t* field : {&a.rdev_major, &a.rdev_minor}) *field = in.u32();
  for (uint64_t* field : {&a.fsid, &a.fileid}) *field = in.u64();
  for (uint64_t* field : {&a.atime_ns, &a.mtime_ns, &a.ctime_ns}) *field = take_time(in);
  return a;
}

inline std::optional<Fattr> take_post_op(XdrReader& in) {
  if (!in.boolean()) return std::nullopt;
  return take_fattr(in);
}

struct Wcc {
  bool has_before = false;
  uint64_t size = 0, mtime_ns = 0, ctime_ns = 0;
  std::optional<Fattr> after;
};

inline Wcc take_wcc(XdrReader& in) {
  Wcc wcc;
  wcc.has_before = in.boolean();
  if (wcc.has_before) {
    wcc.size = in.u64();
    wcc.mtime_ns = take_time(in);
    wcc.ctime_ns = take_time(in);
  }
  wcc.after = take_post_op(in);
  return wcc;
}

// sattr3 as one likes it.
struct Sattr {
  std::optional<uint32_t> mode, uid, gid;
  std::optional<uint64_t> size;
  uint32_t atime = 0, mtime = 0;  // 1: the server's time; 2: mtime_s, mtime_ns
  uint32_t time_s = 0, time_ns = 0;
  void put(XdrWriter& out) const {
    for (const auto& field : {mode, uid, gid}) {
      out.boolean(field.has_value());
      if (field) out.u32(*field);
    }
    out.boolean(size.has_value());
    if (size) out.u64(*size);
    for (uint32_t how : {atime, mtime}) {
      out.u32(how);
      if (how == 2) out.u32(time_s), out.u32(time_ns);
    }
  }
};

class NfsTest : public testing::Test {
 protected:
  NfsTest() { volume_loop_.start(), loop_a_.start(), loop_b_.start(); }
  ~NfsTest() override { server_.reset(); }

  std::shared_ptr<FakeFileSystem> make_volume(uint64_t id, const std::string& name) {
    return std::make_shared<FakeFileSystem>(id, name,
                                            [this](Task task) { volume_loop_.post(std::move(task)); });
  }

  void SetUp() override {
    volume_ = make_volume(0xabc, "db");
    exports_.add(volume_);
    start({});
  }

  void start(NfsServerOptions options) {
    server_.reset();
    options.address = "127.0.0.1";
    options.port = 0;
    auto opened = NfsServer::open({&loop_a_, &loop_b_}, options, exports_);
    ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
    server_ = std::move(*opened);
    client_ = std::make_unique<RpcClient>(server_->port());
  }

  std::string handle(uint64_t inode) {
    return NfsHandle{.volume = 0xabc, .inode = inode, .life = 1}.encode();
  }
  std::string root() { return handle(FakeFileSystem::kRoot); }

  static XdrWriter arguments(const std::string& handle) {
    XdrWriter out;
    out.opaque(handle);
    return out;
  }
  static XdrWriter arguments(const std::string& directory, const std::string& name) {
    XdrWriter out = arguments(directory);
    out.opaque(name);
    return out;
  }

  // Creates a file and returns its handle.
  std::string make_file(const std::string& name, uint32_t mode = 0644) {
    XdrWriter out = arguments(root(), name);
    out.u32(0);
    Sattr{.mode = mode}.put(out);
    auto [status, in] = client_->nfs(kCreate, std::move(out));
    EXPECT_EQ(status, kOk);
    EXPECT_TRUE(in.boolean());
    return in.string(64);
  }
  std::string make_directory(const std::string& directory, const std::string& name) {
    XdrWriter out = arguments(directory, name);
    Sattr{.mode = 0755}.put(out);
    auto [status, in] = client_->nfs(kMkdir, std::move(out));
    EXPECT_EQ(status, kOk);
    EXPECT_TRUE(in.boolean());
    return in.string(64);
  }
  static XdrWriter write_arguments(const std::string& handle, uint64_t offset, const std::string& bytes,
                                   std::optional<uint32_t> count = {}) {
    XdrWriter out = arguments(handle);
    out.u64(offset);
    out.u32(count.value_or(static_cast<uint32_t>(bytes.size())));
    out.u32(0);  // UNSTABLE
    out.opaque(bytes);
    return out;
  }
  static XdrWriter read_arguments(const std::string& handle, uint64_t offset, uint32_t count) {
    XdrWriter out = arguments(handle);
    out.u64(offset);
    out.u32(count);
    return out;
  }
  uint32_t status_of(uint32_t procedure, XdrWriter out) {
    return client_->nfs(procedure, std::move(out)).first;
  }
  Fattr attributes_of(const std::string& handle) {
    auto [status, in] = client_->nfs(kGetattr, arguments(handle));
    EXPECT_EQ(status, kOk);
    return take_fattr(in);
  }

  EventLoop volume_loop_{"volume"}, loop_a_{"nfs-a"}, loop_b_{"nfs-b"};
  FakeExports exports_;
  std::shared_ptr<FakeFileSystem> volume_;
  std::unique_ptr<NfsServer> server_;
  std::unique_ptr<RpcClient> client_;
};

}  // namespace shima
