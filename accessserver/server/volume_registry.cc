#include "accessserver/server/volume_registry.h"

#include <algorithm>
#include <utility>

#include "common/observe/log.h"

namespace shima {
namespace {

Status stopped_status() { return {Code::kUnavailable, "this access server is stopping; use another one"}; }

}  // namespace

VolumeRegistry::VolumeRegistry(VolumeSource& source, std::vector<ExportRule> rules, unsigned threads)
    : source_(source), rules_(std::move(rules)), workers_("volumes", threads) {}

VolumeRegistry::~VolumeRegistry() { stop(); }

void VolumeRegistry::by_name(const std::string& volume, Done done) {
  std::unique_lock lock(mutex_);
  if (stopped_) {
    lock.unlock();
    return done(stopped_status());
  }
  if (std::shared_ptr<FileSystem> open = find(volume)) {
    lock.unlock();
    return done(std::move(open));
  }
  std::vector<Done>& waiting = opening_[volume];
  waiting.push_back(std::move(done));
  const bool first = waiting.size() == 1;
  if (first) workers_.post([this, volume] { open_on_worker(volume); });
}

void VolumeRegistry::open_on_worker(const std::string& name) {
  uint64_t forgotten = 0;
  {
    std::lock_guard lock(mutex_);
    forgotten = forgotten_;
  }
  Result<std::shared_ptr<FileSystem>> opened = source_.open(name);
  std::vector<Done> waiting;
  {
    std::lock_guard lock(mutex_);
    if (forgotten != forgotten_) opened = Status(Code::kUnavailable, "it is to be opened anew");
    waiting = std::move(opening_[name]);
    opening_.erase(name);
    if (opened) open_[(*opened)->volume_id()] = *opened;
  }
  if (opened) {
    log(LogLevel::kInfo, "volumes", "opened " + name + ", id " + std::to_string((*opened)->volume_id()));
  } else {
    log(LogLevel::kInfo, "volumes", "did not open " + name + ": " + opened.status().to_string());
  }
  for (Done& done : waiting) done(opened);
}

void VolumeRegistry::by_id(uint64_t volume_id, Done done) {
  if (std::shared_ptr<FileSystem> open = open_now(volume_id)) return done(std::move(open));
  share_listing([this, volume_id, done = std::move(done)](const Result<std::vector<VolumeName>>& names) {
    if (!names) return done(names.status());
    for (const VolumeName& volume : *names) {
      if (volume.id == volume_id) return by_name(volume.name, done);
    }
    done(Status(Code::kNotFound, "there is no volume with id " + std::to_string(volume_id) + " (any more)"));
  });
}

std::shared_ptr<FileSystem> VolumeRegistry::open_now(uint64_t volume_id) const {
  std::lock_guard lock(mutex_);
  auto found = open_.find(volume_id);
  return found == open_.end() ? nullptr : found->second;
}

void VolumeRegistry::list(std::function<void(Result<std::vector<std::string>>)> done) {
  share_listing([done = std::move(done)](const Result<std::vector<VolumeName>>& names) {
    if (!names) return done(names.status());
    std::vector<std::string> texts;
    for (const VolumeName& volume : *names) texts.push_back(volume.name);
    done(std::move(texts));
  });
}

void VolumeRegistry::share_listing(ListDone done) {
  std::unique_lock lock(mutex_);
  if (stopped_) {
    lock.unlock();
    return done(stopped_status());
  }
  waiting_for_list_.push_back(std::move(done));
  if (std::exchange(listing_, true)) return;
  workers_.post([this] { list_on_worker(); });
}

void VolumeRegistry::list_on_worker() {
  std::vector<ListDone> waiting;
  {
    std::lock_guard lock(mutex_);
    waiting = std::move(waiting_for_list_);
    waiting_for_list_.clear();
  }
  Result<std::vector<VolumeName>> names = source_.list();
  for (ListDone& done : waiting) done(names);
  std::lock_guard lock(mutex_);
  listing_ = !waiting_for_list_.empty();
  if (listing_) workers_.post([this] { list_on_worker(); });
}

Access VolumeRegistry::access(const std::string& volume, const std::string& client) const {
  Access access = access_of(rules_, client);
  if (!access.allowed || !publications_) return access;
  switch (publications_(volume, client)) {
    case PublishedAccess::kReadWrite:
      break;
    case PublishedAccess::kReadOnly:
      access.read_only = true;
      break;
    case PublishedAccess::kUnknown:
      access.try_later = true;
      [[fallthrough]];
    case PublishedAccess::kNone:
      access.allowed = false;
      break;
  }
  return access;
}

void VolumeRegistry::forget_all() {
  std::map<uint64_t, std::shared_ptr<FileSystem>> gone;  // their destruction is outside the lock
  std::lock_guard lock(mutex_);
  forgotten_++;
  gone.swap(open_);
}

void VolumeRegistry::forget(uint64_t volume_id) {
  std::shared_ptr<FileSystem> gone;  // its destruction is outside the lock
  {
    std::lock_guard lock(mutex_);
    auto found = open_.find(volume_id);
    if (found == open_.end()) return;
    gone = std::move(found->second);
    open_.erase(found);
  }
  log(LogLevel::kInfo, "volumes", "volume " + gone->volume_name() + " is gone");
}

std::vector<std::shared_ptr<FileSystem>> VolumeRegistry::open_volumes() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<FileSystem>> all;
  for (const auto& [id, volume] : open_) all.push_back(volume);
  return all;
}

std::shared_ptr<FileSystem> VolumeRegistry::find(const std::string& name) const {
  for (const auto& [id, volume] : open_) {
    if (volume->volume_name() == name) return volume;
  }
  return nullptr;
}

void VolumeRegistry::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  workers_.stop();
  std::map<uint64_t, std::shared_ptr<FileSystem>> open;
  std::map<std::string, std::vector<Done>> opening;
  std::vector<ListDone> waiting;
  {
    std::lock_guard lock(mutex_);
    open = std::move(open_);
    open_.clear();
    opening = std::exchange(opening_, {});
    waiting = std::exchange(waiting_for_list_, {});
  }
  for (auto& [name, callers] : opening) {
    for (Done& done : callers) done(stopped_status());
  }
  for (ListDone& done : waiting) done(stopped_status());
}

}  // namespace shima
