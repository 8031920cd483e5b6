// What has to be done to a staged volume so that the node is as its record says: the same for a first call, a
// repeated one, one that was interrupted anywhere, and the look-around at start.
//
// PURE: record and findings in, actions out, in their order. Threads: any.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "csi/node/stage_record.h"

namespace shima {

enum class FoundMount {
  kNone,
  kHealthy,
  kOutdated,  // it answers, but was made with another publication: fenced, or about to be
  kDead,      // it answers ENOTCONN or the like: its server has gone
  kHung,      // it does not answer, and its server is there
  kRefused,   // its server does not let this node in
  kForeign,   // something else is mounted there
};

enum class FoundTarget {
  kAbsent,  // there is no such path (any more)
  kFree,    // the path is there, nothing is mounted on it
  kBound,   // it shows what it should
  kWrong,   // it shows this volume's earlier mount or device, or has other flags
  kForeign,
};

struct FoundVolume {
  FoundMount mount = FoundMount::kNone;
  bool loop_good = false;  // the recorded device is on this mount's image
  bool read_only_loop_good = false;
  std::map<std::string, FoundTarget> targets;  // by path
};

enum class Repair {
  kTakeDown,            // all of it, and the record
  kRefuseForeignMount,  // ends the repair with an error, as do the next three
  kRefuseHungMount,
  kRefuseRefusedMount,
  kRefuseForeignTarget,
  kReleaseLoops,
  kUnmount,
  kMount,
  kAttachLoop,
  kAttachReadOnlyLoop,
  kReleaseReadOnlyLoop,  // nobody needs it any more
  kForgetTarget,
  kUnbindTarget,
  kBindTarget,
};

struct RepairStep {
  Repair repair;
  std::string target;  // of the steps that have one

  bool operator==(const RepairStep&) const = default;
};

// `being_published`: the target that a call is about to make; others that are absent are forgotten, since
// their pods have gone.
std::vector<RepairStep> decide_repairs(const StageRecord& record, const FoundVolume& found,
                                       const std::string& being_published);

}  // namespace shima
