// CallRecords: a log line and counters for each gRPC call that a role of the driver answers.
//
// The line: call=CreateVolume request=17 volume="pvc-1" duration_ms=12 code=OK, of component `role`;
// path="/..." too, for calls of the mounter. Calls that are repeated all the time (Probe, capabilities, Ping)
// are logged at level debug when they succeed. Metrics, by call: requests, errors, time in microseconds.
// Threads: any.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "accessserver/server/access_metrics.h"
#include "common/observe/histogram.h"

namespace shima {

struct FinishedCall {
  std::string method;    // "/csi.v1.Controller/CreateVolume"
  uint64_t request = 0;  // counts the calls of this process
  std::string subject;   // the volume's id, or the name asked for; from outside, may be empty
  std::string path;      // that the call is about; from outside, may be empty
  std::string text;      // the request without its secrets, for the level debug; may be empty
  uint64_t duration_us = 0;
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;  // of an error
};

// "OK", "INVALID_ARGUMENT", ...
const char* grpc_code_name(grpc::StatusCode code);

class CallRecords {
 public:
  // `role`: "csi" or "mounter".
  explicit CallRecords(std::string role = "csi") : role_(std::move(role)) {}

  uint64_t next_request();
  void finished(const FinishedCall& call);
  // ROLE_create_volume_requests, ..._errors, ..._p50_us, ..._p99_us for every method called so far.
  std::vector<MetricSample> samples() const;

 private:
  struct Counters {
    uint64_t requests = 0;
    uint64_t errors = 0;
    Histogram us;
  };
  const std::string role_;
  mutable std::mutex mutex_;
  uint64_t last_request_ = 0;
  std::map<std::string, Counters> methods_;  // by name without its service; only registered methods get here
};

}  // namespace shima
