// What a volume client must know of a volume to find its blocks, and where it learns that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "common/types/ids.h"

namespace shima {

enum class AckPolicy : uint8_t { kLocal = 1, kAll = 2 };
enum class MemberKind : uint8_t { kPrimary = 1, kSecondary = 2, kRemote = 3 };

// A member of a replica group, with the address of its server's data streams on the client network.
struct MemberLayout {
  ServerId server;
  std::string server_name;  // SITE/core-N, for messages
  std::string site;
  MemberKind kind = MemberKind::kPrimary;
  std::string host;  // IPv4 or IPv6 literal, or a DNS name; empty: unknown (its server is not registered)
  uint16_t port = 0;
};

struct GroupLayout {
  Term term;
  std::vector<MemberLayout> members;  // the primary first
};

struct VolumeLayout {
  std::string name;
  VolumeId volume;
  ConfigVersion config_version;
  std::string home;                // site
  std::vector<std::string> sites;  // with a copy, the home first
  AckPolicy ack = AckPolicy::kLocal;
  uint32_t block_size = 1u << 20;  // bytes, a power of two
  uint64_t size_bytes = 0;         // quota of its files' bytes; 0: not set
  uint64_t max_inodes = 0;         // quota; 0: none
  uint64_t life = 1;
  bool published_only = false;  // who has none of these may not use it, but for registered access servers
  std::vector<uint64_t> publications;  // ids
  std::vector<GroupLayout> groups;     // the data groups, by index
  bool has_metadata = false;           // volumes made before there were files have none
  GroupLayout metadata;                // index of this group: groups.size()
};

// Reads a volume's layout. A blocking call from a thread of the client's own; several clients may share a
// source, which then takes calls from several threads at a time.
class LayoutSource {
 public:
  virtual ~LayoutSource() = default;
  // kNotFound: there is no such volume: the client gives up. Any other error: it tries again.
  virtual Result<VolumeLayout> fetch(const std::string& name) = 0;
};

}  // namespace shima
