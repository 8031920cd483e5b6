#include "csi/server/call_records.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "common/observe/log.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

constexpr size_t kMaxErrorBytes = 1024;

// Asked every few seconds, by sidecars, by the node plug-in of its mounter, and for health.
constexpr std::array<std::string_view, 8> kFrequent = {"Probe",
                                                       "GetPluginInfo",
                                                       "GetPluginCapabilities",
                                                       "ControllerGetCapabilities",
                                                       "NodeGetCapabilities",
                                                       "GetCapacity",
                                                       "List",
                                                       "Ping"};

std::string without_service(const std::string& method) { return method.substr(method.rfind('/') + 1); }

// "CreateVolume" -> "create_volume"
std::string snake_case(const std::string& method) {
  std::string out;
  for (const char c : method) {
    const bool upper = std::isupper(static_cast<unsigned char>(c)) != 0;
    if (upper && !out.empty()) out += '_';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

LogLevel level_of(const FinishedCall& call, const std::string& name) {
  if (call.code != grpc::StatusCode::OK) return LogLevel::kWarning;
  const bool frequent = std::find(kFrequent.begin(), kFrequent.end(), name) != kFrequent.end();
  return frequent ? LogLevel::kDebug : LogLevel::kInfo;
}

}  // namespace

const char* grpc_code_name(grpc::StatusCode code) {
  constexpr std::array<const char*, 17> kNames = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const auto number = static_cast<size_t>(code);
  return number < kNames.size() ? kNames[number] : "?";
}

uint64_t CallRecords::next_request() {
  std::lock_guard lock(mutex_);
  return ++last_request_;
}

void CallRecords::finished(const FinishedCall& call) {
  const std::string name = without_service(call.method);
  {
    std::lock_guard lock(mutex_);
    Counters& counters = methods_[snake_case(name)];
    counters.requests++;
    if (call.code != grpc::StatusCode::OK) counters.errors++;
    counters.us.record(call.duration_us);
  }
  std::string line = "call=" + name + " request=" + std::to_string(call.request);
  if (!call.subject.empty()) line += " volume=" + quoted(call.subject);
  if (!call.path.empty()) line += " path=" + quoted(call.path);
  line += " duration_ms=" + std::to_string(call.duration_us / 1000) + " code=" + grpc_code_name(call.code);
  if (!call.message.empty()) line += " error=" + quoted(call.message, kMaxErrorBytes);
  log(level_of(call, name), role_, line);
  if (!call.text.empty())
    log(LogLevel::kDebug, role_, "request=" + std::to_string(call.request) + " is " + call.text);
}

std::vector<MetricSample> CallRecords::samples() const {
  std::lock_guard lock(mutex_);
  std::vector<MetricSample> samples;
  for (const auto& [name, counters] : methods_) {
    const auto add = [&samples, method = role_ + "_" + name](const char* what, uint64_t value) {
      samples.push_back({method + what, static_cast<double>(value), ""});
    };
    add("_requests", counters.requests);
    add("_errors", counters.errors);
    add("_p50_us", counters.us.quantile(0.5));
    add("_p99_us", counters.us.quantile(0.99));
  }
  return samples;
}

}  // namespace shima
