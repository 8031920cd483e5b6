// A ClusterReconciler between an API server in memory and core servers that say what a test wants.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "operator/core_view/core_servers.h"
#include "operator/desired/object_labels.h"
#include "operator/reconcile/cluster_reconciler.h"
#include "tests/unit/operator/reconcile/fake_kubernetes.h"

namespace shima {

using nlohmann::json;

inline constexpr char kKey[] = "ns/shima";

class HandClock final : public Clock {
 public:
  uint64_t now_us() const override { return now_us_; }
  void pass_ms(uint64_t ms) { now_us_ += ms * 1000; }

 private:
  std::atomic<uint64_t> now_us_{1'000'000'000};
};

// Core servers that say what a test wants them to.
struct CoreSays {
  std::atomic<bool> answer{true};
  std::atomic<bool> whole{true};
  std::atomic<bool> has_volume{false};
  std::atomic<int> more_volumes{0};
  std::atomic<bool> published{false};  // the volume, to node-a0
  std::atomic<int> unpublished{0};
  std::atomic<bool> one_is_away{false};  // c/core-1 has no lease
  std::atomic<bool> lists_volumes{true};
  std::atomic<bool> tells_groups{false};  // a/core-0 is registered, and says how its groups are
  std::atomic<int> remotes_away{0};       // of a/core-0's groups
  std::atomic<bool> leads{true};          // this operator
};

class FakeCore final : public CoreServers {
 public:
  explicit FakeCore(CoreSays& says) : says_(says) {}
  Result<cluster::v1::GetStatusReply> get_status() override {
    if (!says_.answer) return Status(Code::kUnavailable, "connection refused");
    cluster::v1::GetStatusReply reply;
    reply.set_etcd_reachable(true);
    if (says_.one_is_away) reply.add_servers_away("c/core-1");
    if (says_.has_volume) {
      auto* volume = reply.add_volumes();
      volume->set_name("vm1");
      volume->set_healthy(says_.whole);
      if (!says_.whole) volume->add_reasons("1 remote members are not whole");
    }
    for (int i = 0; i < says_.more_volumes; ++i) {
      auto* volume = reply.add_volumes();
      volume->set_name("pvc-" + std::to_string(i));
      volume->set_healthy(true);
    }
    return reply;
  }
  Result<std::vector<volume::v1::VolumeSummary>> list_volumes() override {
    if (!says_.lists_volumes) return Status(Code::kUnavailable, "no list");
    std::vector<volume::v1::VolumeSummary> list;
    if (says_.has_volume) {
      list.emplace_back().set_name("vm1");
      list.back().set_home("a");
      if (says_.published) list.back().add_publications()->set_node("node-a0");
    }
    for (int i = 0; i < says_.more_volumes; ++i) {
      list.emplace_back().set_name("pvc-" + std::to_string(i));
      list.back().set_home("a");
    }
    return list;
  }
  Result<std::vector<cluster::v1::ServerState>> list_servers() override {
    std::vector<cluster::v1::ServerState> list;
    if (!says_.tells_groups) return list;
    list.emplace_back().set_alive(true);
    list.back().mutable_record()->set_name("a/core-0");
    auto* control = list.back().mutable_record()->mutable_networks()->mutable_control();
    control->set_address("core-0.a");
    control->set_port(7000);
    return list;
  }
  Result<stats::v1::GetStatsReply> get_stats(const std::string&) override {
    stats::v1::GetStatsReply reply;
    const auto tell = [&](const char* name, double value) {
      auto* added = reply.add_values();
      added->set_name(name);
      added->set_value(value);
    };
    tell("primary_groups", 9);
    tell("remote_members_away", says_.remotes_away);
    return reply;
  }
  Status unpublish(const std::string&, const std::string&) override {
    ++says_.unpublished;
    says_.published = false;
    return Status::ok();
  }
  Result<replication::v1::ShowGroupsReply> show_groups(const std::string&, const std::string&) override {
    return Status(Code::kUnavailable, "not asked");
  }

 private:
  CoreSays& says_;
};

// An etcd that does what it is asked.
struct EtcdSays {
  std::vector<EtcdMember> members;
  std::vector<std::string> calls;  // "remove 7"
  Status refusal;
};

class FakeEtcd final : public EtcdMembership {
 public:
  explicit FakeEtcd(EtcdSays& says) : says_(says) {}
  Result<std::vector<EtcdMember>> list() override { return says_.members; }
  Status remove(uint64_t id) override {
    says_.calls.push_back("remove " + std::to_string(id));
    SHIMA_RETURN_IF_ERROR(says_.refusal);
    std::erase_if(says_.members, [id](const EtcdMember& each) { return each.id == id; });
    return Status::ok();
  }
  Result<EtcdMember> add(const std::string& peer_url) override {
    says_.calls.push_back("add " + peer_url);
    SHIMA_RETURN_IF_ERROR(says_.refusal);
    says_.members.push_back({100, "", {peer_url}});
    return says_.members.back();
  }

