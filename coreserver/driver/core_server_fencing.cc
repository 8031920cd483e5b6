// Who may use a volume (R20): publications, and the barrier behind which nobody fenced is served.
#include <algorithm>
#include <chrono>
#include <condition_variable>

#include "common/observe/log.h"
#include "coreserver/cluster/records.h"
#include "coreserver/driver/core_server.h"
#include "coreserver/driver/fencing_barrier.h"
#include "coreserver/rpc/control_client.h"

namespace shima {

namespace {

constexpr uint32_t kSliceMs = 200;  // of a wait: in between it is seen that the server stops
// Calls that wait: they must leave threads of ControlServer::kMaxThreads to those that answer others' waits.
constexpr int kMaxWaits = 8;
constexpr int kMaxUnpublishes = 8;

// One of a limited number of calls at a time.
class CallSlot {
 public:
  CallSlot(std::atomic<int>& used, int limit) : used_(used), got_(++used <= limit) {}
  ~CallSlot() { --used_; }
  Status check() const {
    if (got_) return Status::ok();
    return {Code::kUnavailable, "too many calls of this kind wait here; call again"};
  }

 private:
  std::atomic<int>& used_;
  const bool got_;
};

// Counts down to 0, from any thread. up() only while it is above 0.
class Countdown {
 public:
  explicit Countdown(size_t from) : left_(from) {}
  void up() {
    std::lock_guard lock(mutex_);
    ++left_;
  }
  void down() {
    std::lock_guard lock(mutex_);
    if (--left_ == 0) zero_.notify_all();
  }
  bool wait(uint32_t timeout_ms) {
    std::unique_lock lock(mutex_);
    return zero_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  size_t left_;
};

int64_t milliseconds_since_1970() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::set<ServerId> primaries_of(const VolumeInfo& volume) {
  std::set<ServerId> servers;
  for (const GroupInfo& group : volume.groups) {
    for (const MemberInfo& m : group.members) {
      if (m.role == replication::Role::kPrimary) servers.insert(m.server);
    }
  }
  return servers;
}

// Of a waiting call through the control thread and the event loops.
struct Passage {
  explicit Passage(size_t count) : countdown(count) {}
  Countdown countdown;
  std::atomic<int64_t> acted{0};
  std::atomic<bool> unreadable{false};
  std::atomic<bool> not_committed{false};
};

// What is in the group's log once it has heard all that was posted to its loop before.
void pass_when_committed(ShardSet& shards, GroupId group, const std::shared_ptr<Passage>& passage) {
  passage->countdown.up();
  shards.of(group).loop().post([&shards, group, passage] {
    auto done = [passage](bool committed) {
      if (!committed) passage->not_committed = true;
      passage->countdown.down();
    };
    auto found = shards.of(group).find(group);
    found ? found->when_committed(done) : done(false);
  });
}

}  // namespace

Result<VolumeInfo> CoreServer::publish(const std::string& name, const PublicationInfo& asked) {
  SHIMA_RETURN_IF_ERROR(ready());
  PublicationInfo wanted = asked;
  wanted.since_ms = milliseconds_since_1970();
  for (std::string& address : wanted.addresses) address = usual_form_of_address(address).value_or(address);
  SHIMA_RETURN_IF_ERROR(check_publication(wanted).with_context("volume " + name));
  if (!state()->sites.contains(wanted.site)) {
    return Status(Code::kFailedPrecondition,
                  "node " + wanted.node + " is said to be at site " + wanted.site +
                      ", which is none of the cluster's; shimactl site list shows them");
  }
  auto changed = volumes_->publish(name, wanted);
  see_own_change(changed);
  return changed;
}

Result<VolumeInfo> CoreServer::unpublish(const std::string& name, const std::string& node,
                                         uint32_t timeout_ms) {
  SHIMA_RETURN_IF_ERROR(ready());
  CallSlot slot(unpublishes_, kMaxUnpublishes);
  SHIMA_RETURN_IF_ERROR(slot.check());
  auto changed = volumes_->unpublish(name, node);
  if (!changed.is_ok()) return changed;
  // Also if nothing has changed: an earlier call may have ended before all had answered.
  FencingBarrier barrier;
  barrier.stopping = &stopping_;
  barrier.ask = [this, revision = changed->mod_revision, volume = changed->id](ServerId server,
                                                                               uint32_t limit_ms) {
    return ask_to_act_on(server, revision, volume, limit_ms);
  };
  barrier.name_of = [this](ServerId server) {
    auto now = state();
    auto known = now->servers.find(server);
    return known == now->servers.end() ? "server " + std::to_string(server.value) : known->second.name;
  };
  Status all = barrier.wait(primaries_of(*changed), timeout_ms);
  see_own_change(changed);
  if (all.is_ok()) return changed;
  return all.with_context("volume " + name +
                          ": the publication is taken away, but that its primaries refuse " +
                          (node.empty() ? "all nodes" : "node " + node) + " is");
}

Status CoreServer::ask_to_act_on(ServerId server, EtcdRevision revision, VolumeId committed,
                                 uint32_t timeout_ms) {
  if (server == server_id()) return act_on(revision, committed, timeout_ms).status();
  auto now = state();
  auto known = now->servers.find(server);
  if (known == now->servers.end()) return {Code::kUnavailable, "it has no record"};
  const int limit_ms = static_cast<int>(timeout_ms);
  auto reply = shima::wait_for_revision(to_string(known->second.networks.control), revision.value, limit_ms,
                                        limit_ms, committed.value);
  if (!reply.is_ok()) return reply.status();
  if (reply->server_id() == server.value) return Status::ok();
  return {Code::kUnavailable, "server " + std::to_string(reply->server_id()) + " answers at its address"};
}

Result<EtcdRevision> CoreServer::wait_for_revision(EtcdRevision revision, VolumeId committed,
                                                   uint32_t timeout_ms) {
  SHIMA_RETURN_IF_ERROR(ready());
  CallSlot slot(waits_, kMaxWaits);
  SHIMA_RETURN_IF_ERROR(slot.check());
  return act_on(revision, committed, timeout_ms);
}

// The view has the revision and has told the control thread; that has handled it and told the groups; these
// have heard it, and those of `committed` have committed what they had then.
Result<EtcdRevision> CoreServer::act_on(EtcdRevision revision, VolumeId committed, uint32_t timeout_ms) {
  const uint64_t end_ms = real_clock().now_ms() + timeout_ms;
  auto left_ms = [&] {
    const uint64_t now = real_clock().now_ms();
    return static_cast<uint32_t>(std::min<uint64_t>(end_ms > now ? end_ms - now : 0, kSliceMs));
  };
  Status seen = view_->wait_for(revision, left_ms());
  while (!seen.is_ok() && left_ms() > 0 && !stopping_) seen = view_->wait_for(revision, left_ms());
  if (!seen.is_ok()) return seen;
  auto passage = std::make_shared<Passage>(shards_->size() + 1);
  control_->post([this, passage, committed] {
    passage->acted = acted_.value;
    passage->unreadable = has_unreadable_volume();
    for (GroupId group : primaries_here(committed)) pass_when_committed(*shards_, group, passage);
    for (size_t i = 0; i < shards_->size(); i++)
      (*shards_)[i].loop().post([passage] { passage->countdown.down(); });
    passage->countdown.down();
  });
  bool passed = passage->countdown.wait(left_ms());
  while (!passed && left_ms() > 0 && !stopping_) passed = passage->countdown.wait(left_ms());
  if (!passed) {
    return Status(Code::kDeadlineExceeded,
                  "server " + options_.name + " is busy, or has writes in its log that it cannot commit yet");
  }
  if (passage->not_committed)
    return Status(Code::kUnavailable, "a primary on server " + options_.name + " has just changed");
  if (passage->unreadable) {
    return Status(Code::kFailedPrecondition,
                  "server " + options_.name +
                      " goes on serving a volume by an older record, since it cannot read the newest one; "
                      "shimactl status says which");
  }
  return std::max(revision, EtcdRevision(passage->acted));
}

// On the control thread: the groups that the volume's record has a primary of on this server.
std::vector<GroupId> CoreServer::primaries_here(VolumeId id) const {
  std::vector<GroupId> groups;
  auto now = view_->snapshot();
  const VolumeInfo* volume = id ? now->volume_with(id) : nullptr;
  if (!volume || volume->deleting) return groups;
  for (const GroupInfo& group : volume->groups) {
    const MemberInfo* me = group.find(server_id());
    if (me && me->role == replication::Role::kPrimary) groups.push_back({id, group.index});
  }
  return groups;
}

// On the control thread. Such a volume is served as its last good record says, whoever was unpublished since.
bool CoreServer::has_unreadable_volume() const {
  auto now = view_->snapshot();
  return std::any_of(now->unreadable.begin(), now->unreadable.end(), [&](const auto& item) {
    ParsedKey key = parse_key(item.first);
    auto volume = now->volumes.find(key.name);
    return key.type == RecordType::kVolume && volume != now->volumes.end() &&
           volume->second.has_member(server_id());
  });
}

}  // namespace shima
