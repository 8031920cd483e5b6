#include "cli/replication_report.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/record_text.h"
#include "cli/size_text.h"

namespace shima {
namespace {

using cluster::v1::MEMBER_ROLE_PRIMARY;
using nlohmann::ordered_json;
using replication::v1::GroupState;
using replication::v1::LogPosition;

using GroupsOfServer = std::map<uint32_t, const GroupState*>;
using AnswersById = std::map<uint64_t, GroupsOfServer>;

AnswersById index_answers(const std::vector<ServerAnswer>& answers) {
  AnswersById index;
  for (const ServerAnswer& answer : answers) {
    if (!answer.reply) continue;
    GroupsOfServer& groups = index[answer.server_id];
    for (const GroupState& group : answer.reply->groups()) groups[group.index()] = &group;
  }
  return index;
}

const GroupState* find(const AnswersById& answers, uint64_t server, uint32_t group) {
  auto of_server = answers.find(server);
  if (of_server == answers.end()) return nullptr;
  auto found = of_server->second.find(group);
  return found == of_server->second.end() ? nullptr : found->second;
}

// What the primary itself says; null if it did not answer or does not (yet) act as primary.
const GroupState* primary_of(const AnswersById& answers, const cluster::v1::Group& group) {
  for (const auto& member : group.members()) {
    if (member.role() != MEMBER_ROLE_PRIMARY) continue;
    const GroupState* state = find(answers, member.server_id(), group.index());
    return state && state->role() == MEMBER_ROLE_PRIMARY ? state : nullptr;
  }
  return nullptr;
}

void add_own_word(MemberRow& row, const GroupState& own) {
  row.serving = own.serving();
  row.state = own.state();
  row.durable = own.durable();
  row.applied = own.applied();
  row.trimmed = own.trimmed();
  row.journal_bytes = own.journal_bytes();
  row.block_bytes = own.block_bytes();
}

void add_primarys_word(MemberRow& row, const GroupState& primary, uint64_t server_id) {
  row.known = true;
  row.committed = primary.committed();
  if (row.role == MEMBER_ROLE_PRIMARY) {
    row.connected = row.whole = row.in_sync = true;
    return;
  }
  for (const auto& member : primary.members()) {
    if (member.server_id() != server_id) continue;
    row.connected = member.connected();
    row.whole = member.whole();
    row.in_sync = member.in_sync();
    row.lag_bytes = member.lag_bytes();
    row.lag_seconds = member.lag_seconds();
    if (member.durable().sequence() != 0) row.durable = member.durable();
  }
}

SiteRow& row_for(std::vector<SiteRow>& rows, const MemberRow& member) {
  for (SiteRow& row : rows) {
    if (row.site == member.site && row.role == member.role) return row;
  }
  SiteRow& row = rows.emplace_back();
  row.site = member.site;
  row.role = member.role;
  return row;
}

void add_member(SiteRow& row, const MemberRow& member) {
  ++row.groups;
  if (member.known) {
    ++row.known;
    row.connected += member.connected;
    row.whole += member.whole;
    row.in_sync += member.in_sync;
    row.lag_bytes += member.lag_bytes;
    row.lag_seconds = std::max(row.lag_seconds, member.lag_seconds);
  }
  row.committed_records += member.committed.sequence();
  row.durable_records += member.durable.sequence();
  // The metadata group keeps two full copies at home: its bytes among the others' would hide that second
  // copies of data are trimmed.
  if (member.metadata) {
    row.metadata_bytes += member.journal_bytes + member.block_bytes;
  } else {
    row.journal_bytes += member.journal_bytes;
    row.block_bytes += member.block_bytes;
  }
  if (!member.reached &&
      std::find(row.unreachable.begin(), row.unreachable.end(), member.server) == row.unreachable.end()) {
    row.unreachable.push_back(member.server);
  }
}

void sort_sites(std::vector<SiteRow>& rows, const cluster::v1::VolumeRecord& record) {
  const std::vector<std::string> order = words(record.sites());
  const auto rank = [&](const SiteRow& row) {
    return std::pair(std::find(order.begin(), order.end(), row.site) - order.begin(),
                     static_cast<int>(row.role));
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const SiteRow& a, const SiteRow& b) { return rank(a) < rank(b); });
}

// "all" or "7 of 8"; "unknown" if no primary answered.
std::string share(uint32_t count, const SiteRow& row) {
  if (row.known == 0) return "unknown";
  return count == row.groups ? "all" : std::to_string(count) + " of " + std::to_string(row.groups);
}

std::string position_text(const LogPosition& position) {
  if (position.sequence() == 0) return "";
  return std::to_string(position.term()) + ":" + std::to_string(position.sequence());
}

ordered_json position_json(const LogPosition& position) {
  return {{"term", position.term()}, {"sequence", position.sequence()}};
}

ordered_json member_json(const MemberRow& row) {
  ordered_json json = {{"group", row.group},
                       {"metadata", row.metadata},
                       {"term", row.term},
                       {"site", row.site},
                       {"server", row.server},
                       {"role", role_name(row.role)},
                       {"reached", row.reached},
                       {"serving", row.serving},
                       {"state", row.state},
                       {"known", row.known},
                       {"connected", nullptr},
                       {"whole", nullptr},
                       {"in_sync", nullptr},
                       {"lag_bytes", nullptr},
                       {"lag_seconds", nullptr},
                       {"committed", position_json(row.committed)},
                       {"durable", position_json(row.durable)},
                       {"applied", position_json(row.applied)},
                       {"trimmed", position_json(row.trimmed)},
                       {"journal_bytes", row.journal_bytes},
                       {"block_bytes", row.block_bytes}};
  if (row.known) {
    json["connected"] = row.connected;
    json["whole"] = row.whole;
    json["in_sync"] = row.in_sync;
    json["lag_bytes"] = row.lag_bytes;
    json["lag_seconds"] = row.lag_seconds;
  }
  return json;
}

ordered_json site_json(const SiteRow& row) {
  const bool known = row.known == row.groups;
  ordered_json json = {{"site", row.site},
                       {"role", role_name(row.role)},
                       {"groups", row.groups},
                       {"groups_known", row.known},
                       {"connected", row.connected},
                       {"whole", row.whole},
                       {"in_sync", row.in_sync},
                       {"lag_bytes", nullptr},
                       {"lag_seconds", nullptr},
                       {"committed_records", row.committed_records},
                       {"durable_records", row.durable_records},
                       {"journal_bytes", row.journal_bytes},
                       {"block_bytes", row.block_bytes},
                       {"metadata_bytes", row.metadata_bytes},
                       {"unreachable_servers", row.unreachable}};
  if (known) {
    json["lag_bytes"] = row.lag_bytes;
    json["lag_seconds"] = row.lag_seconds;
  }
  return json;
}

}  // namespace

