// What the servers of a volume say about its replication, put together: PURE, from their answers alone.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "common/status/status.h"
#include "shima/cluster/v1/records.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

// One server's answer, or why there is none.
struct ServerAnswer {
  std::string server;  // SITE/core-N
  uint64_t server_id = 0;
  Result<replication::v1::ShowGroupsReply> reply;
};

// One member of one group: what its primary says of it, and what it says itself.
struct MemberRow {
  uint32_t group = 0;
  bool metadata = false;  // the volume's metadata group
  uint64_t term = 0;      // of the volume's record
  std::string site;
  std::string server;
  cluster::v1::MemberRole role = cluster::v1::MEMBER_ROLE_UNSPECIFIED;
  bool reached = false;  // the member's server answered
  bool serving = false;  // primary
  std::string state;     // in its own words
  bool known = false;    // the group's primary answered: the five below are its word
  bool connected = false;
  bool in_sync = false;
  bool whole = false;
  uint64_t lag_bytes = 0;
  double lag_seconds = 0;
  replication::v1::LogPosition committed;  // of the group; 0: unknown
  replication::v1::LogPosition durable;    // by the primary's word, or else the member's own; 0: unknown
  replication::v1::LogPosition applied, trimmed;  // the member's own
  uint64_t journal_bytes = 0, block_bytes = 0;
};

// All members that play one role at one site.
struct SiteRow {
  std::string site;
  cluster::v1::MemberRole role = cluster::v1::MEMBER_ROLE_UNSPECIFIED;
  uint32_t groups = 0;
  uint32_t known = 0;  // groups whose primary answered; the next three count among these
  uint32_t connected = 0, whole = 0, in_sync = 0;
  uint64_t lag_bytes = 0;                               // sum
  double lag_seconds = 0;                               // the greatest
  uint64_t committed_records = 0, durable_records = 0;  // sums of sequences over the groups
  uint64_t journal_bytes = 0, block_bytes = 0;          // data groups', of the servers that answered
  uint64_t metadata_bytes = 0;                          // journal and more of the metadata group, the same
  std::vector<std::string> unreachable;                 // servers
};

struct ReplicationReport {
  std::string volume, home, ack;
  std::vector<MemberRow> members;  // by group, in the record's order
  std::vector<SiteRow> sites;      // home primary, home secondary, then the other sites in the record's order
  struct Silent {
    std::string server, why;
  };
  std::vector<Silent> unreachable;
  bool complete() const { return unreachable.empty(); }
};

ReplicationReport make_report(const volume::v1::GetVolumeReply& volume,
                              const std::vector<ServerAnswer>& answers);

Table site_table(const ReplicationReport& report);
Table member_table(const ReplicationReport& report);
nlohmann::ordered_json report_json(const ReplicationReport& report);

}  // namespace shima
