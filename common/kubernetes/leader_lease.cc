#include "common/kubernetes/leader_lease.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace shima {
namespace {

using nlohmann::json;

constexpr int64_t kMaxLeaseS = 600;  // a lease that says more is believed so far
constexpr int64_t kMaxTransitions = 2'000'000'000;

json version_of(const json& lease) {
  if (!lease.is_object()) return nullptr;
  const auto metadata = lease.find("metadata");
  if (metadata == lease.end() || !metadata->is_object()) return nullptr;
  const auto version = metadata->find("resourceVersion");
  return version != metadata->end() ? *version : json();
}

json spec_of(const json& lease) {
  if (!lease.is_object()) return json::object();
  const auto spec = lease.find("spec");
  return spec != lease.end() && spec->is_object() ? *spec : json::object();
}

std::string holder_in(const json& spec) {
  const auto holder = spec.find("holderIdentity");
  return holder != spec.end() && holder->is_string() ? holder->get<std::string>() : "";
}

int64_t number_in(const json& spec, const char* key, int64_t otherwise) {
  const auto found = spec.find(key);
  return found != spec.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

}  // namespace

LeaderLease::LeaderLease(std::string name_space, std::string name, std::string identity, LeaseTerms terms,
                         std::function<uint64_t()> random)
    : name_space_(std::move(name_space)),
      name_(std::move(name)),
      identity_(std::move(identity)),
      terms_(terms),
      random_(std::move(random)) {
  SHIMA_CHECK(!identity_.empty(), "an empty holder means that nobody holds the lease");
  SHIMA_CHECK(terms.lease_ms > terms.renew_deadline_ms && terms.renew_deadline_ms > terms.retry_ms &&
                  terms.retry_ms > 0,
              "lease > renewal > retry > 0");
  SHIMA_CHECK(terms.lease_ms % 1000 == 0 && terms.lease_ms <= kMaxLeaseS * 1000,
              "whole seconds, at most 10 minutes");
}

void LeaderLease::step(const LeaseTime& time, const Event& event, std::vector<Effect>& effects) {
  if (leader_ && !is_leader(time.now_ms)) lose(effects);
  std::visit([&](const auto& one) { on(time, one, effects); }, event);
}

void LeaderLease::lose(std::vector<Effect>& effects) {
  if (!leader_) return;
  leader_ = false;
  effects.emplace_back(Lost{});
}

void LeaderLease::on(const LeaseTime& time, const Tick&, std::vector<Effect>& effects) {
  read_again_ = false;
  if (leader_)
    replace(time, effects);
  else
    effects.emplace_back(Read{});
}

void LeaderLease::on(const LeaseTime& time, const LeaseRead& event, std::vector<Effect>& effects) {
  if (!event.lease && event.lease.status().code() != Code::kNotFound) return wait(time.now_ms, effects);
  if (!event.lease) {
    lease_ = nullptr;
    if (someone_else_holds(time.now_ms)) return wait(time.now_ms, effects);
    sent_ms_ = time.now_ms;
    effects.emplace_back(Create{ours(nullptr, time.wall_us)});
    return;
  }
  observe(*event.lease, time.now_ms);
  if (holder_ != identity_) lose(effects);
  if (someone_else_holds(time.now_ms)) return wait(time.now_ms, effects);
  replace(time, effects);
}

void LeaderLease::on(const LeaseTime& time, const LeaseWritten& event, std::vector<Effect>& effects) {
  if (event.lease) {
    observe(*event.lease, time.now_ms);
    if (holder_ != identity_) {
      lose(effects);
    } else {
      renewed_ms_ = sent_ms_;
      const bool was_leader = std::exchange(leader_, true);
      if (!is_leader(time.now_ms))
        leader_ = was_leader;  // it took too long
      else if (!was_leader)
        effects.emplace_back(Started{});
    }
    return wait(time.now_ms, effects);
  }
  const Code code = event.lease.status().code();
  const bool someone_was_faster =
      code == Code::kConflict || code == Code::kAlreadyExists || code == Code::kNotFound;
  if (!someone_was_faster || std::exchange(read_again_, true)) return wait(time.now_ms, effects);
  effects.emplace_back(Read{});
}

bool LeaderLease::someone_else_holds(uint64_t now_ms) const {
  return !holder_.empty() && holder_ != identity_ && now_ms < changed_ms_ + holder_lease_ms_;
}

void LeaderLease::observe(const json& lease, uint64_t now_ms) {
  const json spec = spec_of(lease);
  if (!seen_ || spec != spec_of(lease_) || version_of(lease) != version_of(lease_)) changed_ms_ = now_ms;
  seen_ = true;
  lease_ = lease;
  holder_ = holder_in(spec);
  const int64_t own_s = static_cast<int64_t>(terms_.lease_ms / 1000);
  holder_lease_ms_ = static_cast<uint64_t>(
                         std::clamp<int64_t>(number_in(spec, "leaseDurationSeconds", own_s), 1, kMaxLeaseS)) *
                     1000;
}

void LeaderLease::replace(const LeaseTime& time, std::vector<Effect>& effects) {
  sent_ms_ = time.now_ms;
  effects.emplace_back(Replace{ours(lease_, time.wall_us)});
}

json LeaderLease::ours(const json& before, uint64_t wall_us) const {
  json lease = before.is_object() ? before : json::object();
  lease["apiVersion"] = "coordination.k8s.io/v1";
  lease["kind"] = "Lease";
  if (!lease["metadata"].is_object()) lease["metadata"] = json::object();
  lease["metadata"]["name"] = name_;
  lease["metadata"]["namespace"] = name_space_;
  json spec = spec_of(before);
  const bool is_new_holder = holder_in(spec) != identity_;
  // A write that changes nothing would be no sign of life, whatever our wall clock does.
  const auto last = spec.find("renewTime");
  const bool stands_still = last != spec.end() && *last == micro_time(wall_us);
  const std::string now = micro_time(wall_us + stands_still);
  const int64_t transitions = std::clamp<int64_t>(number_in(spec, "leaseTransitions", 0), 0, kMaxTransitions);
  spec["leaseTransitions"] = transitions + (is_new_holder && before.is_object() ? 1 : 0);
  if (is_new_holder || !spec.contains("acquireTime")) spec["acquireTime"] = now;
  spec["holderIdentity"] = identity_;
  spec["leaseDurationSeconds"] = terms_.lease_ms / 1000;
  spec["renewTime"] = now;
  lease["spec"] = std::move(spec);
  return lease;
}

json LeaderLease::released(const json& lease, uint64_t wall_us) const {
  if (holder_in(spec_of(lease)) != identity_) return nullptr;
  json free = lease;
  free["spec"]["holderIdentity"] = "";
  free["spec"]["leaseDurationSeconds"] = 1;
  free["spec"]["renewTime"] = micro_time(wall_us);
  return free;
}

// Those who wait for a lease come at different times; a leader comes regularly, and not after its deadline.
void LeaderLease::wait(uint64_t now_ms, std::vector<Effect>& effects) {
  if (leader_) {
    const uint64_t left_ms = renewed_ms_ + terms_.renew_deadline_ms - now_ms;  // > 0, else it were none
    effects.emplace_back(Wait{std::min(terms_.retry_ms, left_ms)});
  } else {
    effects.emplace_back(Wait{terms_.retry_ms + random_() % (terms_.retry_ms + 1)});
  }
}

std::string micro_time(uint64_t wall_us) {
  // Days to a date of the proleptic Gregorian calendar: 400 years have 146,097 days, and a year that begins
  // in March has its leap day at its end.
  const uint64_t seconds = wall_us / 1'000'000;
  const uint64_t days = seconds / 86'400 + 719'468;  // since 0000-03-01
  const uint64_t era = days / 146'097, day_of_era = days % 146'097;
  const uint64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const uint64_t march_month = (5 * day_of_year + 2) / 153;
  const uint64_t day = day_of_year - (153 * march_month + 2) / 5 + 1;
  const uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  const uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
  char text[48];
  std::snprintf(text, sizeof text, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                static_cast<unsigned>(year % 10'000), static_cast<unsigned>(month),
                static_cast<unsigned>(day), static_cast<unsigned>(seconds / 3600 % 24),
                static_cast<unsigned>(seconds / 60 % 60), static_cast<unsigned>(seconds % 60),
                static_cast<unsigned>(wall_us % 1'000'000));
  return text;
}

}  // namespace shima
