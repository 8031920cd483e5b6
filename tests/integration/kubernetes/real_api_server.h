// What the checks need of the real API server that tests/e2e/kube_client_test.py has started.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "common/kubernetes/api_client.h"

namespace shima {

inline const ResourceKind kNamespace{"v1", "Namespace", "namespaces", false};
inline const ResourceKind kConfigMap{"v1", "ConfigMap", "configmaps"};
inline const ResourceKind kNode{"v1", "Node", "nodes", false};
inline const ResourceKind kPod{"v1", "Pod", "pods"};
inline constexpr char kSpace[] = "client-check";  // the namespace of everything here

// From the kubeconfig that this variable names; the process ends if there is none.
ApiAccess access_from(const char* variable = "SHIMA_ADMIN_KUBECONFIG");

nlohmann::json config_map(const std::string& name, const std::string& value,
                          const nlohmann::json& labels = nlohmann::json::object());

bool soon(const std::function<bool()>& condition, int within_ms = 60'000);

// With the namespace there, and an administrator's client.
class RealApiServer : public testing::Test {
 protected:
  void SetUp() override;
  nlohmann::json must(Result<nlohmann::json> answer);  // or the test fails

  ApiClient client_{access_from()};
};

}  // namespace shima
