// Records of the cluster as words and JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "shima/cluster/v1/records.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

std::string ack_name(cluster::v1::AckMode ack);       // local, all
std::string role_name(cluster::v1::MemberRole role);  // primary, secondary, remote
std::string endpoint_text(
    const cluster::v1::Endpoint& endpoint);  // HOST:PORT, [IPV6]:PORT; empty if there is none

template <typename Repeated>
std::vector<std::string> words(const Repeated& repeated) {
  return {repeated.begin(), repeated.end()};
}

nlohmann::ordered_json site_json(const cluster::v1::SiteRecord& site);
nlohmann::ordered_json server_json(const cluster::v1::ServerRecord& server);
nlohmann::ordered_json publication_json(const cluster::v1::Publication& publication);
nlohmann::ordered_json volume_json(const cluster::v1::VolumeRecord& volume);  // with its groups
nlohmann::ordered_json volume_json(const volume::v1::VolumeSummary& volume);

}  // namespace shima
