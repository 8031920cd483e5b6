// Records in etcd: JSON text <-> plain structs, with magic and version checks; keys; rules for names.
//
// Errors: kCorrupt with the key, what was found and what to do; kInvalidArgument for names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

inline constexpr std::string_view kClusterPrefix = "/shima/v1/";
inline constexpr uint32_t kRecordVersion = 1;  // newest format of all records that is read and written here

std::string site_key(std::string_view site);
std::string server_key(std::string_view server_name);
std::string alive_key(std::string_view server_name);
std::string volume_key(std::string_view volume);
std::string counter_key(std::string_view counter);
inline constexpr std::string_view kServerIdCounter = "server-id";
inline constexpr std::string_view kVolumeIdCounter = "volume-id";

enum class RecordType { kSite, kServer, kAlive, kVolume, kCounter, kOther };
struct ParsedKey {
  RecordType type = RecordType::kOther;
  std::string name;  // what follows /shima/v1/TYPE/
};
ParsedKey parse_key(std::string_view key);

struct AliveInfo {
  ServerId id;
  Incarnation incarnation;
};

std::string encode_site(const SiteInfo& site);
std::string encode_server(const ServerInfo& server);
std::string encode_alive(const AliveInfo& alive);
std::string encode_volume(const VolumeInfo& volume);
std::string encode_counter(uint64_t last);

// The decoded name must be the key's. mod_revision comes from the item.
Result<SiteInfo> decode_site(const EtcdKeyValue& item);
Result<ServerInfo> decode_server(const EtcdKeyValue& item);
Result<AliveInfo> decode_alive(const EtcdKeyValue& item);
Result<VolumeInfo> decode_volume(const EtcdKeyValue& item);
Result<uint64_t> decode_counter(const EtcdKeyValue& item);

Status check_volume_name(std::string_view name);  // 1 to 63 of [a-z0-9.-], first a letter or a digit
Status check_site_name(std::string_view name);    // 1 to 63 of [a-z0-9-], first a letter or a digit
Status check_server_name(std::string_view name, std::string_view site);  // SITE/core-N

}  // namespace shima
