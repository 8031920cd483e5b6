#include "coreserver/cluster/registration.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "coreserver/cluster/counter.h"
#include "coreserver/cluster/disk_store.h"
#include "coreserver/cluster/records.h"
#include "coreserver/cluster/retry_deadline.h"
#include "coreserver/cluster/site_rules.h"

namespace shima {
namespace {

constexpr uint32_t kStartTimeoutMs = 15000;

bool passes_by_itself(const Status& s) {
  return s.code() == Code::kUnavailable || s.code() == Code::kDeadlineExceeded || s.code() == Code::kConflict;
}

Result<std::map<std::string, SiteInfo>> list_sites(EtcdClient& etcd) {
  Result<EtcdRange> range = etcd.list(site_key(""));
  if (!range) return range.status();
  std::map<std::string, SiteInfo> sites;
  for (const EtcdKeyValue& item : range->items) {
    Result<SiteInfo> site = decode_site(item);
    if (!site) return site.status();
    sites[site->name] = std::move(*site);
  }
  return sites;
}

class EtcdRegistration : public Registration {
 public:
  EtcdRegistration(EtcdClient& etcd, const RegistrationSpec& spec, OnEvent on_event)
      : etcd_(etcd), spec_(spec), on_event_(std::move(on_event)) {}

  ~EtcdRegistration() override { stop(); }

  Status begin() {
    SHIMA_RETURN_IF_ERROR(check_server_name(spec_.name, spec_.site));
    SHIMA_RETURN_IF_ERROR(until_it_works(
        [&] { return admit_software(etcd_, spec_.name, spec_.software).status(); }));  // before any change
    SHIMA_RETURN_IF_ERROR(until_it_works([&] { return enter_site(); }));
    SHIMA_RETURN_IF_ERROR(until_it_works([&] { return enter_server(); }));
    if (Status raised = raise_formats(etcd_, spec_.name, spec_.software); !raised)
      warnings_.push_back("the cluster's formats were not raised: " + raised.message());
    keep_lease();
    watch_ = etcd_.watch(server_key(spec_.name), revision_.next(),
                         [this](const EtcdWatchBatch& b) { look_at(b); });
    thread_ = std::thread([this] { stay_registered(); });
    return Status::ok();
  }