ReplicationReport make_report(const volume::v1::GetVolumeReply& volume,
                              const std::vector<ServerAnswer>& answers) {
  const auto& record = volume.record();
  ReplicationReport report{.volume = record.name(), .home = record.home(), .ack = ack_name(record.ack())};
  std::map<uint64_t, std::string> names;
  for (const auto& server : volume.servers()) names[server.server_id()] = server.name();
  const AnswersById by_id = index_answers(answers);
  for (const auto& group : record.groups()) {
    const GroupState* primary = primary_of(by_id, group);
    for (const auto& member : group.members()) {
      MemberRow row{
          .group = group.index(), .term = group.term(), .site = member.site(), .role = member.role()};
      auto name = names.find(member.server_id());
      row.metadata = group.metadata();
      row.server = name != names.end() ? name->second : member.site() + "/?";
      row.reached = by_id.contains(member.server_id());
      if (const GroupState* own = find(by_id, member.server_id(), group.index())) add_own_word(row, *own);
      if (primary) add_primarys_word(row, *primary, member.server_id());
      add_member(row_for(report.sites, row), row);
      report.members.push_back(std::move(row));
    }
  }
  sort_sites(report.sites, record);
  for (const ServerAnswer& answer : answers) {
    if (!answer.reply) report.unreachable.push_back({answer.server, answer.reply.status().to_string()});
  }
  return report;
}

Table site_table(const ReplicationReport& report) {
  Table table({{"SITE"},
               {"ROLE"},
               {"CONNECTED"},
               {"WHOLE"},
               {"IN SYNC"},
               {"LAG", Align::kRight},
               {"LAG TIME", Align::kRight},
               {"DURABLE", Align::kRight},
               {"COMMITTED", Align::kRight},
               {"JOURNAL", Align::kRight},
               {"BLOCKS", Align::kRight},
               {"UNREACHABLE"}});
  for (const SiteRow& row : report.sites) {
    const bool known = row.known == row.groups;
    table.add_row({row.site, role_name(row.role), share(row.connected, row), share(row.whole, row),
                   share(row.in_sync, row), known ? format_bytes(row.lag_bytes) : "unknown",
                   known ? format_seconds(row.lag_seconds) : "unknown", std::to_string(row.durable_records),
                   known ? std::to_string(row.committed_records) : "unknown", format_bytes(row.journal_bytes),
                   format_bytes(row.block_bytes), join(row.unreachable, ",")});
  }
  return table;
}

Table member_table(const ReplicationReport& report) {
  Table table({{"GROUP", Align::kRight},
               {"TERM", Align::kRight},
               {"SERVER"},
               {"ROLE"},
               {"CONNECTED"},
               {"WHOLE"},
               {"LAG", Align::kRight},
               {"LAG TIME", Align::kRight},
               {"DURABLE", Align::kRight},
               {"COMMITTED", Align::kRight},
               {"APPLIED", Align::kRight},
               {"TRIMMED", Align::kRight},
               {"STATE"}});
  for (const MemberRow& row : report.members) {
    const std::string unknown = "unknown";
    table.add_row({std::to_string(row.group) + (row.metadata ? " metadata" : ""), std::to_string(row.term),
                   row.server, role_name(row.role), row.known ? yes_no(row.connected) : unknown,
                   row.known ? yes_no(row.whole) : unknown, row.known ? format_bytes(row.lag_bytes) : unknown,
                   row.known ? format_seconds(row.lag_seconds) : unknown, position_text(row.durable),
                   position_text(row.committed), position_text(row.applied), position_text(row.trimmed),
                   row.reached ? row.state : "unreachable"});
  }
  return table;
}

ordered_json report_json(const ReplicationReport& report) {
  ordered_json sites = ordered_json::array(), members = ordered_json::array(), silent = ordered_json::array();
  for (const SiteRow& row : report.sites) sites.push_back(site_json(row));
  for (const MemberRow& row : report.members) members.push_back(member_json(row));
  for (const auto& server : report.unreachable)
    silent.push_back({{"server", server.server}, {"error", server.why}});
  return {{"volume", report.volume},       {"home", report.home}, {"ack", report.ack},
          {"complete", report.complete()}, {"sites", sites},      {"members", members},
          {"unreachable", silent}};
}

}  // namespace shima
