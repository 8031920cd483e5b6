// ObjectCache: what one kind's objects are now, kept by a list and the watch that follows it.
//
// PURE: events in, effects out; randomness is handed in. Whoever drives it (object_watcher.h) carries out the
// effects in their order and reports what came of them. Of List, Watch and Wait there is at most one in a
// step, the last effect, and it replaces what was going on: if a Watched event has one, the watch is to be
// ended without reporting its end.
//
// Rules ("Kubernetes API Concepts"; client-go's reflector does likewise): the watch goes on from the last
// resourceVersion that an event or bookmark had; 410 means that this one is too old, and all is listed anew;
// what has vanished meanwhile is reported as changed. Events that are not newer than what is known are
// dropped: resource versions that are numbers are compared as numbers (KEP-5504); others are taken as they
// come.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "common/kubernetes/retry_delay.h"
#include "common/kubernetes/watch_event.h"
#include "common/status/status.h"

namespace shima {

using ObjectPointer = std::shared_ptr<const nlohmann::json>;
using ObjectMap = std::map<std::string, ObjectPointer>;  // by object_key()

class ObjectCache {
 public:
  // Events.
  struct Listed {
    ObjectList list;
  };
  struct ListFailed {
    Status why;
    uint64_t asked_to_wait_ms = 0;  // by the server; never less is waited
  };
  struct WatchBegun {};  // the server has agreed to it
  struct Watched {
    WatchEvent event;
  };
  struct WatchEnded {
    Status why;  // kOk: the server has ended it
    uint64_t lasted_ms = 0;
    uint64_t asked_to_wait_ms = 0;
  };
  struct Tick {};  // the start, and the end of a Wait
  using Event = std::variant<Listed, ListFailed, WatchBegun, Watched, WatchEnded, Tick>;

  // Effects.
  struct Changed {
    std::string key;  // of an object that is new, different or gone
  };
  struct List {};
  struct Watch {
    std::string resource_version;  // from here on
  };
  struct Wait {
    uint64_t delay_ms;
  };
  using Effect = std::variant<Changed, List, Watch, Wait>;

  // A watch that lasted this long was a healthy one: whatever ended it, the next one begins at once.
  static constexpr uint64_t kHealthyWatchMs = 10'000;

  explicit ObjectCache(std::function<uint64_t()> random, RetryDelay delay = {});

  void step(Event event, std::vector<Effect>& effects);

  const ObjectMap& objects() const { return objects_; }
  ObjectPointer find(const std::string& key) const;  // nullptr: it is not there
  bool has_synced() const { return synced_; }        // the first list has come
  const std::string& resource_version() const { return resource_version_; }
  // kOk while all is well; else why the last list or watch failed.
  const Status& trouble() const { return trouble_; }

 private:
  void on(Listed event, std::vector<Effect>& effects);
  void on(ListFailed event, std::vector<Effect>& effects);
  void on(WatchBegun event, std::vector<Effect>& effects);
  void on(Watched event, std::vector<Effect>& effects);
  void on(WatchEnded event, std::vector<Effect>& effects);
  void on(Tick event, std::vector<Effect>& effects);
  void replace_all(ObjectMap listed, std::vector<Effect>& effects);
  // Waits, and then lists or watches again.
  void fail(Status why, bool list_next, uint64_t at_least_ms, std::vector<Effect>& effects);

  const std::function<uint64_t()> random_;
  const RetryDelay delay_;
  ObjectMap objects_;
  std::string resource_version_;
  bool synced_ = false;
  bool must_list_ = true;    // what follows a Wait: a list, or a watch
  bool progressed_ = false;  // something new has come since the watch began
  uint32_t failures_ = 0;    // in a row
  Status trouble_;
};

}  // namespace shima
