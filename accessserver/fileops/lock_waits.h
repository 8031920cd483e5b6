// LockWaits: who of this session waits for whose byte-range lock, and whether that is a circle (fcntl(2):
// F_SETLKW fails with EDEADLK).
//
// A wait is a request that is repeated (SessionLocks). Each refusal names a lock that is in the way; that is
// believed only if the request was made after the lock's owner had begun to wait itself: since then, who
// waits has freed nothing. So a circle that is found is one, and it is found when each of its members has
// asked once more. Not found: circles through other sessions, whose waits nobody here knows, and those of
// flock(2), as on local file systems. Open file descriptions (OFD) look like processes here, but another
// thread may free what a waiting one holds: where that can be seen (an owner waits twice, or two owners of
// the circle are of one process) nothing is said. Threads: one.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "coreserver/jobs/jobs.h"

namespace shima {

class LockWaits {
 public:
  // A request that waits if it is refused is made, for the first time or again.
  void asks(uint64_t ticket, const metadata::v1::LockRange& wanted);
  void refused(uint64_t ticket, const metadata::v1::LockRange& in_the_way);
  // It is granted, has failed, or is about to be given up. Of tickets that do not wait: no effect.
  void end(uint64_t ticket);

  // The youngest wait of the circle that this one belongs to, which is the one to fail; nothing: no circle.
  std::optional<uint64_t> circle_through(uint64_t ticket) const;

 private:
  struct Owner {
    uint64_t session = 0, number = 0;
    auto operator<=>(const Owner&) const = default;
  };
  struct Wait {
    Owner owner;
    uint32_t pid = 0;
    uint64_t began = 0, asks = 0;  // by events_
    uint64_t asked = 0;            // the newest request that is known to have been refused
    std::optional<Owner> waits_for;
  };
  using Waits = std::map<uint64_t, Wait>;  // by ticket

  // end(): the owner has no wait, or several.
  Waits::const_iterator only_wait_of(const Owner& owner) const;

  uint64_t events_ = 0;
  Waits waits_;
  std::map<Owner, std::set<uint64_t>> tickets_;
};

}  // namespace shima
