// Session: what every command of shimactl needs: where the cluster is, how to print, and whereto.
#pragma once

#include <algorithm>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "cli/output.h"
#include "common/status/status.h"
#include "coreserver/rpc/control_client.h"

namespace CLI {
class App;
}

namespace shima {

struct Session {
  std::ostream& out;
  std::ostream& err;
  std::string format_name = "table";
  std::vector<std::string> endpoints;  // host:port of core servers' control planes
  std::string timeout = "10";
  int timeout_ms = 10000;  // of one call to the control plane
  std::unique_ptr<ControlClient> client;

  bool json() const { return format_name == "json"; }
  ControlClient& control() {
    if (!client) client = std::make_unique<ControlClient>(options(endpoints));
    return *client;
  }
  ControlClientOptions options(std::vector<std::string> where) const {
    return {std::move(where), timeout_ms, std::min(2000, timeout_ms)};
  }
};

// What the command line asked for, to be run once it is parsed.
using Action = std::function<Status()>;

// Each adds one group of commands to the program.
void add_cluster_commands(CLI::App& app, Session& session, Action& chosen);
void add_volume_commands(CLI::App& app, Session& session, Action& chosen);
void add_transfer_commands(CLI::App& volume, Session& session, Action& chosen);     // of `shimactl volume`
void add_publication_commands(CLI::App& volume, Session& session, Action& chosen);  // of `shimactl volume`
void add_disk_commands(CLI::App& server, Session& session, Action& chosen);         // of `shimactl server`
void add_replication_commands(CLI::App& app, Session& session, Action& chosen);
void add_stats_commands(CLI::App& app, Session& session, Action& chosen);

}  // namespace shima
