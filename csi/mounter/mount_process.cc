#include "csi/mounter/mount_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "csi/host/bounded_call.h"

namespace shima {
namespace {

constexpr size_t kKeptLogBytes = 64 << 10;

bool consists_of(const std::string& text, const char* others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view(others).find(c) != std::string::npos;
  });
}

// The child, between fork and exec: system calls only. It keeps no descriptor of another child's pipe, or
// that one would never see the mounter's end.
[[noreturn]] void become(char* const* arguments, int log, int go) {
  setsid();
  if (dup2(go, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) _exit(126);
  close_range(3, ~0u, 0);
  char word = 0;
  if (read(0, &word, 1) != 1) _exit(126);
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, 0) < 0 || close(null) != 0) _exit(126);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  execv(arguments[0], arguments);
  _exit(127);
}

void end_unrecorded(pid_t pid) {
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
}

}  // namespace

Status check_mount_request(const MountRecord& wanted, const std::vector<std::string>& roots) {
  SHIMA_RETURN_IF_ERROR(check_path_below("path", wanted.path, roots));
  if (wanted.volume.empty() || wanted.volume.size() > 63 || !consists_of(wanted.volume, "-.")) {
    return {Code::kInvalidArgument, "volume: wanted the name of a volume, 1 to 63 characters [a-z0-9.-]"};
  }
  const auto allowed = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == '_';
  };
  if (wanted.node.size() > 253 || !std::all_of(wanted.node.begin(), wanted.node.end(), allowed)) {
    return {Code::kInvalidArgument, "node: wanted at most 253 characters [A-Za-z0-9._-]"};
  }
  if (wanted.publication != 0 && wanted.node.empty()) {
    return {Code::kInvalidArgument, "node is missing: a publication is one node's"};
  }
  return {};
}

std::vector<std::string> mount_command(const MounterOptions& options, const MountRecord& wanted) {
  std::string endpoints;
  for (const std::string& endpoint : options.core_endpoints)
    endpoints += (endpoints.empty() ? "" : ",") + endpoint;
  std::vector<std::string> command = {
      options.accessserver_path, "--name=" + options.site + "/mount-" + mount_id(wanted.path),
      "--core.endpoints=" + endpoints, "--mount=" + wanted.path, "--volume=" + wanted.volume};
  if (wanted.read_only) command.push_back("--read_only=true");
  if (!wanted.node.empty() && wanted.publication != 0) {
    command.push_back("--node=" + wanted.node);
    command.push_back("--publication=" + std::to_string(wanted.publication));
  }
  return command;
}

Result<ProcessIdentity> start_mount_process(const std::vector<std::string>& command,
                                            const std::string& log_file,
                                            const std::function<Status(const ProcessIdentity&)>& recorded) {
  const OwnedFd log(
      open(log_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!log) return status_of_errno("make " + log_file, errno);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return status_of_errno("make a pipe", errno);
  const OwnedFd waiting(ends[0]);
  const OwnedFd go(ends[1]);
  std::vector<std::string> words = command;
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return status_of_errno("start a process", errno);
  if (pid == 0) become(arguments.data(), log.get(), waiting.get());
  const auto process = identify_process(pid);
  if (!process) {
    end_unrecorded(pid);
    return Status(Code::kIo, "cannot read /proc of a process just started; is /proc mounted?");
  }
  if (const Status status = recorded(*process); !status.is_ok()) {
    end_unrecorded(pid);
    return status;
  }
  if (write(go.get(), "g", 1) != 1) {
    end_unrecorded(pid);
    return Status(Code::kIo, "the process ended before it began");
  }
  return *process;
}

std::string end_of_file(const std::string& path, size_t bytes) {
  const OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat found {};
  if (!file || fstat(file.get(), &found) != 0) return "";
  const off_t begin = std::max<off_t>(0, found.st_size - static_cast<off_t>(bytes));
  std::string text(bytes, '\0');
  const ssize_t count = pread(file.get(), text.data(), text.size(), begin);
  text.resize(count > 0 ? static_cast<size_t>(count) : 0);
  if (begin > 0) text.erase(0, text.find('\n') == std::string::npos ? 0 : text.find('\n') + 1);
  for (char& c : text) {
    if (c != '\n' && (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f)) c = '?';
  }
  return text;
}

void limit_log(const std::string& path, uint64_t most_bytes) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0 || static_cast<uint64_t>(found.st_size) <= most_bytes) return;
  const std::string kept = end_of_file(path, kKeptLogBytes);
  const OwnedFd file(open(path.c_str(), O_WRONLY | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!file || write(file.get(), kept.data(), kept.size()) < 0) return;
}

}  // namespace shima