  ServerId id() const override { return self_.id; }
  Incarnation incarnation() const override { return self_.incarnation; }
  bool is_alive() const override { return alive_; }
  EtcdRevision revision() const override { return revision_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

  Status leave() override {
    stop();
    alive_ = false;
    Status s = etcd_.revoke_lease(lease_);
    return s.code() == Code::kNotFound ? Status::ok() : s;
  }

 private:
  template <typename Step>
  Status until_it_works(Step step) {
    RetryDeadline deadline(kStartTimeoutMs);
    for (;;) {
      Status s = step();
      if (s || !passes_by_itself(s)) return s;
      if (deadline.is_over()) return s.with_context("registering " + spec_.name);
      deadline.pause();
    }
  }

  Status enter_site() {
    warnings_.clear();
    auto sites = list_sites(etcd_);
    if (!sites) return sites.status();
    auto own = sites->find(spec_.site);
    if (own == sites->end()) {
      SiteInfo site{spec_.site, spec_.site_labels, spec_.site_cidrs, EtcdRevision()};
      SHIMA_RETURN_IF_ERROR(check_new_site(site, *sites));
      (*sites)[site.name] = site;
      SHIMA_RETURN_IF_ERROR(check_server_addresses(spec_.site, spec_.networks, *sites));
      return etcd_.compare_and_swap(site_key(site.name), EtcdRevision(), encode_site(site)).status();
    }
    bool other_cidrs = !spec_.site_cidrs.empty() && spec_.site_cidrs != own->second.cidrs;
    bool other_labels = !spec_.site_labels.empty() && spec_.site_labels != own->second.labels;
    if (other_cidrs || other_labels) {
      warnings_.push_back("site " + spec_.site + " has a record whose " +
                          (other_cidrs ? "subnets" : "labels") +
                          " differ from this server's configuration; the record counts");
    }
    return check_server_addresses(spec_.site, spec_.networks, *sites);
  }

  // Names a new incarnation and says that it is alive, in one step.
  Status enter_server() {
    ServerInfo next;
    EtcdRevision expected;
    Result<EtcdKeyValue> item = etcd_.get(server_key(spec_.name));
    if (!item && item.status().code() != Code::kNotFound) return item.status();
    if (item) {
      Result<ServerInfo> known = decode_server(*item);
      if (!known) return known.status();
      next = *known;
      expected = item->mod_revision;
    } else {
      if (!new_id_) {
        Result<uint64_t> number = next_number(etcd_, kServerIdCounter, kStartTimeoutMs);
        if (!number) return number.status();
        new_id_ = ServerId(*number);
      }
      next.id = new_id_;
    }
    next.name = spec_.name;
    next.site = spec_.site;
    next.failure_domain = spec_.failure_domain;
    next.incarnation = next.incarnation.next();
    next.networks = spec_.networks;
    next.disk_total_bytes = spec_.disk_total_bytes;
    Result<EtcdRevision> gate = admit_software(etcd_, spec_.name, spec_.software);
    if (!gate) return gate.status();
    SHIMA_RETURN_IF_ERROR(check_disks());
    SHIMA_RETURN_IF_ERROR(fresh_lease());
    const SoftwareInfo software{spec_.name, next.incarnation, spec_.software};
    std::vector<EtcdCompare> compares = {{server_key(spec_.name), expected}, {formats_gate_key(), *gate}};
    if (spec_.disks) compares.push_back({disks_key(spec_.name), *spec_.disks});
    Result<EtcdRevision> won = etcd_.transact(
        compares,
        {EtcdOperation::put(server_key(spec_.name), encode_server(next)),
         EtcdOperation::put(software_key(spec_.name), encode_software(software)),
         EtcdOperation::remove(refusal_key(spec_.name)),
         EtcdOperation::put(alive_key(spec_.name), encode_alive({next.id, next.incarnation}), lease_)});
    if (!won) return won.status();
    self_ = next;
    revision_ = *won;
    alive_ = true;
    return Status::ok();
  }

  // Apart from the transaction's compare, so that a try that cannot succeed any more is not tried again.
  Status check_disks() {
    if (!spec_.disks) return Status::ok();
    Result<EtcdKeyValue> item = etcd_.get(disks_key(spec_.name));
    if (!item && item.status().code() != Code::kNotFound) return item.status();
    if ((item ? item->mod_revision : EtcdRevision()) == *spec_.disks) return Status::ok();
    return {Code::kStaleTerm,
            "the record of " + spec_.name + "'s disks was just changed, so they are compared with it anew"};
  }

  // The lease's time may have run down over retries, so each try takes a new one; the old one ends by itself.
  Status fresh_lease() {
    Result<EtcdLease> lease = etcd_.grant_lease(spec_.lease_ttl_ms);
    if (!lease) return lease.status();
    lease_ = *lease;
    return Status::ok();
  }

  void keep_lease() {
    keeper_ = etcd_.keep_lease(lease_, spec_.lease_ttl_ms, [this](Status why) {
      std::lock_guard lock(mutex_);
      alive_ = false;
      lost_why_ = why.message();
      lost_ = true;
      wake_.notify_all();
    });
  }

  void look_at(const EtcdWatchBatch& batch) {
    for (const auto& change : batch.changes) {
      if (change.removed || change.item.key != server_key(spec_.name)) continue;
      Result<ServerInfo> server = decode_server(change.item);
      if (server && server->incarnation > self_.incarnation) note_superseded(server->incarnation);
    }
  }
  void note_superseded(Incarnation newer) {
    std::lock_guard lock(mutex_);
    superseded_by_ = newer;
    alive_ = false;
    wake_.notify_all();
  }

  // The registration's own thread: tells events, and registers anew after a lost lease.
  void stay_registered() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || lost_ || superseded_by_; });
      if (stopping_) return;
      if (superseded_by_) {
        std::string why = "incarnation " + std::to_string(superseded_by_.value) + " of " + spec_.name +
                          " is on record; this process is incarnation " +
                          std::to_string(self_.incarnation.value) +
                          " and must end: another process has its name, or a disk of it was forgotten";
        lock.unlock();
        keeper_.reset();
        on_event_({RegistrationEvent::Kind::kSuperseded, why});
        return;
      }
      lost_ = false;
      std::string why = lost_why_;
      lock.unlock();
      keeper_.reset();
      on_event_({RegistrationEvent::Kind::kLeaseLost, why});
      bool back = come_back();
      if (back) {
        keep_lease();
        on_event_(
            {RegistrationEvent::Kind::kAliveAgain, "a new lease holds the registration of " + spec_.name});
      }
      lock.lock();
    }
  }

  // Tries until the alive record is there again, or a newer incarnation is, or the registration stops.
  bool come_back() {
    for (;;) {
      Status s = be_alive_again();
      std::unique_lock lock(mutex_);
      if (stopping_ || superseded_by_) return false;
      if (s) {
        alive_ = true;
        return true;
      }
      wake_.wait_for(lock, std::chrono::milliseconds(500), [this] { return stopping_ || superseded_by_; });
      if (stopping_ || superseded_by_) return false;
    }
  }

  Status be_alive_again() {
    Result<EtcdKeyValue> item = etcd_.get(server_key(spec_.name));
    if (!item) return item.status();
    Result<ServerInfo> server = decode_server(*item);
    if (!server) return server.status();
    if (server->incarnation != self_.incarnation) {
      note_superseded(server->incarnation);
      return {Code::kStaleTerm, "superseded"};
    }
    SHIMA_RETURN_IF_ERROR(fresh_lease());
    return etcd_
        .transact(
            {{server_key(spec_.name), item->mod_revision}},
            {EtcdOperation::put(alive_key(spec_.name), encode_alive({self_.id, self_.incarnation}), lease_)})
        .status();
  }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
    watch_.reset();
    keeper_.reset();
  }

  EtcdClient& etcd_;
  const RegistrationSpec spec_;
  const OnEvent on_event_;
  std::vector<std::string> warnings_;
  ServerId new_id_;  // drawn from the counter, kept over retries
  ServerInfo self_;
  EtcdRevision revision_;
  EtcdLease lease_;  // begin(), then the registration's thread, then whoever stopped it
  std::atomic<bool> alive_{false};

  std::mutex mutex_;  // guards the four below
  bool stopping_ = false;
  bool lost_ = false;
  std::string lost_why_;
  Incarnation superseded_by_;
  std::condition_variable wake_;

  std::unique_ptr<EtcdLeaseKeeper> keeper_;
  std::unique_ptr<EtcdWatch> watch_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Registration>> Registration::start(EtcdClient& etcd, const RegistrationSpec& spec,
                                                          OnEvent on_event) {
  auto registration = std::make_unique<EtcdRegistration>(etcd, spec, std::move(on_event));
  SHIMA_RETURN_IF_ERROR(registration->begin());
  return std::unique_ptr<Registration>(std::move(registration));
}

Status create_site(EtcdClient& etcd, const SiteInfo& site) {
  auto sites = list_sites(etcd);
  if (!sites) return sites.status();
  if (sites->count(site.name)) {
    return {Code::kAlreadyExists, "site " + site.name + " exists already; shimactl site list shows it"};
  }
  SHIMA_RETURN_IF_ERROR(check_new_site(site, *sites));
  Status s = etcd.compare_and_swap(site_key(site.name), EtcdRevision(), encode_site(site)).status();
  if (s.code() == Code::kConflict)
    return {Code::kAlreadyExists, "site " + site.name + " was just made by another request"};
  return s;
}

}  // namespace shima
