// NfsPaths: paths below a directory of an NFSv3 mount, as a client's kernel walks them, with errnos: LOOKUP
// of each name in the caller's name. Symlinks are never followed.
//
// Threads: one at a time. Errors: errnos; a lost connection is EIO (and Nfs3Client::error() has it).
#pragma once

#include <sys/stat.h>

#include <map>
#include <string>

#include "tests/posix/nfs/nfs3_client.h"

namespace shima {

// What fstatat(2) would show of these attributes.
struct stat stat_of(const fattr3& attributes);

class NfsPaths {
 public:
  NfsPaths(Nfs3Client& client, std::string base) : client_(client), base_(std::move(base)) {}

  Nfs3Client& client() const { return client_; }

  struct Found {
    int error = 0;
    std::string handle;
    fattr3 attributes{};
  };
  Found find(const std::string& path) const;
  // The directory that has, or would have, the path's last name; ENOENT for the root.
  struct Place {
    int error = 0;
    std::string directory, name;
  };
  Place place(const std::string& path) const;

  // As list_directory() of tree_description.h; `plus`: with types. Pages of `count` bytes.
  int list(const std::string& path, bool plus, uint32_t count, std::string& lines) const;
  // As describe_tree().
  std::map<std::string, std::string> describe_tree(uint32_t count) const;
  void empty_tree() const;

 private:
  using Visit = std::function<void(const std::string& path, const NfsEntry& entry)>;
  void walk(const std::string& directory, const std::string& path, uint32_t count, const Visit& visit) const;
  std::string contents(const NfsEntry& file) const;

  Nfs3Client& client_;
  const std::string base_;  // handle
};

}  // namespace shima
