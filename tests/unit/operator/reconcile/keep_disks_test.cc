// Disks outlive their claims, and a restart does not finish a claim off.
#include "tests/unit/operator/reconcile/reconciler_fixture.h"

namespace shima {
namespace {

class KeepDisksTest : public ClusterReconcilerTest {
 protected:
  static constexpr char kPod[] = "shima-core-a-0";
  static constexpr char kClaimKey[] = "ns/disk-0-shima-core-a-0";

  void make_running_cluster() {
    make_cluster();
    reconcile();
    run_pods("one");
    for (const auto& [key, pod] : kube_.all(pod_kind())) {
      const std::string name = name_of(*pod);
      const bool is_etcd = name.starts_with("shima-etcd");
      bind_claim((is_etcd ? "data-" : "disk-0-") + name, "pv-" + name);
    }
    reconcile();
    hear_core_servers();
    reconcile();
  }
  void bind_claim(const std::string& claim, const std::string& volume) {
    kube_.put(claim_kind(), {{"metadata", {{"name", claim}, {"namespace", "ns"}, {"uid", claim}}},
                             {"spec", {{"volumeName", volume}}}});
    kube_.put(persistent_volume_kind(),
              {{"metadata", {{"name", volume}}}, {"spec", {{"persistentVolumeReclaimPolicy", "Delete"}}}});
  }
  std::string said(const std::string& type) { return condition(type).value("message", ""); }
  std::string policy(const std::string& pod) {
    return text_at(*kube_.get(persistent_volume_kind(), "pv-" + pod), "/spec/persistentVolumeReclaimPolicy");
  }
};

TEST_F(KeepDisksTest, VolumesOfCoreServersAndEtcdAreRetainedAndAskedForOnce) {
  make_running_cluster();
  for (const char* pod : {"shima-core-a-0", "shima-core-c-1", "shima-etcd-b-0"})
    EXPECT_EQ(policy(pod), "Retain") << pod;
  kube_.calls.clear();
  reconcile();
  EXPECT_EQ(kube_.count_calls("get PersistentVolume"), 0u) << "also claims";
}

TEST_F(KeepDisksTest, ARefusalIsToldAndItIsTriedAgain) {
  kube_.refusals["patch PersistentVolume"] = Status(Code::kPermissionDenied, "may not patch");
  make_running_cluster();
  EXPECT_EQ(policy(kPod), "Delete");
  EXPECT_NE(said("ObjectsApplied").find("may not patch"), std::string::npos) << said("ObjectsApplied");
  kube_.refusals.clear();
  clock_.pass_ms(61'000);
  reconcile();
  EXPECT_EQ(policy(kPod), "Retain");
}

TEST_F(KeepDisksTest, NoServerIsRestartedWhoseClaimIsBeingDeleted) {
  make_running_cluster();
  const auto look = [&] {
    kube_.calls.clear();
    reconcile();
    clock_.pass_ms(30'000);
    hear_core_servers();
    reconcile();
    return kube_.count_calls("delete as seen Pod shima-core");
  };
  kube_.edit(claim_kind(), kClaimKey,
             [](json& claim) { claim["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"; });
  kube_.edit(stateful_set_kind(), "ns/shima-core-a",
             [](json& object) { object["status"]["updateRevision"] = "two"; });
  kube_.edit(pod_kind(), "ns/shima-core-a-1",
             [](json& pod) { pod["metadata"]["labels"]["controller-revision-hash"] = "two"; });
  EXPECT_EQ(look(), 0u);
  EXPECT_NE(said("Upgrading").find("claim disk-0-shima-core-a-0 is being deleted"), std::string::npos)
      << said("Upgrading");
  EXPECT_NE(said("Upgrading").find("pv-shima-core-a-0"), std::string::npos);
  bind_claim("disk-0-shima-core-a-0", "pv-shima-core-a-0");
  EXPECT_EQ(look(), 1u);
}

}  // namespace
}  // namespace shima
