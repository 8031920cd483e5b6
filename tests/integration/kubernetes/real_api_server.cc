#include "tests/integration/kubernetes/real_api_server.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace shima {

using nlohmann::json;

ApiAccess access_from(const char* variable) {
  const char* path = std::getenv(variable);
  Result<ApiAccess> access = access_from_kubeconfig(path ? path : "");
  if (access) access->timeout_ms = 60'000;  // no stall of a machine is so long
  if (access) return *access;
  std::fprintf(stderr, "%s: %s\n", variable, access.status().to_string().c_str());
  std::exit(2);
}

json config_map(const std::string& name, const std::string& value, const json& labels) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", name}, {"namespace", kSpace}, {"labels", labels}}},
          {"data", {{"value", value}}}};
}

bool soon(const std::function<bool()>& condition, int within_ms) {
  for (int waited = 0; waited < within_ms; waited += 20) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

void RealApiServer::SetUp() {
  const Status status = client_.create(kNamespace, {{"metadata", {{"name", kSpace}}}}).status();
  ASSERT_TRUE(status.is_ok() || status.code() == Code::kAlreadyExists) << status.to_string();
}

json RealApiServer::must(Result<json> answer) {
  EXPECT_TRUE(answer.is_ok()) << answer.status().to_string();
  return answer ? *answer : json::object();
}

}  // namespace shima
