// The cluster's configuration as plain data: what etcd's records say, without etcd or protobuf.
//
// Values only; a ClusterState is never changed once a ClusterView has handed it out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/types/ids.h"
#include "coreserver/replication/group_config.h"

namespace shima {

inline constexpr uint32_t kDefaultBlockSize = 1u << 20;  // bytes
inline constexpr uint32_t kMinBlockSize = 64u << 10;     // bytes; the greatest is kMaxBlockSize (record.h)
inline constexpr uint32_t kDefaultGroups = 8;            // W
inline constexpr uint32_t kDefaultCopies = 3;            // n, if there are as many sites

struct SiteInfo {
  std::string name;
  std::map<std::string, std::string> labels;
  std::vector<std::string> cidrs;
  EtcdRevision mod_revision;
  bool operator==(const SiteInfo&) const = default;
};

// Where others reach a server on one network.
struct NetworkEndpoint {
  std::string address;  // IPv4, IPv6 (without brackets) or a DNS name
  uint16_t port = 0;
  bool operator==(const NetworkEndpoint&) const = default;
};
std::string to_string(const NetworkEndpoint& e);  // HOST:PORT or [IPV6]:PORT

struct ServerNetworks {
  NetworkEndpoint client, storage, wan, control;
  bool operator==(const ServerNetworks&) const = default;
};

// What a core server runs. The defaults are those of programs that are too old to say.
struct ServerSoftware {
  std::string version;         // "0.1.0"; empty: too old to say
  uint32_t release = 1;        // counts minor releases: neighbours may run together
  uint32_t formats_level = 1;  // the newest formats that it reads
  uint32_t protocol_min = 1;   // of data streams
  uint32_t protocol_max = 1;
  bool operator==(const ServerSoftware&) const = default;
};

// A core server that was started lately and may not run in this cluster.
struct RefusedStart {
  std::string server;   // SITE/core-N
  std::string version;  // of what was started
  std::string reason;   // for people
  bool operator==(const RefusedStart&) const = default;
};

struct ServerInfo {
  ServerId id;
  std::string name;  // SITE/core-N
  std::string site;
  std::string failure_domain;
  Incarnation incarnation;  // the newest one
  ServerNetworks networks;
  uint64_t disk_total_bytes = 0;
  bool alive = false;       // the newest incarnation holds its lease
  ServerSoftware software;  // of the newest incarnation; of a record of its own
  EtcdRevision mod_revision;
  bool operator==(const ServerInfo&) const = default;
};

struct MemberInfo {
  ServerId server;
  Incarnation incarnation;  // the one that may act; 0: none yet
  replication::Role role = replication::Role::kNone;
  bool whole = true;
  bool in_sync = true;
  std::string site;
  bool operator==(const MemberInfo&) const = default;
};

struct GroupInfo {
  GroupIndex index;
  Term term;
  std::vector<MemberInfo> members;  // primary, secondary, remotes
  bool metadata = false;            // the volume's metadata group: the last one

  const MemberInfo* find(ServerId server) const;
  bool operator==(const GroupInfo&) const = default;
};

// A node that may use a volume with published_only.
struct PublicationInfo {
  std::string node;  // of the container orchestrator
  uint64_t id = 0;   // the config_version that made it
  std::string site;
  bool read_only = false;
  std::vector<std::string> addresses;  // IP literals, as inet_ntop(3) writes them; of the node's NFS client
  int64_t since_ms = 0;                // since 1970, for people
  bool operator==(const PublicationInfo&) const = default;
};

inline constexpr size_t kMaxPublications = 1000;  // of a volume: its record must fit etcd's 1.5 MiB
inline constexpr size_t kMaxPublicationAddresses = 8;
inline constexpr size_t kMaxNodeNameBytes = 253;

inline constexpr size_t kMaxLabels = 16;  // of a volume
inline constexpr size_t kMaxLabelKeyBytes = 63;
inline constexpr size_t kMaxLabelValueBytes = 256;

struct VolumeInfo {
  std::string name;
  VolumeId id;
  uint64_t life = 1;
  std::string home;
  std::vector<std::string> sites;  // the home first
  replication::AckMode ack = replication::AckMode::kLocal;
  uint32_t block_size = kDefaultBlockSize;  // bytes
  uint64_t size_bytes = 0;                  // quota of its files' bytes; 0 until set
  uint64_t max_inodes = 0;                  // quota; 0: none
  std::vector<GroupInfo> groups;            // groups[i].index == i; the data groups, then the metadata group
  ConfigVersion config_version;
  bool deleting = false;
  std::vector<ServerId> dropped_by;
  bool published_only = false;                // only `publications` and registered access servers may use it
  std::vector<PublicationInfo> publications;  // by node, each once
  std::map<std::string, std::string> labels;  // what its maker wanted remembered; nothing is decided by it
  // Members of the record that this program does not know, as JSON ("\"key\":value,..."): a newer one wrote
  // them, and a change of the record keeps them.
  std::string unknown_fields;
  EtcdRevision mod_revision;  // of the record; not part of it

  uint32_t data_groups() const;  // W
  bool has_member(ServerId server) const;
  std::vector<ServerId> member_servers() const;  // each once, ascending
  const PublicationInfo* publication_of(const std::string& node) const;
  bool operator==(const VolumeInfo&) const = default;
};

// What the PURE replica group wants to know of its volume's record. The index must exist.
replication::GroupConfig group_config_of(const VolumeInfo& volume, GroupIndex index);

struct ClusterState {
  EtcdRevision revision;                  // everything up to it is in here
  std::map<std::string, SiteInfo> sites;  // by name
  std::map<ServerId, ServerInfo> servers;
  std::map<std::string, VolumeInfo> volumes;      // by name
  std::map<std::string, uint64_t> access;         // registered access servers, SITE/access-N -> incarnation
  std::map<std::string, RefusedStart> refused;    // by server
  uint32_t formats_level = 1;                     // the newest formats that may be written
  std::map<std::string, std::string> unreadable;  // key -> why: records of a wrong magic, version or content

  const ServerInfo* server_named(const std::string& name) const;
  const VolumeInfo* volume_with(VolumeId id) const;
};

}  // namespace shima
