#include "operator/reconcile/why_not_ready.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using nlohmann::json;

json pod_with(const json& status) { return {{"metadata", {{"name", "p-0"}}}, {"status", status}}; }

json pod_with_container(const json& state, const json& last = json::object()) {
  return pod_with({{"conditions", json::array({{{"type", "Ready"}, {"status", "False"}}})},
                   {"containerStatuses", json::array({{{"name", "main"},
                                                       {"image", "shima/shimaa:0.1.0"},
                                                       {"ready", false},
                                                       {"state", state},
                                                       {"lastState", last}}})}});
}

json waiting(const std::string& reason, const std::string& message = "") {
  return {{"waiting", {{"reason", reason}, {"message", message}}}};
}

json terminated(int code, const std::string& reason) {
  return {{"terminated",
           {{"exitCode", code},
            {"reason", reason},
            {"finishedAt", "2026-01-01T00:00:00Z"},
            {"message", "12:00:00 there is no such option"}}}};
}

json unschedulable(const std::string& message) {
  return pod_with({{"phase", "Pending"},
                   {"conditions", json::array({{{"type", "PodScheduled"},
                                                {"status", "False"},
                                                {"reason", "Unschedulable"},
                                                {"lastTransitionTime", "2026-01-01T00:00:00Z"},
                                                {"message", message}}})}});
}

// As it is read, and the same as it is kept in the cache.
std::string why(json pod) {
  std::string before = why_not_ready(pod);
  trim_pod_status(pod["status"]);
  EXPECT_EQ(why_not_ready(pod), before) << pod.dump();
  return before;
}

TEST(WhyNotReady, AnImageThatCannotBePulledIsNamedWithTheSameWordsBetweenTheTries) {
  const std::string told =
      why(pod_with_container(waiting("ErrImagePull", "dial tcp 10.0.0.1:43712->10.0.0.2:443: i/o timeout")));
  EXPECT_EQ(told, "p-0: main: image shima/shimaa:0.1.0 cannot be pulled (kubectl describe pod)");
  EXPECT_EQ(why(pod_with_container(waiting("ImagePullBackOff", "Back-off pulling image"))), told);
  EXPECT_EQ(why(pod_with_container(waiting("RegistryUnavailable"))), told);
}

TEST(WhyNotReady, AContainerThatEndsAgainAndAgainSaysTheSameWhileItRunsWaitsAndEnds) {
  const json end = terminated(1, "Error");
  const std::string told = why(pod_with_container(
      waiting("CrashLoopBackOff", "back-off 2m40s restarting failed container=main pod=p-0_ns(uid)"), end));
  EXPECT_EQ(told, "p-0: main: ended last with exit code 1 (kubectl logs -p)");
  EXPECT_EQ(why(pod_with_container(waiting("CrashLoopBackOff", "back-off 5m0s restarting"), end)), told);
  EXPECT_EQ(why(pod_with_container({{"running", {{"startedAt", "2026-01-01T00:00:07Z"}}}}, end)), told);
  EXPECT_EQ(why(pod_with_container(end)), told);
  EXPECT_EQ(why(pod_with_container(end, terminated(2, "Error"))), told) << "the newest end counts";
  EXPECT_EQ(why(pod_with_container(waiting("CrashLoopBackOff"), terminated(137, "OOMKilled"))),
            "p-0: main: ended last with exit code 137, OOMKilled (kubectl logs -p)");
  const json no_start = terminated(128, "StartError");
  EXPECT_EQ(why(pod_with_container(waiting("RunContainerError", "task 8c2f: no such file"), no_start)),
            why(pod_with_container(waiting("CrashLoopBackOff"), no_start)));
}

TEST(WhyNotReady, WhatAContainerLacksIsNamed) {
  EXPECT_EQ(why(pod_with_container(waiting("CreateContainerConfigError", "secret \"s\" not found"))),
            "p-0: main: CreateContainerConfigError: secret \"s\" not found");
  EXPECT_EQ(why(pod_with_container(waiting("CreateContainerError", "context deadline: id 8c2f01"))),
            "p-0: main: CreateContainerError (kubectl describe pod)")
      << "an id is new in each try";
}

TEST(WhyNotReady, APodThatStartsOrIsReadySaysNothing) {
  EXPECT_EQ(why(pod_with_container(waiting("ContainerCreating"))), "");
  EXPECT_EQ(why(pod_with_container(waiting("PodInitializing"))), "");
  EXPECT_EQ(why(pod_with_container({{"running", json::object()}})), "");
  json ready = pod_with_container({{"running", json::object()}}, terminated(1, "Error"));
  ready["status"]["conditions"][0]["status"] = "True";
  EXPECT_EQ(why(ready), "");
  json ending = pod_with_container(terminated(0, "Completed"));
  ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_EQ(why(ending), "p-0: is being deleted") << "and not that its containers end";
}

