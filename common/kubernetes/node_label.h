// A label of a Kubernetes node, with words that help when it is not there.
#pragma once

#include <string>

#include "common/kubernetes/api_client.h"
#include "common/status/status.h"

namespace shima {

// kNotFound also if the node does not have it; the message names those that it has. Else as ApiClient::get.
Result<std::string> node_label(ApiClient& client, const std::string& node, const std::string& key);

}  // namespace shima
