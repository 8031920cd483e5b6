// ConfigService stands for etcd: it holds the volume's record, changes it by compare-and-swap, and tells all
// servers, late.
#pragma once

#include <vector>

#include "coreserver/replication/events.h"
#include "tests/simulation/run.h"

namespace shima::simulation {

class Server;
class Checkers;

class ConfigService {
 public:
  ConfigService(Run& run, std::vector<Server*> servers, Checkers& checkers);

  const replication::GroupConfig& current() const { return config_; }
  // A restarted server reads the record, then asks that it names the new incarnation (R4).
  void server_started(ServerId server, Incarnation incarnation);
  // Compare-and-swap against the version which the proposer knew. May be lost, may come late.
  void propose(const replication::ProposeMembership& change);
  // Something else in the volume's record changed, for example another group of the volume.
  void change_something_else();

 private:
  uint64_t delay_us();
  void claim(ServerId server, Incarnation incarnation);
  void changed();
  void tell(Server& server);
  void count_change(const replication::Member& before, const replication::ProposeMembership& change);

  Run& run_;
  std::vector<Server*> servers_;
  Checkers& checkers_;
  replication::GroupConfig config_;
};

}  // namespace shima::simulation
