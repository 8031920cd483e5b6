// shimactl replication show VOLUME
#include <CLI/CLI.hpp>
#include <chrono>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <thread>

#include "cli/record_text.h"
#include "cli/replication_report.h"
#include "cli/session.h"
#include "cli/size_text.h"

namespace shima {
namespace {

struct Show {
  std::string volume;
  std::string watch;
  bool groups = false;
  uint32_t count = 0;
};

ServerAnswer ask(const Session& session, const cluster::v1::ServerRecord& server, const std::string& volume) {
  const std::string endpoint = endpoint_text(server.networks().control());
  if (endpoint.empty()) {
    return {server.name(), server.server_id(),
            Status(Code::kUnavailable, "it has not registered a control address")};
  }
  replication::v1::ShowGroupsRequest request;
  request.set_volume(volume);
  return {server.name(), server.server_id(), ControlClient(session.options({endpoint})).show_groups(request)};
}

// All servers are asked at the same time, so that those that are away cost one timeout.
std::vector<ServerAnswer> ask_all(const Session& session, const volume::v1::GetVolumeReply& volume) {
  std::vector<std::future<ServerAnswer>> asked;
  for (const auto& server : volume.servers()) {
    asked.push_back(
        std::async(std::launch::async, [&] { return ask(session, server, volume.record().name()); }));
  }
  std::vector<ServerAnswer> answers;
  for (auto& answer : asked) answers.push_back(answer.get());
  return answers;
}

void print_report(Session& session, const ReplicationReport& report, const Show& wanted) {
  if (session.json()) {
    wanted.watch.empty() ? print_json(session.out, report_json(report))
                         : print_json_line(session.out, report_json(report));
    return;
  }
  session.out << "volume " << report.volume << ", home " << report.home << ", acknowledge " << report.ack
              << "\n";
  site_table(report).print(session.out);
  if (wanted.groups) {
    session.out << '\n';
    member_table(report).print(session.out);
  }
  for (const MemberRow& row : report.members) {
    if (row.role != cluster::v1::MEMBER_ROLE_PRIMARY || !row.reached || row.serving) continue;
    session.out << "group " << row.group << ": primary " << row.server << " does not serve: " << row.state
                << '\n';
  }
  for (const auto& silent : report.unreachable)
    session.out << silent.server << " did not answer: " << silent.why << '\n';
}

Status show_once(Session& session, const Show& wanted) {
  volume::v1::GetVolumeRequest request;
  request.set_name(wanted.volume);
  auto volume = session.control().get_volume(request);
  if (!volume) return volume.status();
  const std::vector<ServerAnswer> answers = ask_all(session, *volume);
  const ReplicationReport report = make_report(*volume, answers);
  print_report(session, report, wanted);
  session.out.flush();
  if (!answers.empty() && report.unreachable.size() == answers.size()) {
    return {Code::kUnavailable, "none of the servers of volume " + wanted.volume + " answered"};
  }
  return Status::ok();
}

Status show(Session& session, const Show& wanted) {
  if (wanted.watch.empty()) return show_once(session, wanted);
  const auto interval = std::chrono::milliseconds(parse_duration_ms(wanted.watch).value());
  auto next = std::chrono::steady_clock::now();
  Status status;
  for (uint32_t looks = 0; wanted.count == 0 || looks < wanted.count; ++looks) {
    if (looks > 0) {
      std::this_thread::sleep_until(next);
      if (!session.json()) session.out << '\n';
    }
    next = std::max(next + interval, std::chrono::steady_clock::now());
    status = show_once(session, wanted);
    if (status.code() == Code::kNotFound) return status;
    // Who watches wants to see the cluster come back.
    if (!status.is_ok()) session.err << "shimactl: " << status.to_string() << std::endl;
  }
  return status;
}

}  // namespace

void add_replication_commands(CLI::App& app, Session& session, Action& chosen) {
  auto* replication = app.add_subcommand("replication", "How far the copies of a volume are");
  replication->require_subcommand(1);
  auto wanted = std::make_shared<Show>();
  auto* command = replication->add_subcommand(
      "show",
      "For each site: lag in bytes and time, durable position, whole, in sync, connected. Asks every server "
      "of "
      "the volume. DURABLE and COMMITTED count log records, summed over the volume's groups.");
  command->add_option("volume", wanted->volume, "Name of the volume")->required()->type_name("VOLUME");
  command->add_flag("--groups", wanted->groups, "Also a line for each member of each group");
  command
      ->add_option("--watch", wanted->watch,
                   "Look again every INTERVAL: 2, 500ms, 1min; with -o json a line each")
      ->check([](const std::string& text) {
        auto ms = parse_duration_ms(text);
        return ms ? std::string() : ms.status().message();
      })
      ->type_name("INTERVAL");
  command->add_option("--count", wanted->count, "With --watch: end after so many looks (default: never)")
      ->check(CLI::Range(1u, 1'000'000'000u))
      ->type_name("N");
  command->callback(
      [&session, &chosen, wanted] { chosen = [&session, wanted] { return show(session, *wanted); }; });
}

}  // namespace shima
