// shimactl stats [SERVER]
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/record_text.h"
#include "cli/session.h"
#include "cli/size_text.h"

namespace shima {
namespace {

using nlohmann::ordered_json;
using stats::v1::GetStatsReply;
using stats::v1::Statistic;

std::string value_text(const Statistic& statistic) {
  if (statistic.unit() == "bytes" && statistic.value() >= 1024) {
    return format_bytes(static_cast<uint64_t>(statistic.value()));
  }
  char text[64];
  std::snprintf(text, sizeof text, statistic.value() == std::floor(statistic.value()) ? "%.0f" : "%.2f",
                statistic.value());
  return text;
}

template <typename Values>
ordered_json values_json(const Values& values) {
  ordered_json list = ordered_json::array();
  for (const Statistic& v : values)
    list.push_back({{"name", v.name()}, {"unit", v.unit()}, {"value", v.value()}});
  return list;
}

void print_stats_json(Session& session, const GetStatsReply& reply) {
  ordered_json disks = ordered_json::array();
  for (const auto& disk : reply.disks()) {
    disks.push_back({{"path", disk.path()},
                     {"total_bytes", disk.total_bytes()},
                     {"free_bytes", disk.free_bytes()},
                     {"file_system", disk.file_system()},
                     {"values", values_json(disk.values())}});
  }
  print_json(session.out, {{"server", reply.server()},
                           {"incarnation", reply.incarnation()},
                           {"uptime_ms", reply.uptime_ms()},
                           {"values", values_json(reply.values())},
                           {"disks", disks}});
}

void print_stats_table(Session& session, const GetStatsReply& reply) {
  session.out << reply.server() << ", incarnation " << reply.incarnation() << ", up for "
              << format_seconds(static_cast<double>(reply.uptime_ms()) / 1000) << "\n\n";
  Table table({{"WHERE"}, {"NAME"}, {"VALUE", Align::kRight}, {"UNIT"}});
  for (const Statistic& value : reply.values()) {
    table.add_row({"process", value.name(), value_text(value), value.unit()});
  }
  for (const auto& disk : reply.disks()) {
    table.add_row({disk.path(), "total", format_bytes(disk.total_bytes()), "bytes"});
    table.add_row({disk.path(), "free", format_bytes(disk.free_bytes()), "bytes"});
    for (const Statistic& value : disk.values()) {
      table.add_row({disk.path(), value.name(), value_text(value), value.unit()});
    }
  }
  table.print(session.out);
}

// The control plane of the server of that name.
Result<std::string> endpoint_of(Session& session, const std::string& server) {
  auto reply = session.control().list_servers({});
  if (!reply) return reply.status();
  std::vector<std::string> names;
  for (const auto& known : reply->servers()) {
    if (known.record().name() == server) return endpoint_text(known.record().networks().control());
    names.push_back(known.record().name());
  }
  return {Code::kNotFound, "there is no server " + server + "; there are: " + join(names, ", ")};
}

Status show_stats(Session& session, const std::string& server) {
  Result<GetStatsReply> reply = Status(Code::kInternal, "not asked");
  if (server.empty()) {
    reply = session.control().get_stats({});
  } else {
    auto endpoint = endpoint_of(session, server);
    if (!endpoint) return endpoint.status();
    if (endpoint->empty()) {
      return {Code::kFailedPrecondition,
              "server " + server + " has not registered a control address; is it running?"};
    }
    reply = ControlClient(session.options({*endpoint})).get_stats({});
  }
  if (!reply) return reply.status();
  session.json() ? print_stats_json(session, *reply) : print_stats_table(session, *reply);
  return Status::ok();
}

}  // namespace

void add_stats_commands(CLI::App& app, Session& session, Action& chosen) {
  auto server = std::make_shared<std::string>();
  auto* stats = app.add_subcommand("stats", "Counters of one core server and of its disks");
  stats->add_option("server", *server, "SITE/core-N (default: the server that answers)")->type_name("SERVER");
  stats->callback(
      [&session, &chosen, server] { chosen = [&session, server] { return show_stats(session, *server); }; });
}

}  // namespace shima
