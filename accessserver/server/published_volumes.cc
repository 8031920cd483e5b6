#include "accessserver/server/published_volumes.h"

#include <chrono>
#include <utility>

#include "common/network/cidr.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

constexpr std::string_view kMapped = "::ffff:";

// An IPv4 client of a socket that serves both families shows as ::ffff:a.b.c.d.
std::string usual_form(const std::string& address) {
  const bool mapped = address.starts_with(kMapped) && address.find('.') != std::string::npos;
  const std::string plain = mapped ? address.substr(kMapped.size()) : address;
  return usual_form_of_address(plain).value_or(plain);
}

}  // namespace

PublishedVolumes::PublishedVolumes(std::function<uint64_t()> silent_ms, uint64_t stale_ms)
    : silent_ms_(std::move(silent_ms)), stale_ms_(stale_ms) {}

PublishedVolumes::Volume PublishedVolumes::clients_of(const VolumeInfo& volume) {
  Volume clients{.version = volume.config_version, .published_only = volume.published_only};
  for (const PublicationInfo& publication : volume.publications) {
    for (const std::string& address : publication.addresses) {
      // Of two nodes behind one address the one that may do more decides.
      auto [at, first] = clients.read_only.emplace(usual_form(address), publication.read_only);
      at->second = at->second && publication.read_only;
    }
  }
  return clients;
}

std::shared_ptr<const PublishedVolumes::Volumes> PublishedVolumes::volumes_of(const ClusterState& state) {
  auto volumes = std::make_shared<Volumes>();
  for (const auto& [name, volume] : state.volumes) volumes->emplace(name, clients_of(volume));
  return volumes;
}

void PublishedVolumes::begin(const ClusterState& state) {
  auto first = volumes_of(state);
  std::lock_guard lock(mutex_);
  if (!volumes_) volumes_ = std::move(first);
}

void PublishedVolumes::update(const ClusterState& state) {
  auto next = volumes_of(state);
  std::lock_guard lock(mutex_);
  volumes_ = std::move(next);
  changed_.notify_all();
}

PublishedAccess PublishedVolumes::access(const std::string& volume, const std::string& client) const {
  std::shared_ptr<const Volumes> volumes;
  {
    std::lock_guard lock(mutex_);
    volumes = volumes_;
  }
  if (!volumes) return PublishedAccess::kUnknown;
  const auto known = volumes->find(volume);
  if (known == volumes->end() || !known->second.published_only) return PublishedAccess::kReadWrite;
  if (silent_ms_() > stale_ms_) return PublishedAccess::kUnknown;
  const auto found = known->second.read_only.find(usual_form(client));
  if (found == known->second.read_only.end()) return PublishedAccess::kNone;
  return found->second ? PublishedAccess::kReadOnly : PublishedAccess::kReadWrite;
}

bool PublishedVolumes::wait_for(const std::string& volume, ConfigVersion version, uint32_t timeout_ms) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(timeout_ms), [&] {
    if (!volumes_) return false;
    const auto known = volumes_->find(volume);
    return known != volumes_->end() && known->second.version >= version;
  });
}

}  // namespace shima
