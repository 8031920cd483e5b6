#include "accessserver/server/access_registration.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "common/observe/log.h"
#include "common/runtime/clock.h"
#include "coreserver/cluster/counter.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

constexpr uint32_t kCounterTimeoutMs = 5000;

bool passes_by_itself(const Status& s) {
  return s.code() == Code::kUnavailable || s.code() == Code::kDeadlineExceeded || s.code() == Code::kConflict;
}

}  // namespace

AccessRegistration::AccessRegistration(EtcdClient& etcd, AccessRegistrationOptions options, OnNew on_new)
    : etcd_(etcd), options_(std::move(options)), on_new_(std::move(on_new)) {}

Result<std::unique_ptr<AccessRegistration>> AccessRegistration::start(EtcdClient& etcd,
                                                                      AccessRegistrationOptions options,
                                                                      OnNew on_new,
                                                                      const std::function<bool()>& ended) {
  SHIMA_RETURN_IF_ERROR(check_access_name(options.name));
  std::unique_ptr<AccessRegistration> made(
      new AccessRegistration(etcd, std::move(options), std::move(on_new)));
  SHIMA_RETURN_IF_ERROR(made->begin(ended));
  made->thread_ = std::thread([r = made.get()] { r->stay_registered(); });
  return made;
}

AccessRegistration::~AccessRegistration() { stop(); }

