// ApiReader: reads single objects of the Kubernetes API server whose cluster this process runs in.
//
// Credentials are those that Kubernetes puts into a pod ("Accessing the Kubernetes API from a Pod"): the CA
// that the server's certificate must be signed by, and a bearer token, which is read again for each call,
// since it is renewed. Threads: all methods from any thread; a call blocks until answered or timed out.
// Errors: kFailedPrecondition: this process does not run in a pod, or its credentials cannot be read (which
// file); kPermissionDenied: 401, 403, with the server's words, which name verb and resource; kNotFound: 404;
// kUnavailable: nobody answers, or the certificate is not trusted, or 429 and 5xx; kCorrupt: the answer is
// not JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status/status.h"

namespace shima {

struct ApiAccess {
  std::string url;         // https://HOST:PORT
  std::string ca_file;     // PEM
  std::string token_file;  // empty: no token is sent
  uint32_t timeout_ms = 10'000;
};

// From KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and the service account's files.
Result<ApiAccess> access_from_pod();

class ApiReader {
 public:
  explicit ApiReader(ApiAccess access) : access_(std::move(access)) {}

  // `path` as the server has it, for example /api/v1/nodes/NAME.
  Result<nlohmann::json> get(const std::string& path) const;
  // A label of a node. kNotFound also if the node does not have it; the message names those that it has.
  Result<std::string> node_label(const std::string& node, const std::string& key) const;

 private:
  const ApiAccess access_;
};

}  // namespace shima
