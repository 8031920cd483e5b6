#include "cli/exit_codes.h"

namespace shima {

ExitCode exit_code_of(Code code) {
  switch (code) {
    case Code::kOk:
      return ExitCode::kDone;
    case Code::kNotFound:
      return ExitCode::kNotFound;
    case Code::kAlreadyExists:
      return ExitCode::kAlreadyExists;
    case Code::kNoSpace:
      return ExitCode::kNoSpace;
    case Code::kUnavailable:
      return ExitCode::kUnreachable;
    case Code::kDeadlineExceeded:
      return ExitCode::kOutcomeUnknown;
    case Code::kConflict:
      return ExitCode::kPrecondition;
    case Code::kCorrupt:
      return ExitCode::kCorrupt;
    case Code::kFailedPrecondition:
      return ExitCode::kPrecondition;
    case Code::kIo:
      return ExitCode::kFile;
    case Code::kInvalidArgument:
    case Code::kPermissionDenied:
    case Code::kNotPrimary:
    case Code::kStaleTerm:
    case Code::kRequestTooOld:
    case Code::kInternal:
    case Code::kStaleFence:
    case Code::kFenced:
      break;
  }
  return ExitCode::kRefusedByCluster;
}

const char kExitCodeHelp[] =
    "Exit codes:\n"
    "   0  done\n"
    "   1  the cluster refused, for a reason without a number of its own\n"
    "   2  the command line is wrong\n"
    "   3  unreachable: nobody answered, or who answered cannot serve now\n"
    "   4  not found\n"
    "   5  already exists\n"
    "   6  the state of the cluster or of the volume forbids it\n"
    "   7  no space\n"
    "   8  time ran out: it may have happened or not\n"
    "   9  data is corrupt\n"
    "  10  a local file could not be read or written\n";

}  // namespace shima