 private:
  EtcdSays& says_;
};

class ClusterReconcilerTest : public testing::Test {
 protected:
  explicit ClusterReconcilerTest(uint64_t look_every_ms = 5)
      : reconciler_(
            kube_, kube_, [] { return std::set<std::string>(); },
            [this](const std::vector<std::string>&) { return std::make_unique<FakeCore>(core_); },
            {.instance = "operator-0",
             .settle_ms = 10'000,
             .core_watch = {.interval_ms = look_every_ms},
             .may_act = [this] { return core_.leads.load(); },
             .connect_etcd =
                 [this](const std::vector<std::string>&) {
                   return std::unique_ptr<EtcdMembership>(std::make_unique<FakeEtcd>(etcd_));
                 }},
            {clock_, [] { return uint64_t{1'770'000'000'000'000}; }},
            [this](const std::string&) { ++looks_; }) {
    for (const char* site : {"a", "b", "c"})
      for (int i = 0; i < 2; ++i)
        kube_.put(node_kind(), {{"metadata",
                                 {{"name", std::string("node-") + site + std::to_string(i)},
                                  {"labels", {{"topology.kubernetes.io/zone", site}}}}}});
  }

  void make_cluster(const std::string& name_space = "ns",
                    const std::string& created = "2026-01-01T00:00:00Z") {
    kube_.put(
        shima_cluster_kind(),
        {{"metadata",
          {{"name", "shima"}, {"namespace", name_space}, {"generation", 1}, {"creationTimestamp", created}}},
         {"spec",
          {{"coreServers", {{"perSite", 2}, {"disks", json::array({{{"claim", {{"size", "10Gi"}}}}})}}},
           {"etcd", {{"data", {{"claim", {{"size", "1Gi"}}}}}}},
           {"storageClasses", json::array({{{"name", "shima"}}})}}}});
  }

  ReconcileResult reconcile(const std::string& key = kKey) {
    clock_.pass_ms(100);
    return reconciler_.reconcile(key);
  }

  // What the StatefulSet controller and kubelets do: pods of the newest revision, all ready.
  void run_pods(const std::string& revision) {
    for (const auto& [key, set] : kube_.all(stateful_set_kind())) {
      const auto replicas = number_at(*set, "/spec/replicas", 1);
      kube_.edit(stateful_set_kind(), key, [&](json& object) {
        object["status"] = {{"readyReplicas", replicas}, {"updateRevision", revision}};
      });
      for (int i = 0; i < replicas; ++i) {
        const std::string name = name_of(*set) + "-" + std::to_string(i);
        if (kube_.get(pod_kind(), "ns/" + name)) continue;
        json labels = (*set)["metadata"]["labels"];
        labels["controller-revision-hash"] = revision;
        kube_.put(pod_kind(),
                  {{"metadata",
                    {{"name", name},
                     {"namespace", "ns"},
                     {"labels", labels},
                     {"ownerReferences", json::array({{{"kind", "StatefulSet"}, {"name", name_of(*set)}}})}}},
                   {"status", {{"conditions", json::array({{{"type", "Ready"}, {"status", "True"}}})}}}});
      }
    }
  }

  // Until core servers were asked once more, at the clock's present time.
  // All pods run, and core servers have told.
  void make_running_cluster() {
    make_cluster();
    reconcile();
    run_pods("one");
    reconcile();
    hear_core_servers();
    reconcile();
  }
  void hear_core_servers() {
    const uint64_t before = looks_;
    for (int i = 0; i < 12'000 && looks_ < before + 2; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_GE(looks_, before + 2) << "the core servers were not asked within 60 s";
  }

  json condition(const std::string& type, const std::string& key = kKey) {
    const ObjectPointer cluster = kube_.get(shima_cluster_kind(), key);
    for (const json& each : cluster->value("status", json::object()).value("conditions", json::array()))
      if (each["type"] == type) return each;
    return {};
  }

  // Another process, that remembers nothing.
  void restart_operator() { reconciler_.forget_all(); }
  void ask_for_deletion() {
    kube_.edit(shima_cluster_kind(), kKey,
               [](json& cluster) { cluster["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"; });
  }
  void set_was_ready() {
    kube_.edit(shima_cluster_kind(), kKey, [](json& cluster) { cluster["status"]["wasReady"] = true; });
  }
  ObjectPointer stateful_set(const std::string& name) { return kube_.get(stateful_set_kind(), "ns/" + name); }
  std::string etcd_members() {
    const ObjectPointer record = kube_.get(config_map_kind(), "ns/shima-etcd-members");
    return record ? text_at(*record, "/data/members") : "none";
  }

  HandClock clock_;
  CoreSays core_;
  EtcdSays etcd_;
  std::atomic<uint64_t> looks_{0};
  FakeKubernetes kube_;
  ClusterReconciler reconciler_;
};

}  // namespace shima
