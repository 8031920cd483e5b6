// PURE: where a pod's data is, in a ShimaCluster's spec: {hostPath: /srv/shima} or {claim: {storageClass:
// fast, size: 1Ti}}.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "operator/spec/shima_cluster_spec.h"

namespace shima {

inline constexpr char kPlainPathWanted[] =
    "an absolute path without //, /./, /../ or a slash at its end, and not the root";

// ECMAScript and RE2: what the host's own programs use, and folders whose owner must not change. The CRD has
// the same.
inline constexpr char kSystemDirectories[] =
    "^/(bin|boot|dev|etc|lib[0-9x]*|proc|root|run|sbin|sys|tmp|usr)(/|$)"
    "|^/(home|media|mnt|opt|srv|var)$|^/opt/cni(/|$)"
    "|^/var/(cache|lib|log|run|spool|tmp)$|^/var/(cache|log|run|spool|tmp)/"
    "|^/var/lib/(apt|cni|containerd|containers|crio|docker|dpkg|etcd|kubelet|rancher|systemd)(/|$)";

// Paths that are compared with others have one spelling.
bool is_plain_path(const std::string& path);

// kInvalidArgument: neither or both of the two, a path that is not plain, a size that is none.
Result<DataPlace> read_data_place(const nlohmann::json& object, const std::string& path);

// Two host paths that are the same, or one inside the other.
std::optional<std::pair<std::string, std::string>> overlapping_directories(
    const std::vector<DataPlace>& places);

}  // namespace shima
