#include "coreserver/driver/shard.h"

#include "common/observe/log.h"
#include "coreserver/driver/peer_frames.h"

namespace shima {

namespace {
constexpr uint64_t kTickMs = 50;
}

Shard::Shard(unsigned index) : loop_("shard-" + std::to_string(index)) {}

Shard::~Shard() { stop(); }

void Shard::stop() { loop_.stop(); }

void Shard::identify(ServerId self, Incarnation incarnation) {
  PeerLinkHandlers handlers;
  handlers.up = [this](ServerId peer) {
    for (auto& [id, group] : groups_) {
      if (group->core().config().find(peer)) group->peer_up(peer);
    }
  };
  handlers.down = [this](ServerId peer) {
    for (auto& [id, group] : groups_) {
      if (group->core().config().find(peer)) group->peer_down(peer);
    }
  };
  handlers.drained = [this](ServerId peer) {
    for (auto& [id, group] : groups_) group->link_drained(peer);
  };
  handlers.frame = [this](ServerId peer, ConnectionPtr connection, Frame frame) {
    Status status = deliver_peer_frame(peer, connection, std::move(frame),
                                       [this](GroupId id, const auto& use) { use(find(id).get()); });
    if (!status.is_ok()) connection->close(status);
  };
  links_ = std::make_unique<PeerLinks>(loop_, self, incarnation, std::move(handlers));
  loop_.after(kTickMs, [this] { tick(); });
}

std::shared_ptr<GroupDriver> Shard::find(GroupId id) const {
  auto it = groups_.find(id);
  return it == groups_.end() ? nullptr : it->second;
}

void Shard::tick() {
  for (auto& [id, group] : groups_) group->tick();
  loop_.after(kTickMs, [this] { tick(); });
}

ShardSet::ShardSet(unsigned count) {
  for (unsigned i = 0; i < count; i++) shards_.push_back(std::make_unique<Shard>(i));
}

void ShardSet::with_group(GroupId group, std::function<void(GroupDriver*)> use) {
  Shard& shard = of(group);
  if (shard.loop().on_loop_thread()) return use(shard.find(group).get());
  shard.loop().post([&shard, group, use = std::move(use)] { use(shard.find(group).get()); });
}

}  // namespace shima
