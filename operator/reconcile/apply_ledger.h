// PURE: which objects have to be applied (again): what is wanted, compared with what was applied last and
// with what is there now.
//
// Applied is what is new, what is wanted otherwise than before, what someone else has changed or deleted;
// what the API server refused, and what others change again and again, after a pause that grows. Each change
// is told from the object's content, not from its version, since a version also changes with each status.
// What a watch says may be older than the answer of the last apply: it counts only from that version on.
//
// What a watch shows in the very version that the last apply left is as it was applied, and is left alone.
// All else is applied anew every kRenewMs: what is not watched, and what has been written since with the same
// content, as by someone who has only taken the ownership of its fields, which watches do not keep. Each key
// has a moment of its own in each kRenewMs, so that these calls do not come all at once.
//
// Threads: none. Times: one clock that never steps back.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kubernetes/retry_delay.h"

namespace shima {

enum class ApplyReason { kNothing, kNew, kWantedChanged, kFoundChanged, kGone, kRetry, kRenewal };
const char* apply_reason_text(ApplyReason reason);

class ApplyLedger {
 public:
  static constexpr uint64_t kRenewMs = 600'000;  // the first time 5 to 15 minutes
  static constexpr uint64_t kUnseenMs = 30'000;  // so long a watch may take to show what was applied
  static constexpr RetryDelay kRetry{1'000, 60'000};
  // After an object was put back: the pause before it is again. The first time there is none. A pause and a
  // quarter of an hour without another change ends the growth.
  static constexpr RetryDelay kPutBack{1'000, 300'000};
  static constexpr uint64_t kQuietMs = 900'000;

  // `key`: of kind and object. `found`: what a watch has of it; nullptr: nothing. `watched`: whether there is
  // a watch of this kind, and it is well; without one, only `wanted` and time count.
  ApplyReason due(const std::string& key, const nlohmann::json& wanted, const nlohmann::json* found,
                  bool watched, uint64_t now_ms);
  // `reason`: what due() said. `answer`: the object as the API server has it now.
  void applied(const std::string& key, const nlohmann::json& wanted, const nlohmann::json& answer,
               ApplyReason reason, uint64_t now_ms);
  void refused(const std::string& key, const nlohmann::json& wanted, const std::string& error,
               uint64_t now_ms);
  // The error of the last attempt; empty: it went well, or there was none.
  std::string error_of(const std::string& key) const;
  void forget(const std::string& key);
  // How often it was put back, without a quiet while between these.
  uint32_t times_put_back(const std::string& key, uint64_t now_ms) const;
  // When due() may say something else than now because of time alone, of keys that were refused or wait
  // to be put back; 0: none.
  uint64_t next_retry_ms() const;

 private:
  struct Entry {
    uint64_t wanted_hash = 0;
    uint64_t found_hash = 0;
    uint64_t version = 0;  // of the object after it was applied
    uint64_t at_ms = 0;
    uint64_t sure_ms = 0;   // when it was known last to be as it was applied
    bool seen = false;      // a watch has shown it, so if it is not there it is gone
    uint32_t failures = 0;  // in a row
    std::string error;
    uint32_t put_back = 0;     // times, without a quiet while between them
    uint64_t put_back_ms = 0;  // the last time
    bool waits = false;        // changed by others, and to be put back after a pause
  };
  static ApplyReason due_after_success(Entry& entry, const nlohmann::json* found, uint64_t now_ms);

  std::map<std::string, Entry> entries_;
};

}  // namespace shima