Status AccessRegistration::begin(const std::function<bool()>& ended) {
  std::lock_guard work(work_mutex_);
  LogLimit trouble(10'000);
  for (;;) {
    const Status entered = enter();
    if (entered.is_ok()) {
      if (on_new_) on_new_(identity());
      return entered;
    }
    const bool predecessor = entered.code() == Code::kAlreadyExists;
    if (!predecessor && !passes_by_itself(entered)) return entered;
    if (predecessor && real_clock().now_ms() - predecessor_since_ms_ >= options_.predecessor_ms) {
      return {Code::kFailedPrecondition,
              entered.message() + ", and stays: each access server needs a name of its own"};
    }
    uint64_t suppressed = 0;
    if (trouble.allow("start", real_clock().now_ms(), suppressed))
      log(LogLevel::kInfo, "registration", "waiting: " + entered.message());
    if ((ended && ended()) || pause(std::min(options_.retry_ms, 100u)))
      return {Code::kUnavailable, "ended before it was registered: " + entered.message()};
  }
}

// The revision of our own record, 0 if there is none; kAlreadyExists: it is another process's.
Result<EtcdRevision> AccessRegistration::revision_to_replace() {
  Result<EtcdKeyValue> item = etcd_.get(access_key(options_.name));
  if (!item && item.status().code() == Code::kNotFound) return EtcdRevision();
  if (!item) return item.status();
  Result<AccessInfo> record = decode_access(*item);
  if (!record) return record.status();
  if (own_incarnations_.contains(record->incarnation)) return item->mod_revision;
  if (predecessor_ != item->mod_revision) {
    predecessor_ = item->mod_revision;
    predecessor_since_ms_ = real_clock().now_ms();
  }
  return Status(Code::kAlreadyExists, "another process is registered as " + options_.name + ", incarnation " +
                                          std::to_string(record->incarnation));
}

// One try, with work_mutex_.
Status AccessRegistration::enter() {
  Result<EtcdRevision> replaced = revision_to_replace();
  if (!replaced) return replaced.status();
  Result<uint64_t> incarnation = next_number(etcd_, kAccessIncarnationCounter, kCounterTimeoutMs);
  if (!incarnation) return incarnation.status();
  Result<EtcdLease> lease = etcd_.grant_lease(options_.lease_ttl_ms);
  if (!lease) return lease.status();
  own_incarnations_.insert(*incarnation);
  const std::string key = access_key(options_.name);
  Result<EtcdRevision> won =
      etcd_.compare_and_swap(key, *replaced, encode_access({options_.name, *incarnation, {}}), *lease);
  if (!won) {
    static_cast<void>(etcd_.revoke_lease(*lease));  // if the outcome is unknown, this takes the record away
    return won.status();
  }
  own_incarnations_ = {*incarnation};
  keep(*lease);
  std::lock_guard lock(mutex_);
  identity_ = {
      .access_server = options_.name, .access_incarnation = *incarnation, .access_revision = won->value};
  registered_ms_ = real_clock().now_ms();
  log(LogLevel::kInfo, "registration",
      options_.name + " is registered, incarnation " + std::to_string(*incarnation));
  return Status::ok();
}

void AccessRegistration::keep(EtcdLease lease) {
  std::shared_ptr<EtcdLeaseKeeper> keeper =
      etcd_.keep_lease(lease, options_.lease_ttl_ms, [this, lease](const Status& why) {
        std::lock_guard lock(mutex_);
        if (lease != lease_) return;
        lost_ = true;
        lost_why_ = why.message();
        wake_.notify_all();
      });
  std::lock_guard lock(mutex_);  // `keeper` leaves with the old one, after the lock
  keeper_.swap(keeper);
  lease_ = lease;
  lost_ = !keeper_->is_alive();
  if (lost_) wake_.notify_all();  // what was told before `lease_` was known did not count
}

Status AccessRegistration::register_anew(const std::string& why) {
  std::lock_guard work(work_mutex_);
  const EtcdLease old = lease();
  log(LogLevel::kWarning, "registration", options_.name + " registers anew: " + why);
  SHIMA_RETURN_IF_ERROR(enter());
  if (on_new_) on_new_(identity());
  static_cast<void>(etcd_.revoke_lease(old));  // else it expires: nobody keeps it any more
  return Status::ok();
}

bool AccessRegistration::is_needed() const {
  return lost_ || (doubted_ != 0 && doubted_ == identity_.access_incarnation);
}

void AccessRegistration::stay_registered() {
  LogLimit trouble(10'000);
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || is_needed(); });
    if (stopping_) return;
    const std::string why = lost_ ? "its lease is lost (" + lost_why_ + ")" : "a core server has fenced it";
    const uint64_t age_ms = real_clock().now_ms() - registered_ms_;
    const uint64_t wait_ms =
        lost_ || age_ms >= options_.doubt_pause_ms ? 0 : options_.doubt_pause_ms - age_ms;
    lock.unlock();
    if (pause(wait_ms)) return;
    const Status again = register_anew(why);
    uint64_t suppressed = 0;
    if (!again.is_ok() && trouble.allow("again", real_clock().now_ms(), suppressed))
      log(LogLevel::kError, "registration", "cannot register anew, trying again: " + again.to_string());
    if (!again.is_ok() && pause(options_.retry_ms)) return;
    lock.lock();
  }
}

void AccessRegistration::doubt(uint64_t incarnation) {
  std::lock_guard lock(mutex_);
  doubted_ = std::max(doubted_, incarnation);
  wake_.notify_all();
}

ClientIdentity AccessRegistration::identity() const {
  std::lock_guard lock(mutex_);
  return identity_;
}

EtcdLease AccessRegistration::lease() const {
  std::lock_guard lock(mutex_);
  return lease_;
}

bool AccessRegistration::holds(EtcdLease lease) const {
  std::lock_guard lock(mutex_);
  return lease == lease_ && !lost_ && keeper_ && keeper_->is_alive();
}

bool AccessRegistration::pause(uint64_t ms) {
  std::unique_lock lock(mutex_);
  return wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
}

void AccessRegistration::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
  std::shared_ptr<EtcdLeaseKeeper> keeper;
  std::lock_guard lock(mutex_);
  keeper_.swap(keeper);  // ends outside the lock: its thread may be waiting for that
}

Status AccessRegistration::leave() {
  stop();
  const Status revoked = etcd_.revoke_lease(lease());
  return revoked.code() == Code::kNotFound ? Status::ok() : revoked;
}

}  // namespace shima
