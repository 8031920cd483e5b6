#include "accessserver/fileops/lock_waits.h"

namespace shima {

void LockWaits::asks(uint64_t ticket, const metadata::v1::LockRange& wanted) {
  if (wanted.kind() != metadata::v1::LOCK_KIND_POSIX) return;
  const Owner owner{wanted.session(), wanted.owner()};
  auto it = waits_.find(ticket);
  if (it != waits_.end() && it->second.owner != owner) {  // the session is a new one
    end(ticket);
    it = waits_.end();
  }
  if (it == waits_.end()) {
    it =
        waits_.emplace(ticket, Wait{.owner = owner, .pid = wanted.pid(), .began = ++events_, .waits_for = {}})
            .first;
    tickets_[owner].insert(ticket);
  }
  it->second.asks = ++events_;
}

void LockWaits::refused(uint64_t ticket, const metadata::v1::LockRange& in_the_way) {
  auto it = waits_.find(ticket);
  if (it == waits_.end()) return;
  it->second.asked = it->second.asks;
  it->second.waits_for = Owner{in_the_way.session(), in_the_way.owner()};
}

void LockWaits::end(uint64_t ticket) {
  auto it = waits_.find(ticket);
  if (it == waits_.end()) return;
  auto tickets = tickets_.find(it->second.owner);
  tickets->second.erase(ticket);
  if (tickets->second.empty()) tickets_.erase(tickets);
  waits_.erase(it);
}

LockWaits::Waits::const_iterator LockWaits::only_wait_of(const Owner& owner) const {
  auto tickets = tickets_.find(owner);
  if (tickets == tickets_.end() || tickets->second.size() != 1) return waits_.end();
  return waits_.find(*tickets->second.begin());
}

std::optional<uint64_t> LockWaits::circle_through(uint64_t ticket) const {
  const auto first = waits_.find(ticket);
  if (first == waits_.end() || only_wait_of(first->second.owner) != first) return std::nullopt;
  std::set<uint32_t> processes;
  auto youngest = first;
  for (auto it = first;;) {
    const Wait& wait = it->second;
    // A process that comes twice also ends the walk round a circle that `first` only leads to.
    if (!wait.waits_for || !processes.insert(wait.pid).second) return std::nullopt;
    const auto next = only_wait_of(*wait.waits_for);
    if (next == waits_.end() || wait.asked < next->second.began) return std::nullopt;
    if (next->second.began > youngest->second.began) youngest = next;
    if (next == first) return youngest->first;
    it = next;
  }
}

}  // namespace shima