TEST(WhyNotReady, AnInitContainerThatHasDoneItsWorkIsNotToldOf) {
  json pod = pod_with_container(waiting("PodInitializing"));
  json& list = pod["status"]["initContainerStatuses"];
  list.push_back({{"name", "first"}, {"ready", true}, {"state", terminated(0, "Completed")}});
  list.push_back({{"name", "second"}, {"ready", false}, {"state", terminated(3, "Error")}});
  EXPECT_EQ(why(pod), "p-0: second: ended last with exit code 3 (kubectl logs -p)");
}

TEST(WhyNotReady, WhatTheSchedulerSaysIsToldWithoutTheNumbersOfNodes) {
  const std::string told = why(unschedulable(
      "0/5 nodes are available: 1 Insufficient cpu, 4 node(s) had taint {a: b}, that the pod didn't "
      "tolerate. preemption: 0/5 nodes are available: 5 No preemption victims found for incoming pod."));
  EXPECT_EQ(told,
            "p-0: no node can take it: Insufficient cpu; node(s) had taint {a: b}, that the pod didn't "
            "tolerate");
  EXPECT_EQ(why(unschedulable("0/12 nodes are available: 10 node(s) had taint {a: b}, that the pod didn't "
                              "tolerate, 2 Insufficient cpu.")),
            told)
      << "nodes come and go";
  EXPECT_EQ(why(unschedulable(
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")),
            "p-0: no node can take it: pod has unbound immediate PersistentVolumeClaims");
  EXPECT_EQ(why(unschedulable("persistentvolumeclaim \"disk-0\" not found")),
            "p-0: persistentvolumeclaim \"disk-0\" not found");
}

TEST(WhyNotReady, LongWordsOfStrangersAreOneShortLine) {
  const std::string told = why(unschedulable("a\nb\r\x1b" + std::string(100'000, 'x')));
  EXPECT_LE(told.size(), kMostWordsBytes + 5);
  EXPECT_TRUE(told.starts_with("p-0: a b  x")) << told;
  EXPECT_LE(why(pod_with_container(waiting(std::string(100'000, 'R')))).size(), 2 * kMostWordsBytes);
  json pod = pod_with_container(waiting("CreateContainerConfigError", std::string(100'000, 'm')),
                                terminated(1, std::string(100'000, 'R')));
  pod["status"]["podIPs"] = json::array({"10.0.0.1"});
  trim_pod_status(pod["status"]);
  EXPECT_LT(pod.dump().size(), 1'000u);
  EXPECT_EQ(pod.dump().find("10.0.0.1"), std::string::npos);
}

TEST(WhyNotReady, AStatusOfAnotherKindDoesNoHarm) {
  for (const json& odd : {json("x"), json(nullptr), json{{"conditions", "x"}},
                          json{{"containerStatuses", {1, json::object(), {{"state", "x"}}}}}})
    EXPECT_EQ(why(pod_with(odd)), "") << odd.dump();
  EXPECT_EQ(why_not_ready({{"metadata", {{"name", "p-0"}}}}), "");
}

json workload(const std::string& kind) {
  return {{"kind", kind},
          {"metadata", {{"name", "w"}, {"generation", 2}}},
          {"status", {{"observedGeneration", 2}}}};
}

TEST(WhyNotReady, AWorkloadWithoutPodsNamesWhoSaysWhy) {
  EXPECT_EQ(why_without_pods(workload("StatefulSet"), 0, 2),
            "no pod has been made: `kubectl describe statefulset w` says why (quota, admission)");
  EXPECT_EQ(why_without_pods(workload("DaemonSet"), 1, 3),
            "only 1 of 3 pods have been made: `kubectl describe daemonset w` says why (quota, admission)");
  EXPECT_EQ(why_without_pods(workload("StatefulSet"), 2, 2), "");
  json unseen = workload("StatefulSet");
  unseen["status"]["observedGeneration"] = 1;
  EXPECT_EQ(why_without_pods(unseen, 0, 2), "") << "its controller has not tried yet";
}

TEST(WhyNotReady, ADeploymentSaysItselfWhatWasRefused) {
  json deployment = workload("Deployment");
  for (const char* name : {"w-6f7d-x7k2p", "w-6f7d-q2v9z"}) {
    deployment["status"]["conditions"] = json::array(
        {{{"type", "ReplicaFailure"},
          {"status", "True"},
          {"reason", "FailedCreate"},
          {"message", "pods \"" + std::string(name) + "\" is forbidden: exceeded quota: compute"}}});
    EXPECT_EQ(why_without_pods(deployment, 0, 2), "no pod has been made: forbidden: exceeded quota: compute");
  }
}

}  // namespace
}  // namespace shima
