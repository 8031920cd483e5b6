#include "accessserver/server/shared_address.h"

#include <algorithm>
#include <chrono>

#include "common/observe/log.h"

namespace shima {

namespace {
constexpr uint32_t kRenewEveryMs = 500;
}

SharedAddress::SharedAddress(EtcdClient& etcd, SharedAddressOptions options, Handlers handlers)
    : etcd_(etcd), options_(std::move(options)), handlers_(std::move(handlers)), thread_([this] { run(); }) {}

SharedAddress::~SharedAddress() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

bool SharedAddress::is_here() const {
  std::lock_guard lock(mutex_);
  return here_;
}

std::string SharedAddress::key_of(const InterfaceAddress& address) {
  return "/shima/v1/addresses/" + address.address;
}

bool SharedAddress::pause(uint64_t ms) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void SharedAddress::run() {
  for (;;) {
    is_here() ? renew() : try_to_take();
    if (pause(is_here() ? kRenewEveryMs : options_.look_every_ms)) break;
  }
  if (is_here()) give_up("this server ends");
}

void SharedAddress::try_to_take() {
  const std::string key = key_of(options_.address);
  auto holder = etcd_.get(key);
  if (holder.is_ok() || holder.status().code() != Code::kNotFound) return;  // held, or etcd does not say
  auto lease = etcd_.grant_lease(options_.lease_ttl_ms);
  if (!lease) return;
  std::string value = R"({"magic":"shima-address","version":1,"holder":")" + options_.holder + R"("})";
  if (!etcd_.compare_and_swap(key, EtcdRevision(), value, *lease).is_ok()) {
    static_cast<void>(etcd_.revoke_lease(*lease));  // if the outcome is unknown, this takes the key away too
    return;
  }
  lease_ = *lease;
  keeper_ = etcd_.keep_lease(lease_, options_.lease_ttl_ms, [this](Status) { wake_.notify_all(); });
  {
    std::lock_guard lock(mutex_);
    here_ = true;
  }
  log(LogLevel::kInfo, "address", options_.holder + " takes " + to_string(options_.address));
  renew();
  if (!is_here()) return;
  if (Status listening = handlers_.taken(); !listening.is_ok())
    return give_up("cannot listen on it: " + listening.to_string());
  if (Status told = announce_address(options_.address); !told.is_ok())
    log(LogLevel::kWarning, "address", told.to_string());
}

// The address lives for a part of the lease after each renewal: the keeper says that the lease is lost at the
// latest lease_ttl_ms after the last confirmed renewal, and the address must be gone by then.
void SharedAddress::renew() {
  if (!keeper_->is_alive()) return give_up("the lease in etcd is lost");
  uint32_t lifetime_s = std::max(2u, options_.lease_ttl_ms / 3000);
  if (Status set = set_address(options_.address, lifetime_s); !set.is_ok()) give_up(set.to_string());
}

void SharedAddress::give_up(const std::string& why) {
  log(LogLevel::kInfo, "address", options_.holder + " gives up " + to_string(options_.address) + ": " + why);
  {
    std::lock_guard lock(mutex_);
    here_ = false;
  }
  handlers_.lost();
  if (Status removed = remove_address(options_.address); !removed.is_ok())
    log(LogLevel::kWarning, "address", removed.to_string());
  keeper_.reset();
  static_cast<void>(etcd_.revoke_lease(lease_));
}

}  // namespace shima
