// NamelessFiles: may an inode that has no name any more still be opened? Only if somebody has it open (POSIX
// unlink(2), open_by_handle_at(2)): the volume knows that once every session has answered for the orphan.
//
// This session answers at once; others do with their next sign of life, so it may take them keep_alive_ms to
// hear of the orphan. Threads: the loop.
#pragma once

#include <cstdint>

#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/session_keeper.h"

namespace shima {

class NamelessFiles {
 public:
  NamelessFiles(FileContext& context, SessionKeeper& sessions) : context_(context), sessions_(sessions) {}
  // See FileSystem.
  void find_who_has_open(uint64_t inode, FileContext::ErrorDone done);
  void hold(uint64_t inode, FileContext::ErrorDone done);

 private:
  // Asks until `until_ms` (of the loop) whether nobody has it open.
  void ask(uint64_t inode, uint64_t until_ms, FileContext::ErrorDone done);

  FileContext& context_;
  SessionKeeper& sessions_;
};

}  // namespace shima
