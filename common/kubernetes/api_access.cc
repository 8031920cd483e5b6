#include "common/kubernetes/api_access.h"

#include <cstdlib>

#include "common/kubernetes/credential_files.h"

namespace shima {
namespace {

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

}  // namespace

Result<ApiAccess> access_from_pod() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (!host || !port || !*host || !*port)
    return {Code::kFailedPrecondition,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this process does not run in a "
            "pod"};
  ApiAccess access;
  // cpprestsdk resolves no addresses of IPv6, so the service's name stands for one.
  const std::string name = host;
  access.url =
      "https://" + (name.find(':') == std::string::npos ? name : "kubernetes.default.svc") + ":" + port;
  access.ca_file = std::string(kServiceAccount) + "ca.crt";
  access.token_file = std::string(kServiceAccount) + "token";
  // Absent in a pod that was given its token by a projected volume alone.
  if (Result<std::string> name_space = read_credential_file(std::string(kServiceAccount) + "namespace", 253))
    access.name_space = trimmed(*name_space);
  return access;
}

}  // namespace shima
