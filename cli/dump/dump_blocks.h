// `shima-dump blocks DIR [--group V/G] [--verify] [-o table|json]`: what lies in the block store of a disk.
#pragma once

#include <string>

namespace shima {

struct DumpBlocksOptions {
  std::string directory;         // of a disk of a core server: holds blocks/ and index/
  std::string group;             // "VOLUME/GROUP", or empty for all
  bool verify = false;           // read every block and check it
  std::string output = "table";  // or "json"
};

// Prints to stdout, errors to stderr. Returns the exit code: 0, 1 (could not look, or bad blocks found), 2
// (wrong usage).
int dump_blocks(const DumpBlocksOptions& options);

}  // namespace shima
