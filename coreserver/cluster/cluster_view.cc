#include "coreserver/cluster/cluster_view.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "common/observe/log.h"
#include "coreserver/cluster/cluster_state_builder.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

template <typename Map>
std::vector<std::string> keys_that_differ(const Map& before, const Map& after) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : after) {
    auto it = before.find(key);
    if (it == before.end() || !(it->second == value)) keys.push_back(key);
  }
  for (const auto& [key, value] : before) {
    if (!after.count(key)) keys.push_back(key);
  }
  return keys;
}

// Once for each record and for each thing that is wrong with it.
void tell_unreadable(const std::map<std::string, std::string>& before,
                     const std::map<std::string, std::string>& after) {
  for (const auto& [key, why] : after) {
    auto known = before.find(key);
    if (known != before.end() && known->second == why) continue;
    log(LogLevel::kError, "cluster", "etcd's record " + key + " is left alone: " + why);
  }
}

class WatchedClusterView : public ClusterView {
 public:
  explicit WatchedClusterView(OnChange on_change) : on_change_(std::move(on_change)) {}

  Status begin(EtcdClient& etcd) {
    Result<EtcdRange> range = etcd.list(std::string(kClusterPrefix));
    if (!range) return range.status().with_context("reading the cluster's configuration");
    EtcdWatchBatch all{EtcdWatchBatch::Kind::kFullList, range->revision, {}};
    for (auto& item : range->items) all.changes.push_back({false, std::move(item)});
    builder_.apply(all);
    state_ = std::make_shared<const ClusterState>(builder_.state());
    told_ = state_->revision;
    tell_unreadable({}, state_->unreadable);
    watch_ = etcd.watch(std::string(kClusterPrefix), range->revision.next(),
                        [this](const EtcdWatchBatch& batch) { take(batch); });
    return Status::ok();
  }

  std::shared_ptr<const ClusterState> snapshot() const override {
    std::lock_guard lock(mutex_);
    return state_;
  }
  uint64_t stale_ms() const override { return watch_->silent_ms(); }

  Status wait_for(EtcdRevision revision, uint32_t timeout_ms) const override {
    std::unique_lock lock(mutex_);
    bool there =
        changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] { return told_ >= revision; });
    if (there) return Status::ok();
    return {Code::kDeadlineExceeded, "etcd's revision " + std::to_string(revision.value) +
                                         " was not seen within " + std::to_string(timeout_ms) +
                                         " ms; the newest is " + std::to_string(told_.value)};
  }

 private:
  void take(const EtcdWatchBatch& batch) {
    if (batch.kind == EtcdWatchBatch::Kind::kProgress) return;
    builder_.apply(batch);
    auto next = std::make_shared<const ClusterState>(builder_.state());
    std::shared_ptr<const ClusterState> before;
    {
      std::lock_guard lock(mutex_);
      before = std::exchange(state_, next);
    }
    tell_unreadable(before->unreadable, next->unreadable);
    ClusterChange change{next, keys_that_differ(before->volumes, next->volumes), before->sites != next->sites,
                         before->servers != next->servers, before->access != next->access};
    const bool matters =
        change.sites_changed || change.servers_changed || change.access_changed || !change.volumes.empty();
    if (on_change_ && matters) on_change_(change);
    std::lock_guard lock(mutex_);
    told_ = next->revision;
    changed_.notify_all();
  }

  OnChange on_change_;
  ClusterStateBuilder builder_;  // begin(), then only the watch's thread
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<const ClusterState> state_;
  EtcdRevision told_;                 // up to here the callback has returned
  std::unique_ptr<EtcdWatch> watch_;  // last: its thread uses all of the above
};

}  // namespace

Result<std::unique_ptr<ClusterView>> ClusterView::start(EtcdClient& etcd, OnChange on_change) {
  auto view = std::make_unique<WatchedClusterView>(std::move(on_change));
  SHIMA_RETURN_IF_ERROR(view->begin(etcd));
  return std::unique_ptr<ClusterView>(std::move(view));
}

}  // namespace shima
