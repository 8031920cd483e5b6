// CoreWatch: a thread that looks at a cluster's core servers again and again, and keeps the newest picture.
//
// A look asks any one server for health and volumes, each server that has its lease for how its groups are,
// and the home's servers for lag and usage of some volumes (volume_rounds.h), so that a look stays cheap with
// 10,000 of them. It also fences: publications of nodes
// that are out of service are taken away, again in each look until none is left. Before each one it is asked
// whether the node still is (`may_fence`), since a look takes a while.
//
// Threads: all methods from any thread; `on_look` is called on the watch's thread after each look, and may
// call everything but stop().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/runtime/clock.h"
#include "operator/core_view/core_snapshot.h"

namespace shima {

class CoreServers;

struct CoreWatchOptions {
  uint64_t interval_ms = 10'000;   // from the end of a look to the begin of the next one
  size_t volumes_a_look = 100;     // that are asked about in detail
  uint64_t full_list_ms = 60'000;  // between lists of the volumes, when there are many
  size_t many_volumes = 1'000;
  uint64_t replication_ms =
      15'000;                   // of a look, for GetStats of all servers: restarts wait for those left out
  uint64_t details_ms = 3'000;  // of a look, for details, and before for servers: then the rest is not asked
  uint64_t details_old_ms = 60'000;  // so long details that nobody tells any more do not count as old
};

class CoreWatch {
 public:
  // Whether a node's publications may be taken away at this moment. Called on the watch's thread.
  using MayFence = std::function<bool(const std::string& node)>;
  using Connect = std::function<std::unique_ptr<CoreServers>(const std::vector<std::string>& endpoints)>;

  CoreWatch(Connect connect, CoreWatchOptions options, const Clock& clock, MayFence may_fence,
            std::function<void()> on_look);
  ~CoreWatch();  // stop()
  CoreWatch(const CoreWatch&) = delete;
  CoreWatch& operator=(const CoreWatch&) = delete;

  void start();  // once
  void stop();   // a call in progress is waited for; a second call does nothing

  // From the next look on. Without endpoints nobody is asked, and health says so.
  void set_endpoints(const std::vector<std::string>& endpoints);
  void set_out_of_service(const std::vector<std::string>& nodes);
  void look_soon();

  std::shared_ptr<const CoreSnapshot> snapshot() const;  // the newest; never null
  // What was tried since the last call, at most some thousands.
  std::vector<FencingResult> take_fenced();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shima
