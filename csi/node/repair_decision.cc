#include "csi/node/repair_decision.h"

namespace shima {
namespace {

FoundTarget found_target(const FoundVolume& found, const std::string& path) {
  const auto at = found.targets.find(path);
  return at == found.targets.end() ? FoundTarget::kAbsent : at->second;
}

// True: the mount is made anew, so whatever refers to an earlier one is outdated.
bool decide_mount(const StageRecord& record, FoundMount mount, std::vector<RepairStep>& steps) {
  if (mount == FoundMount::kHealthy) return false;
  // Devices first: they would keep what they are on busy.
  if (record.block && (record.loop || record.read_only_loop)) steps.push_back({Repair::kReleaseLoops, ""});
  if (mount != FoundMount::kNone) steps.push_back({Repair::kUnmount, ""});
  steps.push_back({Repair::kMount, ""});
  return true;
}

void decide_target(const PublishedTarget& target, FoundTarget found, bool outdated, bool wanted,
                   std::vector<RepairStep>& steps) {
  if (found == FoundTarget::kAbsent && !wanted) {
    steps.push_back({Repair::kForgetTarget, target.path});
    return;
  }
  if (found == FoundTarget::kForeign) {
    steps.push_back({Repair::kRefuseForeignTarget, target.path});
    return;
  }
  if (found == FoundTarget::kBound && !outdated) return;
  if (found == FoundTarget::kBound || found == FoundTarget::kWrong) {
    steps.push_back({Repair::kUnbindTarget, target.path});
  }
  steps.push_back({Repair::kBindTarget, target.path});
}

}  // namespace

std::vector<RepairStep> decide_repairs(const StageRecord& record, const FoundVolume& found,
                                       const std::string& being_published) {
  if (record.phase == StagePhase::kUnstaging) return {{Repair::kTakeDown, ""}};
  if (found.mount == FoundMount::kForeign) return {{Repair::kRefuseForeignMount, ""}};
  if (found.mount == FoundMount::kHung) return {{Repair::kRefuseHungMount, ""}};
  if (found.mount == FoundMount::kRefused) return {{Repair::kRefuseRefusedMount, ""}};
  std::vector<RepairStep> steps;
  const bool remounted = decide_mount(record, found.mount, steps);
  const bool new_loop = record.wants_loop() && (remounted || !found.loop_good);
  const bool new_read_only_loop = record.wants_read_only_loop() && (remounted || !found.read_only_loop_good);
  if (new_loop) steps.push_back({Repair::kAttachLoop, ""});
  if (new_read_only_loop) steps.push_back({Repair::kAttachReadOnlyLoop, ""});
  for (const PublishedTarget& target : record.targets) {
    const bool read_only = target.read_only || record.read_only;
    const bool outdated = record.block ? (read_only ? new_read_only_loop : new_loop) : remounted;
    decide_target(target, found_target(found, target.path), outdated, target.path == being_published, steps);
  }
  if (record.block && !record.wants_read_only_loop() && record.read_only_loop) {
    steps.push_back({Repair::kReleaseReadOnlyLoop, ""});
  }
  return steps;
}

}  // namespace shima
