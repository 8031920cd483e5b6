// shima-etcd-guard: the init container of etcd's pods; ends with 0 if the member may start with what its
// directory holds (member_start.h), with 1 and words if not, with 2 if its options are wrong. Writes only the
// member's name, and the uid of its claim, beside the data, so that no other member starts with it.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "common/config/options.h"
#include "common/program/server_program.h"
#include "operator/etcd_guard/member_start.h"

namespace shima {
namespace {

namespace fs = std::filesystem;

constexpr char kProgram[] = "shima-etcd-guard";
constexpr char kSummary[] = "Says whether a member of etcd may start with what its data directory holds.";
constexpr char kMarker[] = "shima-member";
constexpr size_t kMostBytes = 4096;

const std::vector<OptionSpec>& option_specs() {
  static const std::vector<OptionSpec> specs = {
      {.name = "member", .help = "Name of the member: the pod's.", .required = true},
      {.name = "directory",
       .help = "Directory of the member's disk; etcd's data is in `data` below it.",
       .required = true},
      {.name = "begun", .help = "Directory with the files of ConfigMap shima-etcd-begun.", .required = true}};
  return specs;
}

// Empty if there is none. Trailing newlines are not part of it.
Result<std::string> read_text(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path, error) && !error) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::string text(kMostBytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (error || file.bad() || !file.is_open())
    return Status(Code::kIo, path.string() + ": cannot be read; look at the rights of the directory");
  text.resize(static_cast<size_t>(file.gcount()));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// In one step: half a marker would be that of another member.
Status write_marker(const fs::path& path, const std::string& marker) {
  const fs::path next = path.string() + ".next";
  std::ofstream file(next, std::ios::binary | std::ios::trunc);
  file << marker << '\n';
  file.close();
  std::error_code error;
  if (file) fs::rename(next, path, error);
  if (file && !error) return Status::ok();
  return {Code::kIo, path.string() + ": cannot be written; the directory must belong to the pod's user"};
}

Status guard(const Config& config) {
  const fs::path directory = config.text("directory"), begun = config.text("begun");
  const std::string member = config.text("member");
  if (member.empty() || member.find('/') != std::string::npos)
    return {Code::kInvalidArgument, "--member: found \"" + member + "\", wanted a pod's name"};
  auto marker = read_text(directory / kMarker), mark = read_text(begun / member),
       state = read_text(begun / "initial-cluster-state");
  for (const auto* each : {&marker, &mark, &state})
    if (!*each) return each->status();
  std::error_code error;
  const fs::path data = directory / "data" / "member";  // etcd's own name for it
  const bool has_data = fs::exists(data, error) && !fs::is_empty(data, error);
  if (error) return {Code::kIo, data.string() + ": " + error.message()};
  const MemberStart start{member, has_data, *marker, *mark, *state};
  SHIMA_RETURN_IF_ERROR(may_start(start));
  const std::string wanted = member_marker(start);
  // A name alone, where the mark is not there, takes no uid away.
  const bool is_known = *marker == wanted || (wanted == member && !marker->empty());
  return is_known ? Status::ok() : write_marker(directory / kMarker, wanted);
}

int run(int argc, const char* const* argv) {
  CommandLine line;
  const auto answered =
      server_program::read_command_line(kProgram, kSummary, option_specs(), argc, argv, line);
  if (answered) return *answered;
  const Status status = guard(line.config);
  if (!status) fprintf(stderr, "%s: %s\n", kProgram, status.message().c_str());
  return status ? 0 : 1;
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::run(argc, argv); }
