// NfsRules: a directory of its own on an NFSv3 volume for each rule.
//
// By default servers in this process over a volume in memory; with SHIMA_NFS_SERVER=HOST:PORT and
// SHIMA_NFS_VOLUME=NAME those of a cluster, and then the rules that change the export are skipped, as they
// say. Threads: one at a time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/posix/nfs/memory_nfs.h"
#include "tests/posix/nfs/nfs3_client.h"

namespace shima {

class NfsRules : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  MemoryNfs* memory() const { return memory_.get(); }  // null: a cluster's servers are asked
  // Calls by this caller until the next as(); root at first.
  Nfs3Client& as(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {});
  Nfs3Client& root() { return as(0, 0); }

  // As root; the handle.
  std::string make_file(const std::string& name, uint32_t mode = 0644, uint32_t uid = 0, uint32_t gid = 0);
  std::string make_file_in(const std::string& directory, const std::string& name, uint32_t mode = 0644,
                           uint32_t uid = 0, uint32_t gid = 0);
  std::string make_directory(const std::string& name, uint32_t mode = 0755, uint32_t uid = 0,
                             uint32_t gid = 0);
  // Of an object that is there; all zero if it is not.
  fattr3 attributes(const std::string& handle);
  int write(Nfs3Client& client, const std::string& file, uint64_t offset, const std::string& bytes);
  std::string content(const std::string& file);  // as root, the whole

  std::string directory_;  // its handle; root's, mode 0777
  std::string server_, volume_;

 private:
  void empty(const std::string& directory);
  std::unique_ptr<MemoryNfs> memory_;
  std::unique_ptr<Nfs3Client> client_;
  std::string name_;
};

}  // namespace shima
