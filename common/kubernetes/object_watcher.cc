#include "common/kubernetes/object_watcher.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "common/runtime/clock.h"

namespace shima {

struct ObjectWatcher::Impl {
  // What the thread is to do next: List, Watch or Wait.
  using Command = std::optional<ObjectCache::Effect>;

  Impl(ApiAccess access, WatchedObjects watched, std::function<void(const std::string&)> handler)
      : what(std::move(watched)),
        on_change(std::move(handler)),
        client(std::move(access)),
        random(std::random_device{}()),
        cache([this] { return random(); }, what.delay) {}

  void run() {
    Command command = step(ObjectCache::Tick{});
    while (command && !is_stopped()) command = carry_out(std::move(*command));
  }

  bool is_stopped() const {
    std::lock_guard lock(mutex);
    return stopped;
  }

  // Tells of changes, and returns the command, if there is one.
  Command step(ObjectCache::Event event) {
    std::vector<ObjectCache::Effect> effects;
    {
      std::lock_guard lock(mutex);
      cache.step(std::move(event), effects);
      if (cache.has_synced()) changed.notify_all();
    }
    Command command;
    for (ObjectCache::Effect& effect : effects) {
      if (const auto* change = std::get_if<ObjectCache::Changed>(&effect)) {
        if (on_change) on_change(change->key);
      } else {
        command = std::move(effect);
      }
    }
    return command;
  }

  Command carry_out(ObjectCache::Effect command) {
    if (std::holds_alternative<ObjectCache::List>(command)) return list();
    if (const auto* watch_from = std::get_if<ObjectCache::Watch>(&command))
      return watch(watch_from->resource_version);
    std::unique_lock lock(mutex);
    const auto delay = std::chrono::milliseconds(std::get<ObjectCache::Wait>(command).delay_ms);
    if (changed.wait_for(lock, delay, [this] { return stopped; })) return std::nullopt;
    lock.unlock();
    return step(ObjectCache::Tick{});
  }

  void trim(nlohmann::json& object) const {
    const auto metadata = object.find("metadata");
    if (metadata != object.end() && metadata->is_object()) metadata->erase("managedFields");
    if (what.trim) what.trim(object);
  }

  Command list() {
    Result<ObjectList> list = client.list(what.kind, what.options);
    if (!list) return step(ObjectCache::ListFailed{list.status(), client.asked_to_wait_ms()});
    for (nlohmann::json& object : list->items) trim(object);
    return step(ObjectCache::Listed{std::move(*list)});
  }

  Command watch(const std::string& resource_version) {
    Command command;
    const uint64_t began_ms = real_clock().now_ms();
    const auto on_event = [&](const WatchEvent& event) {
      WatchEvent trimmed = event;
      if (event.type != WatchEvent::Type::kBookmark) trim(trimmed.object);
      command = step(ObjectCache::Watched{std::move(trimmed)});
      return !command && !is_stopped();
    };
    const Status end = client.watch(what.kind, what.options, resource_version, on_event,
                                    [this] { step(ObjectCache::WatchBegun{}); });
    if (command || is_stopped()) return command;
    return step(ObjectCache::WatchEnded{end, real_clock().now_ms() - began_ms, client.asked_to_wait_ms()});
  }

  const WatchedObjects what;
  const std::function<void(const std::string&)> on_change;
  ApiClient client;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;  // synced, or stopped
  std::mt19937_64 random;                   // under mutex
  ObjectCache cache;                        // under mutex
  bool stopped = false;                     // under mutex
  std::thread thread;
};

ObjectWatcher::ObjectWatcher(ApiAccess access, WatchedObjects what,
                             std::function<void(const std::string&)> on_change)
    : impl_(std::make_unique<Impl>(std::move(access), std::move(what), std::move(on_change))) {}

ObjectWatcher::~ObjectWatcher() { stop(); }

void ObjectWatcher::start() {
  SHIMA_CHECK(!impl_->thread.joinable(), "a watcher is started once");
  impl_->thread = std::thread([this] { impl_->run(); });
}

void ObjectWatcher::stop() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
    impl_->changed.notify_all();
  }
  impl_->client.cancel();
  if (impl_->thread.joinable()) impl_->thread.join();
}

bool ObjectWatcher::has_synced() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache.has_synced();
}

bool ObjectWatcher::wait_until_synced(uint64_t timeout_ms) const {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                          [this] { return impl_->cache.has_synced() || impl_->stopped; });
  return impl_->cache.has_synced() && !impl_->stopped;
}

ObjectMap ObjectWatcher::snapshot() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache.objects();
}

ObjectPointer ObjectWatcher::get(const std::string& key) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache.find(key);
}

Status ObjectWatcher::trouble() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cache.trouble();
}

}  // namespace shima
