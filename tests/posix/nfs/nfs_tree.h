// NfsTree: a directory of an NFSv3 mount, used as a client's kernel would: ACCESS before it reads and writes,
// umask applied by the client, symlinks left to the client.
//
// Attributes that an answer carries are compared with a GETATTR; wrong() tells of the first that differ.
#pragma once

#include <functional>
#include <string>

#include "tests/posix/nfs/nfs_paths.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/tree_side.h"

namespace shima {

class NfsTree final : public TreeSide {
 public:
  // `random`: for what a client may do one way or another.
  NfsTree(Nfs3Client& client, std::string base, SeededRandom& random)
      : paths_(client, std::move(base)), random_(random) {}

  const NfsPaths& paths() const { return paths_; }
  Nfs3Client& client() const { return paths_.client(); }
  mode_t umask() const { return caller_.umask; }
  // The attributes that an answer carried must be those that a GETATTR shows; notes what is wrong. `handle`:
  // of what was changed, if the answer has none.
  void check_carried(const NfsAnswer& answer, const std::string& handle = "");
  // Does it with the handle of what is at the path; an errno.
  int with_file(const std::string& path, const std::function<int(const NfsPaths::Found&)>& use) const;
  // Makes something at the path; checks what the answer carries.
  int make(const std::string& path,
           const std::function<NfsAnswer(const std::string& directory, const std::string& name)>& create);

  void act_as(const TreeCaller& caller) override;
  int make_file(const std::string& path, mode_t mode) override;
  int make_directory(const std::string& path, mode_t mode) override;
  int make_symlink(const std::string& path, const std::string& target) override;
  int make_node(const std::string& path, mode_t mode, TreeDevice device) override;
  int make_link(const std::string& from, const std::string& to) override;
  int remove_file(const std::string& path) override;
  int remove_directory(const std::string& path) override;
  int rename(const std::string& from, const std::string& to, unsigned flags) override;
  int change_mode(const std::string& path, mode_t mode) override;
  int change_owner(const std::string& path, uid_t uid, gid_t gid) override;
  int change_times(const std::string& path, const std::array<timespec, 2>& times) override;
  int change_size(const std::string& path, uint64_t size) override;
  int write(const std::string& path, const TreeWrite& write, uint64_t& written) override;
  int read(const std::string& path, uint32_t count, std::string& bytes) override;
  int read_link(const std::string& path, std::string& target) override;
  int list(const std::string& path, bool types, uint32_t page, std::string& lines) override;
  int look(const std::string& path, struct stat& stat) override;
  int access(const std::string& path, std::string& allowed) override;
  std::string wrong() const override { return wrong_; }
  std::map<std::string, std::string> describe_tree(uint32_t page) override;

 private:
  int may(const std::string& handle, uint32_t wanted) const;
  int set(const std::string& path, const NfsSet& set);
  NfsAnswer create_exclusively(const std::string& directory, const std::string& name, const NfsSet& set);

  const NfsPaths paths_;
  SeededRandom& random_;
  TreeCaller caller_;
  std::string wrong_;
};

}  // namespace shima
