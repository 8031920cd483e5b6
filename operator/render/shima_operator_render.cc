// shima-operator-render: prints what the operator would make of a ShimaCluster; with --print-options, alone,
// the declared options that charts/render writes into the charts' values. Exit codes: 0 printed, 1 a file
// cannot be read or the ShimaCluster is wrong, 2 wrong options.
#include <cstdio>
#include <fstream>
#include <sstream>

#include "common/config/options.h"
#include "common/program/server_program.h"
#include "operator/render/declared_options.h"
#include "operator/render/json_text.h"
#include "operator/render/rendering.h"
#include "operator/render/yaml_document.h"

namespace shima {
namespace {

using Json = nlohmann::json;
using Type = OptionType;

constexpr char kProgram[] = "shima-operator-render";
constexpr char kSummary[] =
    "Prints the Kubernetes objects that the operator would make of a ShimaCluster, as a List in JSON. With "
    "--print-options alone: the options that the charts' values may have, as JSON.";
constexpr size_t kMaxFileBytes = 64u << 20;

const std::vector<OptionSpec>& option_specs() {
  static const std::vector<OptionSpec> specs = {
      {.name = "cluster", .help = "File with the ShimaCluster, YAML or JSON.", .required = true},
      {.name = "nodes",
       .help = "File with the Nodes: what `kubectl get nodes -o json` prints.",
       .required = true},
      {.name = "existing",
       .help = "File with the StatefulSets and ConfigMaps of a cluster that is there already (`kubectl get "
               "statefulsets,configmaps -o json`): what may not change any more is taken from them."},
      {.name = "api-kinds",
       .type = Type::kStringList,
       .max = 16,
       .help = "Optional kinds that the API server knows, as in monitoring.coreos.com/v1/ServiceMonitor."},
      {.name = "namespace",
       .default_value = "shima-system",
       .help = "Namespace of a ShimaCluster that does not say one."}};
  return specs;
}

Result<std::vector<Json>> read_documents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {Code::kNotFound, path + ": cannot be opened"};
  std::string text(kMaxFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.size() > kMaxFileBytes) return {Code::kInvalidArgument, path + ": found more than 64 MiB"};
  // kubectl's answers in JSON may be large: not a case for the YAML reader.
  const Json parsed = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object()) return std::vector<Json>{parsed};
  return parse_yaml_documents(text, path);
}

Status print(const Config& config) {
  RenderingInputs inputs;
  for (auto [option, documents] : {std::pair{"cluster", &inputs.cluster}, std::pair{"nodes", &inputs.nodes},
                                   std::pair{"existing", &inputs.existing}}) {
    if (config.text(option).empty()) continue;
    auto read = read_documents(config.text(option));
    if (!read) return read.status();
    *documents = std::move(*read);
  }
  inputs.api_kinds.insert(config.list("api-kinds").begin(), config.list("api-kinds").end());
  inputs.name_space = config.text("namespace");
  const auto desired = render(inputs);
  if (!desired) return desired.status();
  for (const std::string& problem : desired->sites.problems)
    fprintf(stderr, "problem: %s\n", problem.c_str());
  for (const std::string& refused : desired->refused) fprintf(stderr, "refused: %s\n", refused.c_str());
  const Json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", desired->objects}};
  printf("%s\n", json_text(list).c_str());
  return Status::ok();
}

int run(int argc, const char* const* argv) {
  if (argc == 2 && std::string(argv[1]) == "--print-options") {
    printf("%s\n", json_text(declared_options()).c_str());
    return 0;
  }
  CommandLine line;
  const auto answered =
      server_program::read_command_line(kProgram, kSummary, option_specs(), argc, argv, line);
  if (answered) return *answered;
  const Status printed = print(line.config);
  if (!printed) fprintf(stderr, "%s: %s\n", kProgram, printed.message().c_str());
  return printed ? 0 : 1;
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::run(argc, argv); }
