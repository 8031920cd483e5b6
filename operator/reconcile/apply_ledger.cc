#include "operator/reconcile/apply_ledger.h"

#include <algorithm>

#include "operator/reconcile/object_fields.h"

namespace shima {

using nlohmann::json;

namespace {

// The first of the key's own moments, one in each kRenewMs, that is not too soon after `since_ms`.
uint64_t renewal_ms(const std::string& key, uint64_t since_ms) {
  constexpr uint64_t kEach = ApplyLedger::kRenewMs;
  const uint64_t earliest = since_ms + kEach / 2, own = json_hash(key) % kEach;
  return earliest + (own + kEach - earliest % kEach) % kEach;
}

}  // namespace

const char* apply_reason_text(ApplyReason reason) {
  switch (reason) {
    case ApplyReason::kNothing:
      return "nothing to do";
    case ApplyReason::kNew:
      return "not applied yet";
    case ApplyReason::kWantedChanged:
      return "is to be otherwise";
    case ApplyReason::kFoundChanged:
      return "someone else changed it";
    case ApplyReason::kGone:
      return "someone else deleted it";
    case ApplyReason::kRetry:
      return "was refused before";
    case ApplyReason::kRenewal:
      return "looked after from time to time";
  }
  return "";
}

ApplyReason ApplyLedger::due(const std::string& key, const json& wanted, const json* found, bool watched,
                             uint64_t now_ms) {
  const auto entry = entries_.find(key);
  if (entry == entries_.end()) return ApplyReason::kNew;
  Entry& last = entry->second;
  last.waits = false;
  if (last.wanted_hash != json_hash(wanted)) return ApplyReason::kWantedChanged;
  if (last.failures > 0)
    return now_ms >= last.at_ms + kRetry.after(last.failures) ? ApplyReason::kRetry : ApplyReason::kNothing;
  if (watched && found && last.version != 0 && version_of(*found) == last.version) {
    last.seen = true;
    last.sure_ms = now_ms;
    return ApplyReason::kNothing;
  }
  const ApplyReason reason = watched ? due_after_success(last, found, now_ms) : ApplyReason::kNothing;
  if (reason != ApplyReason::kNothing || last.waits) return reason;
  return now_ms >= renewal_ms(key, last.sure_ms) ? ApplyReason::kRenewal : ApplyReason::kNothing;
}

ApplyReason ApplyLedger::due_after_success(Entry& entry, const json* found, uint64_t now_ms) {
  if (found && version_of(*found) >= entry.version) entry.seen = true;
  const bool unseen = !entry.seen && now_ms < entry.at_ms + kUnseenMs;
  if (!found) return unseen ? ApplyReason::kNothing : ApplyReason::kGone;
  if (unseen) return ApplyReason::kNothing;
  if (written_hash(*found) == entry.found_hash) return ApplyReason::kNothing;
  entry.waits = now_ms < entry.put_back_ms + kPutBack.after(entry.put_back);
  return entry.waits ? ApplyReason::kNothing : ApplyReason::kFoundChanged;
}

void ApplyLedger::applied(const std::string& key, const json& wanted, const json& answer, ApplyReason reason,
                          uint64_t now_ms) {
  Entry next{.wanted_hash = json_hash(wanted),
             .found_hash = written_hash(answer),
             .version = version_of(answer),
             .at_ms = now_ms,
             .sure_ms = now_ms};
  next.put_back = times_put_back(key, now_ms);
  if (next.put_back > 0) next.put_back_ms = entries_[key].put_back_ms;
  if (reason == ApplyReason::kFoundChanged) {
    ++next.put_back;
    next.put_back_ms = now_ms;
  }
  entries_[key] = std::move(next);
}

void ApplyLedger::refused(const std::string& key, const json& wanted, const std::string& error,
                          uint64_t now_ms) {
  Entry& entry = entries_[key];
  entry.wanted_hash = json_hash(wanted);
  entry.at_ms = now_ms;
  entry.error = error;
  ++entry.failures;
}

std::string ApplyLedger::error_of(const std::string& key) const {
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? std::string() : entry->second.error;
}

uint32_t ApplyLedger::times_put_back(const std::string& key, uint64_t now_ms) const {
  const auto entry = entries_.find(key);
  if (entry == entries_.end() || entry->second.put_back == 0) return 0;
  const Entry& last = entry->second;
  const bool is_quiet = now_ms >= last.put_back_ms + kPutBack.after(last.put_back) + kQuietMs;
  return is_quiet ? 0 : last.put_back;
}

void ApplyLedger::forget(const std::string& key) { entries_.erase(key); }

uint64_t ApplyLedger::next_retry_ms() const {
  uint64_t next = 0;
  for (const auto& [key, entry] : entries_) {
    if (entry.failures == 0 && !entry.waits) continue;
    const uint64_t at = entry.failures > 0 ? entry.at_ms + kRetry.after(entry.failures)
                                           : entry.put_back_ms + kPutBack.after(entry.put_back);
    next = next == 0 ? at : std::min(next, at);
  }
  return next;
}

}  // namespace shima
