// Records in etcd: JSON text <-> plain structs, with magic and version checks; keys; rules for names.
//
// Errors: kCorrupt with the key, what was found and what to do; kInvalidArgument for names.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
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
std::string access_key(std::string_view access_server_name);
std::string counter_key(std::string_view counter);
std::string software_key(std::string_view server_name);
std::string refusal_key(std::string_view server_name);
std::string formats_key();
std::string formats_gate_key();  // what a program must read to register: raised before formats_key()
inline constexpr std::string_view kServerIdCounter = "server-id";
inline constexpr std::string_view kVolumeIdCounter = "volume-id";
inline constexpr std::string_view kAccessIncarnationCounter = "access-incarnation";

enum class RecordType {
  kSite,
  kServer,
  kAlive,
  kVolume,
  kAccess,
  kCounter,
  kSoftware,
  kRefusal,
  kFormats,
  kOther
};
struct ParsedKey {
  RecordType type = RecordType::kOther;
  std::string name;  // what follows /shima/v1/TYPE/
};
ParsedKey parse_key(std::string_view key);

struct AliveInfo {
  ServerId id;
  Incarnation incarnation;
};

// A registered access server (R20).
struct AccessInfo {
  std::string name;  // SITE/access-N
  uint64_t incarnation = 0;
  EtcdRevision mod_revision;
};

// What a server runs, and which incarnation of it.
struct SoftwareInfo {
  std::string name;  // SITE/core-N
  Incarnation incarnation;
  ServerSoftware software;
};

// The newest formats that may be written in the cluster.
struct FormatsInfo {
  uint32_t level = 1;
  std::string raised_by;  // SITE/core-N
};

std::string encode_site(const SiteInfo& site);
std::string encode_server(const ServerInfo& server);
std::string encode_alive(const AliveInfo& alive);
std::string encode_volume(const VolumeInfo& volume);
std::string encode_access(const AccessInfo& access);
std::string encode_counter(uint64_t last);
std::string encode_software(const SoftwareInfo& software);
std::string encode_refusal(const RefusedStart& refused);
std::string encode_formats(const FormatsInfo& formats);

// The decoded name must be the key's. mod_revision comes from the item. A member that is not known is passed
// over at the top of a record, where a change of a volume's keeps it; within a nested message, and in a
// counter, it is kCorrupt.
Result<SiteInfo> decode_site(const EtcdKeyValue& item);
Result<ServerInfo> decode_server(const EtcdKeyValue& item);
Result<AliveInfo> decode_alive(const EtcdKeyValue& item);
Result<VolumeInfo> decode_volume(const EtcdKeyValue& item);
Result<AccessInfo> decode_access(const EtcdKeyValue& item);
Result<uint64_t> decode_counter(const EtcdKeyValue& item);
Result<SoftwareInfo> decode_software(const EtcdKeyValue& item);
Result<RefusedStart> decode_refusal(const EtcdKeyValue& item);
Result<FormatsInfo> decode_formats(const EtcdKeyValue& item);

Status check_volume_name(std::string_view name);  // 1 to 63 of [a-z0-9.-], first a letter or a digit
Status check_site_name(std::string_view name);    // 1 to 63 of [a-z0-9-], first a letter or a digit
Status check_server_name(std::string_view name, std::string_view site);  // SITE/core-N
Status check_access_name(std::string_view name);                         // SITE/access-N
// What a change asks for and what a record has: names, addresses and their number. The id is not looked at.
Status check_publication(const PublicationInfo& publication);
// The number of labels, their keys and their values.
Status check_labels(const std::map<std::string, std::string>& labels);
// An IPv4 or IPv6 literal as inet_ntop(3) writes it; nullopt: it is none.
std::optional<std::string> usual_form_of_address(const std::string& address);

}  // namespace shima
