// Small JSON files that must survive a crash: written to a new file, synced, renamed over the old one, and
// the folder synced; so there is the old text or the new one, never a part.
//
// Names are made of [A-Za-z0-9._-] only. Threads: one at a time for a name. Errors: kIo, kNoSpace; kNotFound.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"
#include "csi/host/absolute_path.h"

namespace shima {

// A folder of such files.
class StateFolder {
 public:
  // Makes it, with the folders above it, for root only (0700).
  static Result<StateFolder> open(const std::string& path);

  Status write(const std::string& name, const std::string& text) const;
  Result<std::string> read(const std::string& name) const;               // at most 1 MiB: kCorrupt
  Status remove(const std::string& name) const;                          // ok if it is not there
  Result<std::vector<std::string>> list(std::string_view suffix) const;  // names that end in it, sorted
  // What a crash left. At start only: it would take the file from under another thread's write().
  Status remove_half_written() const;
  const std::string& path() const { return path_; }

 private:
  explicit StateFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Makes a folder, with those above it. kIo.
Status make_folders(const std::string& path, unsigned mode);

// One process at a time: the lock of `folder`/`name` is held as long as the descriptor lives. Waits for up to
// `wait_ms` for its holder to end. kFailedPrecondition: somebody has it.
Result<OwnedFd> lock_folder(const std::string& folder, const std::string& name, uint32_t wait_ms);

}  // namespace shima
