// Statistics: what a run did, which faults it met and what was checked; summed over a batch of runs.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace shima::simulation {

enum class Fault : uint8_t {
  kCrash,
  kTornAppend,
  kLostAppend,
  kBlocksFellBack,
  kForgettingCutOff,
  kLost,
  kDoubled,
  kReordered,
  kLate,
  kConnectionBroken,
  kPartition,
  kConfigLate,
  kConfigLost,
  kFullDisk,
  kSlowSync,
  kLostReply,
  kDoubledRequest,
  kCount
};
inline constexpr std::array<std::string_view, size_t(Fault::kCount)> kFaultNames = {
    "crash",
    "torn-append",
    "lost-append",
    "blocks-fell-back",
    "forgetting-cut-off",
    "lost-message",
    "doubled-message",
    "reordered-message",
    "late-message-of-old-connection",
    "broken-connection",
    "partition",
    "config-late",
    "config-change-lost",
    "full-disk",
    "slow-sync",
    "lost-reply",
    "doubled-request"};

enum class Happened : uint8_t {
  kAcked,
  kAckedRetry,
  kRefusedBusy,
  kRefusedFull,
  kReadPrimary,
  kReadRemote,
  kCommitted,
  kRestart,
  kNewTerm,
  kTruncation,
  kLeftWhole,
  kJoinedWhole,
  kLeftInSync,
  kJoinedInSync,
  kResyncBegun,
  kResyncStored,
  kFolded,
  kBlocksDropped,
  kTrimmed,
  kReleased,
  kCheckpoint,
  kCount
};
inline constexpr std::array<std::string_view, size_t(Happened::kCount)> kHappenedNames = {
    "writes-acked",
    "retries-acked",
    "busy-refusals",
    "full-refusals",
    "reads-primary",
    "reads-remote",
    "records-committed",
    "restarts",
    "new-terms",
    "truncations",
    "left-whole-set",
    "joined-whole-set",
    "left-in-sync",
    "joined-in-sync",
    "resyncs-begun",
    "resyncs-stored",
    "folds",
    "folded-blocks-dropped",
    "trims",
    "journal-releases",
    "checkpoints"};

enum class Check : uint8_t {
  kAckDurable,
  kAckedSurvives,
  kTrim,
  kRelease,
  kCommittedOnly,
  kOneExecution,
  kAgreement,
  kReadIsNewest,
  kAckOrder,
  kClaims,
  kWholeSet,
  kInSyncSet,
  kConvergence,
  kProgress,
  kNoDamage,
  kCore,
  kCount
};
inline constexpr std::array<std::string_view, size_t(Check::kCount)> kCheckNames = {
    "I1-ack-is-durable", "I2-acked-survives", "I3-trim",          "I3-release",
    "R1-committed-only", "R20-one-execution", "agreement",        "read-is-newest",
    "ack-order",         "claims-are-true",   "R7-whole-has-all", "R12-in-sync-has-acked",
    "convergence",       "progress",          "R22-no-damage",    "core-check"};

struct Statistics {
  std::array<uint64_t, size_t(Fault::kCount)> faults{};
  std::array<uint64_t, size_t(Happened::kCount)> happened{};
  std::array<uint64_t, size_t(Check::kCount)> checks{};
  uint64_t runs = 0, events = 0, simulated_us = 0;

  void count(Fault f) { faults[size_t(f)]++; }
  void count(Happened h) { happened[size_t(h)]++; }
  void add(const Statistics& o) {
    for (size_t i = 0; i < faults.size(); i++) faults[i] += o.faults[i];
    for (size_t i = 0; i < happened.size(); i++) happened[i] += o.happened[i];
    for (size_t i = 0; i < checks.size(); i++) checks[i] += o.checks[i];
    runs += o.runs;
    events += o.events;
    simulated_us += o.simulated_us;
  }
};

}  // namespace shima::simulation
