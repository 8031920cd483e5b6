#include "coreserver/driver/fencing_barrier.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>

namespace shima {

Status FencingBarrier::wait(std::set<ServerId> servers, uint32_t timeout_ms) const {
  const uint64_t end_ms = clock->now_ms() + timeout_ms;
  std::map<ServerId, Status> missing;  // why
  for (ServerId server : servers) missing[server] = Status::ok();
  for (;;) {
    for (ServerId server : servers) {
      const uint64_t now = clock->now_ms();
      const uint64_t left = end_ms > now ? end_ms - now : 0;
      if (!missing.contains(server) || (left == 0 && !missing[server].is_ok())) continue;
      Status said = ask(server, static_cast<uint32_t>(std::clamp<uint64_t>(left, 100, ask_timeout_ms)));
      if (said.is_ok()) {
        missing.erase(server);
      } else {
        missing[server] = said;
      }
    }
    if (missing.empty()) return Status::ok();
    if (clock->now_ms() + pause_ms >= end_ms || (stopping && *stopping)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
  std::string who;
  for (const auto& [server, why] : missing)
    who += (who.empty() ? "" : "; ") + name_of(server) + " (" + why.to_string() + ")";
  return {Code::kUnavailable, "not yet confirmed by " + who + "; call again"};
}

}  // namespace shima
