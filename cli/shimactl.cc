#include "cli/shimactl.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/exit_codes.h"
#include "cli/session.h"
#include "cli/size_text.h"
#include "common/release/release.h"

namespace shima {
namespace {

std::string check_endpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  const bool has_port = colon != std::string::npos && colon > 0 && colon + 1 < text.size() &&
                        text.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  return has_port ? "" : "wanted HOST:PORT or [IPV6]:PORT, found '" + text + "'";
}

void add_global_options(CLI::App& app, Session& session) {
  app.add_option("--endpoints", session.endpoints,
                 "Core servers' control planes, tried in order: HOST:PORT,...")
      ->delimiter(',')
      ->envname("SHIMA_ENDPOINTS")
      ->check(check_endpoint)
      ->type_name("HOST:PORT,...");
  app.add_option("--timeout", session.timeout, "Time for one call to the control plane: 10, 500ms, 1min")
      ->type_name("TIME")
      ->default_str("10s")
      ->check([](const std::string& text) {
        auto ms = parse_duration_ms(text);
        return ms ? std::string() : ms.status().message();
      });
  app.add_option("-o,--output", session.format_name, "table for people, json for programs")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

int usage_error(std::ostream& err, const std::string& message) {
  err << "shimactl: " << message << "\nRun with --help for more information.\n";
  return static_cast<int>(ExitCode::kUsage);
}

}  // namespace

int run_shimactl(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Session session{.out = out, .err = err};
  Action chosen;
  CLI::App app("Administers a Shima cluster: storage for virtual machines that live in several sites.",
               "shimactl");
  app.set_version_flag("--version", "shimactl " + software_version());
  app.fallthrough();
  app.require_subcommand(1);
  app.footer(kExitCodeHelp);
  add_global_options(app, session);
  add_cluster_commands(app, session, chosen);
  add_volume_commands(app, session, chosen);
  add_replication_commands(app, session, chosen);
  add_stats_commands(app, session, chosen);
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::ParseError& error) {
    return app.exit(error, out, err) == 0 ? 0 : static_cast<int>(ExitCode::kUsage);
  }
  if (session.endpoints.empty()) {
    return usage_error(err, "no core server to ask: give --endpoints HOST:PORT,... or set SHIMA_ENDPOINTS");
  }
  session.timeout_ms = parse_duration_ms(session.timeout).value();
  Status status = chosen();
  out.flush();
  if (!status) err << "shimactl: " << status.to_string() << '\n';
  return static_cast<int>(exit_code_of(status.code()));
}

}  // namespace shima
