// What shimactl's exit code says; part of its contract with scripts.
#pragma once

#include "common/status/status.h"

namespace shima {

enum class ExitCode : int {
  kDone = 0,
  kRefusedByCluster = 1,  // any error that has no number of its own
  kUsage = 2,             // the command line is wrong; nothing was sent
  kUnreachable = 3,       // nobody answered, or who answered cannot serve now
  kNotFound = 4,
  kAlreadyExists = 5,
  kPrecondition = 6,  // the state of the cluster, or a rival change, forbids it
  kNoSpace = 7,
  kOutcomeUnknown = 8,  // time ran out: it may have happened
  kCorrupt = 9,
  kFile = 10,  // a local file could not be read or written
};

ExitCode exit_code_of(Code code);

// For --help.
extern const char kExitCodeHelp[];

}  // namespace shima
