// ApiAccess: where a Kubernetes API server is, how it is recognised, and as whom it is asked.
//
// Sources: "Accessing the Kubernetes API from a Pod"; "kubeconfig (v1)" of the Kubernetes reference. Files
// that are named here are read again for each connection (certificates) or call (token), since whoever wrote
// them renews them; nothing here is read from the network. Threads: plain data. Errors: kFailedPrecondition:
// this process does not run in a pod; kInvalidArgument: a kubeconfig file that cannot be read or used, with
// its path, the key in it and what to do.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

// Of each pair NAME_file, NAME_pem at most one is set.
struct ApiAccess {
  std::string url;      // https://HOST:PORT, perhaps with a path
  std::string ca_file;  // authorities that may have signed the server's certificate; one of the two is needed
  std::string ca_pem;
  std::string server_name;  // that the certificate must be for; empty: the url's host
  std::string token_file;   // bearer token; empty: none is sent
  std::string token;
  std::string client_certificate_file;  // with the chain, leaf first; empty: none is shown
  std::string client_certificate_pem;
  std::string client_key_file;
  std::string client_key_pem;
  std::string name_space;        // that the credentials belong to; empty: unknown
  uint32_t timeout_ms = 10'000;  // of a call, as a whole (each chunk of a list is one)
  uint32_t watch_s = 300;        // after which the server is to end a watch
};

// From KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and the service account's files. If the host is an
// address of IPv6, kubernetes.default.svc is asked instead, so the pod needs the cluster's DNS (dnsPolicy).
Result<ApiAccess> access_from_pod();

// From a kubeconfig file. `context`: one of its contexts; empty: its current-context. Relative file names in
// it are relative to its folder. Refused with words: addresses of IPv6, insecure-skip-tls-verify, http
// servers, proxies, impersonation, user names with passwords, exec and auth-provider plug-ins.
Result<ApiAccess> access_from_kubeconfig(const std::string& path, const std::string& context = {});

}  // namespace shima
