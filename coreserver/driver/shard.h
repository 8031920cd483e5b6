// Shard: one event loop with the replica groups that live on it and its links to other servers.
//
// A group lives on one shard for good: shard_of(group). Threads: with_group() from any; the rest on the
// shard's loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/runtime/event_loop.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/peer_links.h"

namespace shima {

class Shard {
 public:
  Shard(unsigned index);
  ~Shard();

  EventLoop& loop() { return loop_; }
  PeerLinks& links() { return *links_; }
  // Once, when the server has its identity, and before any group is added.
  void identify(ServerId self, Incarnation incarnation);
  bool identified() const { return links_ != nullptr; }

  void add(std::shared_ptr<GroupDriver> group) { groups_[group->id()] = std::move(group); }
  std::shared_ptr<GroupDriver> find(GroupId id) const;
  void remove(GroupId id) { groups_.erase(id); }
  const std::map<GroupId, std::shared_ptr<GroupDriver>>& groups() const { return groups_; }
  void stop();

 private:
  void tick();

  EventLoop loop_;
  std::unique_ptr<PeerLinks> links_;
  std::map<GroupId, std::shared_ptr<GroupDriver>> groups_;
};

// The server's shards, for whoever has a message for a group.
class ShardSet {
 public:
  explicit ShardSet(unsigned count);
  size_t size() const { return shards_.size(); }
  Shard& operator[](size_t i) { return *shards_[i]; }
  Shard& of(GroupId group) { return *shards_[std::hash<GroupId>()(group) % shards_.size()]; }
  // Runs `use` on the group's loop: at once if that is this thread. nullptr: there is no such group here.
  void with_group(GroupId group, std::function<void(GroupDriver*)> use);

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace shima
