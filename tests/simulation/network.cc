#include "tests/simulation/network.h"

#include "tests/simulation/server.h"

namespace shima::simulation {

namespace {
constexpr ServerId kPrimary(1);
}

Network::Network(Run& run, std::vector<Server*> servers) : run_(run), servers_(std::move(servers)) {
  for (size_t i = 1; i < servers_.size(); i++) links_[ServerId(i + 1)] = Link();
}

uint64_t Network::delay_us(ServerId other) {
  const Parameters& p = run_.parameters;
  if (other == ServerId(2)) return run_.random.between(50, p.lan_us_max);
  return p.wan_us / 2 + run_.random.below(p.wan_jitter_us + 1);
}

void Network::send(ServerId from, ServerId to, Parcel parcel) {
  Link& l = link(from, to);
  ServerId other = std::max(from, to);
  const Parameters& p = run_.parameters;
  Random& r = run_.random;
  if (!l.up) return;
  bool cut = run_.agenda.now_us() < l.cut_until_us;
  if (cut || (run_.chaos && r.chance(p.lost_per_mille))) {
    run_.statistics.count(Fault::kLost);
    break_soon(other);
    return;
  }
  uint64_t& last = l.last_arrival_us[from == kPrimary ? 0 : 1];
  uint64_t at = run_.agenda.now_us() + delay_us(other);
  if (run_.chaos && r.chance(p.reordered_per_mille)) {
    run_.statistics.count(Fault::kReordered);
    at += r.below(4 * delay_us(other) + 5000);
    break_soon(other);
  } else {
    at = last = std::max(at, last + 1);
  }
  if (p.late_messages) {
    std::deque<Parcel>& recent = l.recent[from == kPrimary ? 0 : 1];
    recent.push_back(parcel);
    if (recent.size() > 8) recent.pop_front();
  }
  uint64_t epoch = l.epoch, life = server(to).life();
  auto arrive = [this, from, to, epoch, life, parcel = std::move(parcel)] {
    deliver(from, to, epoch, life, parcel);
  };
  if (run_.chaos && r.chance(p.doubled_per_mille)) {
    run_.statistics.count(Fault::kDoubled);
    run_.agenda.at(at + r.below(50000), arrive);
  }
  run_.agenda.at(at, std::move(arrive));
}

void Network::deliver(ServerId from, ServerId to, uint64_t epoch, uint64_t life, const Parcel& parcel) {
  Link& l = link(from, to);
  Server& receiver = server(to);
  if (!receiver.alive()) return;
  bool current = l.up && l.epoch == epoch && receiver.life() == life;
  if (!current) {
    const Parameters& p = run_.parameters;
    bool possible = run_.chaos && p.late_messages && (receiver.life() == life || p.late_to_new_process);
    if (!possible || !run_.random.chance(300)) return;
    return arrive_late(from, to, 300000, parcel);
  }
  receiver.receive(from, parcel);
}

// A message of a connection that is gone comes to the process that the receiver is by now.
void Network::arrive_late(ServerId from, ServerId to, uint64_t within_us, const Parcel& parcel) {
  run_.agenda.after(run_.random.below(within_us), [this, from, to, life = server(to).life(), parcel] {
    bool possible = server(to).life() == life || run_.parameters.late_to_new_process;
    if (!run_.chaos || !server(to).alive() || !possible) return;
    run_.statistics.count(Fault::kLate);
    run_.note(to.value, "late-message", from.value);
    server(to).receive(from, parcel);
  });
}

void Network::notify(ServerId end, ServerId peer, Link& l, bool up) {
  Server& s = server(end);
  if (!s.alive()) return;
  uint64_t& last = l.last_notice_us[end == kPrimary ? 0 : 1];
  uint64_t delay = run_.random.chance(200) ? run_.random.below(200000) : run_.random.below(3000);
  last = std::max(run_.agenda.now_us() + delay, last + 1);
  run_.agenda.at(last, [&s, peer, up, life = s.life()] {
    if (s.alive() && s.life() == life) s.peer_changed(peer, up);
  });
}

void Network::connect(ServerId other) {
  Link& l = links_[other];
  if (l.up || !server(other).alive() || !server(kPrimary).alive()) return;
  if (run_.agenda.now_us() < l.cut_until_us)
    return connect_later(other, l.cut_until_us - run_.agenda.now_us() + 100000);
  l.up = true;
  l.broken_soon = false;
  l.epoch++;
  run_.note(other.value, "connected", l.epoch);
  notify(kPrimary, other, l, true);
  notify(other, kPrimary, l, true);
}

void Network::connect_later(ServerId other, uint64_t within_us) {
  run_.agenda.after(1000 + run_.random.below(within_us), [this, other] { connect(other); });
}

void Network::disconnect(ServerId other) {
  Link& l = links_[other];
  if (!l.up) return;
  l.up = false;
  run_.statistics.count(Fault::kConnectionBroken);
  run_.note(other.value, "disconnected", l.epoch);
  for (int end : {0, 1}) {
    ServerId from = end == 0 ? kPrimary : other, to = end == 0 ? other : kPrimary;
    for (const Parcel& parcel : l.recent[end]) {
      if (run_.chaos && run_.random.chance(200)) arrive_late(from, to, 1000000, parcel);
    }
    l.recent[end].clear();
  }
  notify(kPrimary, other, l, false);
  notify(other, kPrimary, l, false);
  connect_later(other, 200000);
}

void Network::break_soon(ServerId other) {
  Link& l = links_[other];
  if (l.broken_soon) return;
  l.broken_soon = true;
  run_.agenda.after(run_.random.between(50000, 1500000), [this, other, epoch = l.epoch] {
    if (links_[other].epoch == epoch) disconnect(other);
  });
}

void Network::server_started(ServerId id) {
  for (auto& [other, l] : links_) {
    if (id == kPrimary || id == other) connect_later(other, 100000);
  }
}

void Network::server_crashed(ServerId id) {
  for (auto& [other, l] : links_) {
    if (id == kPrimary || id == other) disconnect(other);
  }
}

void Network::break_one() { disconnect(ServerId(run_.random.between(2, servers_.size()))); }

void Network::partition(ServerId id, uint64_t duration_us) {
  run_.statistics.count(Fault::kPartition);
  run_.note(id.value, "partitioned", duration_us);
  for (auto& [other, l] : links_) {
    if (id != kPrimary && id != other) continue;
    l.cut_until_us = run_.agenda.now_us() + duration_us;
    break_soon(other);
  }
}

void Network::heal() {
  for (auto& [other, l] : links_) {
    l.cut_until_us = 0;
    connect_later(other, 10000);
  }
}

}  // namespace shima::simulation
