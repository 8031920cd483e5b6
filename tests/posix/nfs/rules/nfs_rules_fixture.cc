#include "tests/posix/nfs/rules/nfs_rules_fixture.h"

#include <unistd.h>

#include <cstdlib>
#include <span>

namespace shima {

void NfsRules::SetUp() {
  const char* server = std::getenv("SHIMA_NFS_SERVER");
  const char* volume = std::getenv("SHIMA_NFS_VOLUME");
  if (server != nullptr) {
    ASSERT_NE(volume, nullptr) << "SHIMA_NFS_VOLUME must name the volume";
    server_ = server;
    volume_ = volume;
  } else {
    MemoryNfsOptions options;
    options.volume.block_size = 64 << 10;
    auto started = MemoryNfs::start(options);
    ASSERT_TRUE(started.is_ok()) << started.status().to_string();
    memory_ = std::move(*started);
    server_ = memory_->servers()[0];
    volume_ = options.volume.name;
  }
  auto mounted = Nfs3Client::mount(server_, "/" + volume_);
  ASSERT_TRUE(mounted.is_ok()) << mounted.status().to_string();
  client_ = std::move(*mounted);
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  name_ = std::string("rule.") + test.name() + "." + std::to_string(getpid());
  const NfsAnswer made = client_->mkdir(client_->root(), name_, {.mode = 0777});
  ASSERT_EQ(made.status, NFS3_OK) << client_->error();
  directory_ = made.handle;
}

void NfsRules::TearDown() {
  if (!client_ || directory_.empty()) return;
  if (memory_) memory_->set_access({.allowed = true});
  root();
  empty(directory_);
  EXPECT_EQ(client_->rmdir(client_->root(), name_).status, NFS3_OK);
  client_.reset();
}

void NfsRules::empty(const std::string& directory) {
  for (const NfsEntry& entry : client_->list(directory, true, 32768).entries) {
    if (entry.name == "." || entry.name == ".." || !entry.attributes) continue;
    if (entry.attributes->type == NF3DIR) {
      empty(entry.handle);
      EXPECT_EQ(client_->rmdir(directory, entry.name).status, NFS3_OK) << entry.name;
    } else {
      EXPECT_EQ(client_->remove(directory, entry.name).status, NFS3_OK) << entry.name;
    }
  }
}

Nfs3Client& NfsRules::as(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups) {
  client_->act_as({uid, gid, std::move(groups)});
  return *client_;
}

std::string NfsRules::make_file(const std::string& name, uint32_t mode, uint32_t uid, uint32_t gid) {
  return make_file_in(directory_, name, mode, uid, gid);
}

std::string NfsRules::make_file_in(const std::string& directory, const std::string& name, uint32_t mode,
                                   uint32_t uid, uint32_t gid) {
  Nfs3Client& client = root();
  const NfsAnswer made = client.create(directory, name, GUARDED, {.mode = mode, .uid = uid, .gid = gid});
  EXPECT_EQ(made.status, NFS3_OK) << name;
  return made.handle;
}

std::string NfsRules::make_directory(const std::string& name, uint32_t mode, uint32_t uid, uint32_t gid) {
  Nfs3Client& client = root();
  const NfsAnswer made = client.mkdir(directory_, name, {.mode = mode, .uid = uid, .gid = gid});
  EXPECT_EQ(made.status, NFS3_OK) << name;
  return made.handle;
}

fattr3 NfsRules::attributes(const std::string& handle) {
  const NfsAnswer now = client_->getattr(handle);
  EXPECT_EQ(now.status, NFS3_OK);
  return now.attributes.value_or(fattr3{});
}

int NfsRules::write(Nfs3Client& client, const std::string& file, uint64_t offset, const std::string& bytes) {
  const std::span<const uint8_t> span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  const NfsAnswer done = client.write(file, offset, span);
  if (done.status == NFS3_OK) {
    EXPECT_EQ(done.word, bytes.size());
  }
  return done.status;
}

std::string NfsRules::content(const std::string& file) {
  Nfs3Client& client = root();
  std::string all;
  for (;;) {
    const NfsAnswer got = client.read(file, all.size(), 1 << 20);
    EXPECT_EQ(got.status, NFS3_OK);
    all += got.bytes;
    if (got.status != NFS3_OK || got.end || got.bytes.empty()) return all;
  }
}

}  // namespace shima
