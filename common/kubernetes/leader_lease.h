// LeaderLease: which of several processes acts, by a Lease object (coordination.k8s.io/v1).
//
// PURE: events in, effects out; both clocks and randomness are handed in: `now_ms` never steps back and
// counts while the machine sleeps (common/runtime/clock.h); the wall clock is only written down for people.
// As in client-go's leaderelection, another's lease counts as alive for its duration since *we saw* it
// change, by our own clock, so that neither a clock that jumps nor one that is wrong does harm; and our own
// counts from before the write that renewed it was sent.
//
// Promise: with lease_ms > renew_deadline_ms, and clocks whose speeds differ by less than the ratio of the
// two, at most one process has is_leader() at a time, as long as nobody deletes or edits the Lease by hand.
// Whoever is handed Lost must end what only a leader may do within lease_ms - renew_deadline_ms of the moment
// from which is_leader() is false.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct LeaseTerms {
  uint64_t lease_ms = 15'000;           // whole seconds: that is what the object can say
  uint64_t renew_deadline_ms = 10'000;  // a leader that could not renew for so long is none any more
  uint64_t retry_ms = 2'000;            // between attempts
};

struct LeaseTime {
  uint64_t now_ms = 0;   // monotonic
  uint64_t wall_us = 0;  // since 1970-01-01 UTC
};

class LeaderLease {
 public:
  // Events.
  struct LeaseRead {
    Result<nlohmann::json> lease;  // kNotFound: there is none
  };
  struct LeaseWritten {
    Result<nlohmann::json>
        lease;  // as the server has it now; kConflict, kAlreadyExists: someone else was faster
  };
  struct Tick {};  // the start, and the end of a Wait
  using Event = std::variant<LeaseRead, LeaseWritten, Tick>;

  // Effects. Of Read, Create, Replace and Wait exactly one ends each step.
  struct Read {};
  struct Create {
    nlohmann::json lease;
  };
  struct Replace {
    nlohmann::json lease;
  };
  struct Wait {
    uint64_t delay_ms;
  };
  struct Started {};  // this process is the leader
  struct Lost {};     // it is not any more
  using Effect = std::variant<Started, Lost, Read, Create, Replace, Wait>;

  // `identity`: different for each process, also after a restart.
  LeaderLease(std::string name_space, std::string name, std::string identity, LeaseTerms terms,
              std::function<uint64_t()> random);

  void step(const LeaseTime& time, const Event& event, std::vector<Effect>& effects);

  bool is_leader(uint64_t now_ms) const { return leader_ && now_ms < renewed_ms_ + terms_.renew_deadline_ms; }
  const std::string& holder() const { return holder_; }  // as last seen; empty: nobody, or not known yet
  // `lease` as it is to be written when we end, so that the next one need not wait; null: it is not ours.
  nlohmann::json released(const nlohmann::json& lease, uint64_t wall_us) const;

 private:
  void on(const LeaseTime& time, const LeaseRead& event, std::vector<Effect>& effects);
  void on(const LeaseTime& time, const LeaseWritten& event, std::vector<Effect>& effects);
  void on(const LeaseTime& time, const Tick& event, std::vector<Effect>& effects);
  void observe(const nlohmann::json& lease, uint64_t now_ms);
  bool someone_else_holds(uint64_t now_ms) const;
  void lose(std::vector<Effect>& effects);
  void replace(const LeaseTime& time, std::vector<Effect>& effects);
  nlohmann::json ours(const nlohmann::json& before, uint64_t wall_us) const;
  void wait(uint64_t now_ms, std::vector<Effect>& effects);

  const std::string name_space_, name_, identity_;
  const LeaseTerms terms_;
  const std::function<uint64_t()> random_;
  nlohmann::json lease_;  // as last seen; null: none
  std::string holder_;
  uint64_t changed_ms_ = 0;       // when we saw its spec change
  uint64_t holder_lease_ms_ = 0;  // that its holder has promised itself
  uint64_t sent_ms_ = 0;          // when the write in progress was sent
  uint64_t renewed_ms_ = 0;       // when the last write that succeeded was sent
  bool leader_ = false;
  bool seen_ = false;        // lease_ was there once
  bool read_again_ = false;  // after a lost race; once until the next Tick
};

// RFC 3339 with microseconds, as metav1.MicroTime wants it: "2026-01-02T03:04:05.678901Z".
std::string micro_time(uint64_t wall_us);

}  // namespace shima
