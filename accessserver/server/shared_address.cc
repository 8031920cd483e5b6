#include "accessserver/server/shared_address.h"

#include <algorithm>
#include <chrono>

#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {

namespace {
constexpr uint32_t kRenewEveryMs = 500;
}

SharedAddress::SharedAddress(EtcdClient& etcd, AccessRegistration& registration, SharedAddressOptions options,
                             Handlers handlers)
    : etcd_(etcd),
      registration_(registration),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      thread_([this] { run(); }) {}

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

void SharedAddress::set_here(bool here) {
  std::lock_guard lock(mutex_);
  here_ = here;
}

bool SharedAddress::stopping() const {
  std::lock_guard lock(mutex_);
  return stopping_;
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
  if (is_here()) leave_interface("this server ends");
}

// When the key was put under `lease`.
Result<EtcdRevision> SharedAddress::take_key(EtcdLease lease) {
  const std::string key = key_of(options_.address);
  auto there = etcd_.get(key);
  // It is ours already if the answer to its put was lost.
  if (there && there->lease == lease) return there->mod_revision;
  if (there) return Status(Code::kAlreadyExists, "another server holds it");
  if (there.status().code() != Code::kNotFound) return there.status();
  const std::string value = R"({"magic":"shima-address","version":1,"holder":")" + options_.holder + R"("})";
  return etcd_.compare_and_swap(key, EtcdRevision(), value, lease);
}

void SharedAddress::try_to_take() {
  const EtcdLease lease = registration_.lease();
  if (!registration_.holds(lease)) return;
  const Result<EtcdRevision> taken_at = take_key(lease);
  if (!taken_at) return;
  lease_ = lease;
  log(LogLevel::kInfo, "address", options_.holder + " takes " + to_string(options_.address));
  const uint64_t began_ms = real_clock().now_ms();
  const Status fenced =
      handlers_.fence(*taken_at, [this] { return !stopping() && registration_.holds(lease_); });
  // Not wanted any more: this server ends, or the lease is lost and the key with it.
  if (!fenced.is_ok())
    return log(LogLevel::kInfo, "address", options_.holder + " does not take it: " + fenced.to_string());
  set_here(true);
  renew();
  if (!is_here()) return;
  if (Status listening = handlers_.taken(); !listening.is_ok())
    return give_back("cannot listen on it: " + listening.to_string());
  if (Status told = announce_address(options_.address); !told.is_ok())
    log(LogLevel::kWarning, "address", told.to_string());
  log(LogLevel::kInfo, "address",
      options_.holder + " serves on " + to_string(options_.address) + ", " +
          std::to_string(real_clock().now_ms() - began_ms) + " ms after it took it");
}

// The address lives for a part of the lease after each renewal: the registration says that the lease is lost
// at the latest lease_ttl_ms after the last confirmed renewal, and the address must be gone by then.
void SharedAddress::renew() {
  if (!registration_.holds(lease_)) return leave_interface("the lease in etcd is lost");
  uint32_t lifetime_s = std::max(2u, options_.lease_ttl_ms / 3000);
  if (Status set = set_address(options_.address, lifetime_s); !set.is_ok()) give_back(set.to_string());
}

// Off the interface first: to stop listening takes as long as core servers need to answer what is in flight.
void SharedAddress::leave_interface(const std::string& why) {
  log(LogLevel::kInfo, "address", options_.holder + " gives up " + to_string(options_.address) + ": " + why);
  set_here(false);
  if (Status removed = remove_address(options_.address); !removed.is_ok())
    log(LogLevel::kWarning, "address", removed.to_string());
  handlers_.lost();
}

// What came in over the address is dropped, and core servers refuse what of it is still on its way, before
// the key is free. Without an answer of etcd it stays here, and is tried again.
void SharedAddress::give_back(const std::string& why) {
  leave_interface(why);
  if (Status anew = registration_.register_anew("to give " + options_.address.address + " back");
      !anew.is_ok())
    log(LogLevel::kWarning, "address", "the key of the address stays: " + anew.to_string());
}

}  // namespace shima
