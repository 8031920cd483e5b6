#include "operator/reconcile/why_not_ready.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "operator/reconcile/object_fields.h"
#include "operator/status/conditions.h"

namespace shima {
namespace {

using nlohmann::json;

// The pause between two tries is ImagePullBackOff, whatever the try itself was.
const std::set<std::string> kPulls{"ErrImagePull", "ImagePullBackOff", "ImageInspectError",
                                   "RegistryUnavailable", "SignatureValidationFailed"};
// Of a container that starts, or starts again: how it ended last says more.
const std::set<std::string> kStarts{"", "ContainerCreating", "PodInitializing", "CrashLoopBackOff",
                                    "RunContainerError"};
// Its message names what is missing, and nothing else; others bear ids that are new in each try.
constexpr char kConfigError[] = "CreateContainerConfigError";

constexpr const char* kContainerLists[] = {"initContainerStatuses", "containerStatuses"};

std::string words(std::string text) {
  for (char& each : text)
    if (static_cast<unsigned char>(each) < 0x20 || each == 0x7f) each = ' ';
  return shortened(std::move(text), kMostWordsBytes);
}

size_t digits_at(const std::string& text, size_t at) {
  const size_t end = text.find_first_not_of("0123456789", at);
  return (end == std::string::npos ? text.size() : end) - at;
}

// "0/5 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: ..." without the
// numbers, by which the scheduler has also sorted them. A part without a number goes on with the one before.
std::string without_numbers(const std::string& message) {
  static const std::string kBegin = " nodes are available: ";
  const size_t begin = message.find(kBegin);
  if (begin == std::string::npos || message.find_first_not_of("0123456789/") != begin) return message;
  std::string rest = message.substr(begin + kBegin.size());
  rest = rest.substr(0, rest.find(". "));
  if (rest.ends_with('.')) rest.pop_back();
  std::set<std::string> reasons;
  std::string reason;
  for (size_t at = 0; at < rest.size();) {
    const size_t end = std::min(rest.find(", ", at), rest.size());
    const size_t digits = digits_at(rest, at);
    const bool is_new = digits > 0 && at + digits < end && rest[at + digits] == ' ';
    if (is_new && !reason.empty()) reasons.insert(std::exchange(reason, ""));
    reason += (reason.empty() ? "" : ", ") +
              rest.substr(is_new ? at + digits + 1 : at, end - (is_new ? at + digits + 1 : at));
    at = end + 2;
  }
  if (!reason.empty()) reasons.insert(reason);
  return "no node can take it: " + told({reasons.begin(), reasons.end()}, reasons.size());
}

const json& entries_of(const json& object, const std::string& pointer) {
  static const json kNone = json::array();
  const json* list = value_at(object, pointer);
  return list && list->is_array() ? *list : kNone;
}

json trimmed_condition(const json& condition) {
  json kept{{"type", words(text_at(condition, "/type"))}, {"status", text_at(condition, "/status")}};
  if (kept["type"] == "PodScheduled" && kept["status"] == "False")
    kept["message"] = words(without_numbers(text_at(condition, "/message")));
  return kept;
}

json trimmed_container(const json& container) {
  json kept{{"name", words(text_at(container, "/name"))}, {"image", words(text_at(container, "/image"))}};
  if (const std::string reason = text_at(container, "/state/waiting/reason"); !reason.empty()) {
    kept["state"]["waiting"]["reason"] = words(reason);
    if (reason == kConfigError)
      kept["state"]["waiting"]["message"] = words(text_at(container, "/state/waiting/message"));
  }
  for (const std::string state : {"state", "lastState"})
    if (const json* end = value_at(container, "/" + state + "/terminated"); end && end->is_object())
      kept[state]["terminated"] = {{"exitCode", number_at(*end, "/exitCode")},
                                   {"reason", words(text_at(*end, "/reason"))}};
  return kept;
}

std::string told_end(const json& container) {
  const json* end = value_at(container, "/state/terminated");
  if (!end) end = value_at(container, "/lastState/terminated");
  if (!end) return {};
  const std::string reason = text_at(*end, "/reason");
  const bool is_plain = reason.empty() || reason == "Error" || reason == "Completed";
  return "ended last with exit code " + std::to_string(number_at(*end, "/exitCode")) +
         (is_plain ? "" : ", " + reason) + " (kubectl logs -p)";
}

std::string why_not_ready_of(const json& container) {
  const std::string reason = text_at(container, "/state/waiting/reason");
  if (kPulls.contains(reason))
    return "image " + text_at(container, "/image") + " cannot be pulled (kubectl describe pod)";
  if (kStarts.contains(reason)) return told_end(container);
  const std::string message = text_at(container, "/state/waiting/message");
  return reason + (message.empty() ? " (kubectl describe pod)" : ": " + message);
}

// What a quota, a LimitRange or an admission plug-in refused; empty: a controller that does not say.
std::string told_failure(const json& workload) {
  for (const json& each : entries_of(workload, "/status/conditions"))
    if (text_at(each, "/type") == "ReplicaFailure" && text_at(each, "/status") == "True") {
      const std::string message = text_at(each, "/message");
      const size_t name_ends = message.find(" is forbidden: ");  // a name of its own in each try
      return words(name_ends == std::string::npos ? message : message.substr(name_ends + 4));
    }
  return {};
}

}  // namespace

void trim_pod_status(json& status) {
  json kept = json::object();
  for (const json& each : entries_of(status, "/conditions"))
    kept["conditions"].push_back(trimmed_condition(each));
  for (const char* list : kContainerLists)
    for (const json& each : entries_of(status, std::string("/") + list))
      if (!true_at(each, "/ready")) kept[list].push_back(trimmed_container(each));
  if (const std::string phase = text_at(status, "/phase"); !phase.empty()) kept["phase"] = phase;
  status = std::move(kept);
}

std::string why_not_ready(const json& pod) {
  if (has_true_condition(pod, "Ready")) return {};
  if (is_ending(pod)) return name_of(pod) + ": is being deleted";
  json status = pod.value("status", json::object());
  trim_pod_status(status);
  const std::string name = name_of(pod) + ": ";
  for (const json& each : entries_of(status, "/conditions"))
    if (const std::string message = text_at(each, "/message"); !message.empty()) return name + message;
  for (const char* list : kContainerLists)
    for (const json& each : entries_of(status, std::string("/") + list))
      if (const std::string why = why_not_ready_of(each); !why.empty())
        return name + text_at(each, "/name") + ": " + why;
  return {};
}

std::string why_without_pods(const json& workload, uint32_t pods, uint32_t wanted) {
  if (pods >= wanted || !has_observed(workload)) return {};
  std::string kind = text_at(workload, "/kind");
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
  const std::string failure = told_failure(workload);
  return (pods == 0
              ? "no pod has been made: "
              : "only " + std::to_string(pods) + " of " + std::to_string(wanted) + " pods have been made: ") +
         (!failure.empty()
              ? failure
              : "`kubectl describe " + kind + " " + name_of(workload) + "` says why (quota, admission)");
}

bool has_observed(const json& workload) {
  return number_at(workload, "/status/observedGeneration", -1) >=
         number_at(workload, "/metadata/generation", 0);
}

}  // namespace shima
