#include "tests/simulation/config_service.h"

#include "tests/simulation/checkers.h"
#include "tests/simulation/server.h"

namespace shima::simulation {

using namespace replication;

ConfigService::ConfigService(Run& run, std::vector<Server*> servers, Checkers& checkers)
    : run_(run), servers_(std::move(servers)), checkers_(checkers) {
  config_.version = ConfigVersion(1);
  config_.term = Term(1);
  config_.ack = run.parameters.ack;
  config_.full_secondary = run.parameters.full_secondary;
  for (size_t i = 0; i < servers_.size(); i++) {
    Role role = i == 0 ? Role::kPrimary : i == 1 ? Role::kSecondary : Role::kRemote;
    config_.members.push_back({ServerId(i + 1), Incarnation(1), role, true, true});
  }
}

uint64_t ConfigService::delay_us() {
  uint64_t delay = run_.random.between(500, run_.parameters.config_us_max);
  if (run_.chaos && run_.random.chance(100)) {
    run_.statistics.count(Fault::kConfigLate);
    delay *= run_.random.between(2, 8);
  }
  return delay;
}

void ConfigService::tell(Server& server) {
  run_.agenda.after(delay_us(), [&server, config = config_] {
    if (server.alive()) server.feed(ConfigChanged{config});
  });
}

void ConfigService::changed() {
  config_.version = config_.version.next();
  run_.note(0, "record-changed", config_.version.value, config_.term.value);
  checkers_.config_changed(config_);
  for (Server* server : servers_) tell(*server);
}

void ConfigService::server_started(ServerId id, Incarnation incarnation) {
  run_.agenda.after(delay_us(), [this, id, incarnation] {
    if (servers_[id.value - 1]->alive()) servers_[id.value - 1]->feed(ConfigChanged{config_});
    if (config_.find(id)->incarnation < incarnation) claim(id, incarnation);
  });
}

void ConfigService::claim(ServerId id, Incarnation incarnation) {
  run_.agenda.after(delay_us(), [this, id, incarnation] {
    for (Member& m : config_.members) {
      if (m.server != id || m.incarnation >= incarnation) continue;
      if (run_.chaos && run_.random.chance(run_.parameters.config_lost_per_mille)) {
        run_.statistics.count(Fault::kConfigLost);
        return claim(id, incarnation);
      }
      m.incarnation = incarnation;
      if (m.role == Role::kPrimary) {
        config_.term = config_.term.next();
        run_.statistics.count(Happened::kNewTerm);
      }
      changed();
    }
  });
}

void ConfigService::propose(const ProposeMembership& change) {
  if (run_.chaos && run_.random.chance(run_.parameters.config_lost_per_mille)) {
    run_.statistics.count(Fault::kConfigLost);
    return;
  }
  run_.agenda.after(delay_us(), [this, change] {
    if (config_.version != change.based_on) return;
    for (Member& m : config_.members) {
      if (m.server != change.member) continue;
      run_.note(m.server.value, "membership-changed", change.whole, change.in_sync);
      count_change(m, change);
      m.whole = change.whole;
      m.in_sync = change.in_sync;
      changed();
    }
  });
}

void ConfigService::count_change(const Member& before, const ProposeMembership& change) {
  if (before.whole && !change.whole) run_.statistics.count(Happened::kLeftWhole);
  if (!before.whole && change.whole) run_.statistics.count(Happened::kJoinedWhole);
  if (before.in_sync && !change.in_sync) run_.statistics.count(Happened::kLeftInSync);
  if (!before.in_sync && change.in_sync) run_.statistics.count(Happened::kJoinedInSync);
}

void ConfigService::change_something_else() { changed(); }

}  // namespace shima::simulation
