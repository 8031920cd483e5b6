// shima-nfsclient: an NFSv3 client for tests and hack/quickstart, where the kernel has none.
#include <nfsc/libnfs.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/tools/nfs/nfs_session.h"
#include "tests/tools/nfs/nfs_transfer.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  NfsTarget target;
  std::string path, other, local;
  TransferOptions transfer;
  WriteLoop loop;
  uint64_t count = 1000, patience_s = 60, size = 0;
  uint32_t mode = 0755;
};

Status print_attributes(NfsSession& session, const std::string& path) {
  nfs_stat_64 st{};
  SHIMA_RETURN_IF_ERROR(
      session.call("stat of " + path, [&](nfs_context* nfs) { return nfs_lstat64(nfs, path.c_str(), &st); }));
  const ordered_json line = {{"path", path},
                             {"inode", st.nfs_ino},
                             {"mode", st.nfs_mode},
                             {"nlink", st.nfs_nlink},
                             {"uid", st.nfs_uid},
                             {"gid", st.nfs_gid},
                             {"bytes", st.nfs_size},
                             {"used_bytes", st.nfs_used},
                             {"mtime_ns", st.nfs_mtime * 1'000'000'000 + st.nfs_mtime_nsec},
                             {"ctime_ns", st.nfs_ctime * 1'000'000'000 + st.nfs_ctime_nsec}};
  std::printf("%s\n", line.dump().c_str());
  return Status::ok();
}

Status list_directory(NfsSession& session, const std::string& path) {
  nfsdir* directory = nullptr;
  ordered_json names = ordered_json::array();
  SHIMA_RETURN_IF_ERROR(session.call(
      "listing " + path, [&](nfs_context* nfs) { return nfs_opendir(nfs, path.c_str(), &directory); }));
  SHIMA_RETURN_IF_ERROR(session.call("listing " + path, [&](nfs_context* nfs) {
    while (const nfsdirent* entry = nfs_readdir(nfs, directory)) {
      const std::string name = entry->name;
      if (name != "." && name != "..")
        names.push_back({{"name", name}, {"inode", entry->inode}, {"bytes", entry->size}});
    }
    nfs_closedir(nfs, directory);
    return 0;
  }));
  std::printf("%s\n", ordered_json({{"path", path}, {"entries", names}}).dump().c_str());
  return Status::ok();
}

using Command = std::function<Status(NfsSession&)>;

class Program {
 public:
  Program() {
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.footer(
        "Prints JSON. Exit codes: 0 done, 1 not possible, 2 wrong usage, 4 not found, 5 exists already, 7 no "
        "space, 9 wrong bytes.");
    app_.add_option("--server", a_.target.servers, "HOST:PORT of access servers, tried in order")
        ->delimiter(',')
        ->required();
    app_.add_option("--volume", a_.target.volume, "Name of the volume")->required();
    app_.add_option("--timeout-ms", a_.target.timeout_ms, "of one request")->capture_default_str();
    add_transfers();
    add_names();
  }

  int run(int argc, char** argv) {
    CLI11_PARSE(app_, argc, argv);
    a_.target.fails_over = numbered_->parsed();
    NfsSession session(a_.target);
    Status status = session.connect_patiently();
    if (status.is_ok()) status = command_(session);
    if (status.is_ok()) return 0;
    std::fprintf(stderr, "shima-nfsclient: %s\n", status.to_string().c_str());
    switch (status.code()) {
      case Code::kInvalidArgument:
        return 2;
      case Code::kNotFound:
        return 4;
      case Code::kAlreadyExists:
        return 5;
      case Code::kNoSpace:
        return 7;
      case Code::kCorrupt:
        return 9;
      default:
        return 1;
    }
  }

 private:
  CLI::App* add(const char* name, const char* help, Command command) {
    CLI::App* sub = app_.add_subcommand(name, help);
    sub->callback([this, command = std::move(command)] { command_ = command; });
    return sub;
  }
  void add_pipeline(CLI::App* sub) {
    sub->add_option("--depth", a_.transfer.depth, "pieces in flight")
        ->check(CLI::Range(1, 1024))
        ->capture_default_str();
    sub->add_option("--piece", a_.transfer.piece_bytes, "bytes of one")
        ->check(CLI::Range(4096, 1 << 20))
        ->capture_default_str();
    sub->add_flag("--progress", a_.transfer.progress, "a line a second on standard error");
  }
  void add_transfers();
  void add_names();

  Arguments a_;
  Command command_;
  CLI::App* numbered_ = nullptr;  // write-numbered
  CLI::App app_{"Does one thing with files of a volume over NFSv3."};
};

void Program::add_transfers() {
  auto* put = add("put", "Write a local file; what is zero in it becomes a hole",
                  [this](NfsSession& s) { return put_file(s, a_.local, a_.path, a_.transfer); });
  put->add_option("local", a_.local, "local file")->required();
  put->add_option("path", a_.path, "/path in the volume")->required();
  add_pipeline(put);
  auto* get = add("get", "Read a file, and print its sha256",
                  [this](NfsSession& s) { return get_file(s, a_.path, a_.local, a_.transfer); });
  get->add_option("path", a_.path, "/path in the volume")->required();
  get->add_option("local", a_.local, "local file to write (default: none)");
  add_pipeline(get);
  auto* latency = add("latency", "One write at a time",
                      [this](NfsSession& s) { return measure_writes(s, a_.path, a_.loop); });
  latency->add_option("path", a_.path, "/path in the volume")->required();
  latency->add_option("--count", a_.loop.count, "writes")->capture_default_str();
  latency->add_option("--bytes", a_.loop.bytes, "of each")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  latency->add_flag("--append", a_.loop.append, "each behind the one before");
  auto* numbered = numbered_ =
      add("write-numbered",
          "Write 4 KiB pieces with their numbers, at the next server when one is gone. SIGTERM: end",
          [this](NfsSession& s) { return write_numbered(s, a_.path, a_.count, a_.patience_s); });
  auto* verify = add("verify-numbered", "Read what write-numbered wrote",
                     [this](NfsSession& s) { return verify_numbered(s, a_.path, a_.count); });
  for (auto* sub : {numbered, verify}) {
    sub->add_option("path", a_.path, "/path in the volume")->required();
    sub->add_option("--count", a_.count, "pieces")->capture_default_str();
  }
  numbered->add_option("--patience-s", a_.patience_s, "how long to look for a server")->capture_default_str();
}

void Program::add_names() {
  const auto one_path = [this](const char* name, const char* help, Command command) {
    CLI::App* sub = add(name, help, std::move(command));
    sub->add_option("path", a_.path, "/path in the volume")->required();
    return sub;
  };
  using Function = int (*)(nfs_context*, const char*);
  const auto simple = [this](const char* what, Function function) {
    return [this, what, function](NfsSession& s) {
      return s.call(what + (" of " + a_.path),
                    [&](nfs_context* nfs) { return function(nfs, a_.path.c_str()); });
    };
  };
  one_path("stat", "Attributes", [this](NfsSession& s) { return print_attributes(s, a_.path); });
  one_path("ls", "Names in a directory", [this](NfsSession& s) { return list_directory(s, a_.path); });
  one_path("mkdir", "Make a directory",
           simple("mkdir", [](nfs_context* n, const char* p) { return nfs_mkdir(n, p); }));
  one_path("rmdir", "Remove a directory",
           simple("rmdir", [](nfs_context* n, const char* p) { return nfs_rmdir(n, p); }));
  one_path("unlink", "Remove a file",
           simple("unlink", [](nfs_context* n, const char* p) { return nfs_unlink(n, p); }));
  auto* truncate = one_path("truncate", "Set a file's size", [this](NfsSession& s) {
    return s.call("truncate of " + a_.path,
                  [&](nfs_context* n) { return nfs_truncate(n, a_.path.c_str(), a_.size); });
  });
  truncate->add_option("size", a_.size, "bytes")->required();
  auto* rename = one_path("rename", "Give another name", [this](NfsSession& s) {
    return s.call("rename of " + a_.path,
                  [&](nfs_context* n) { return nfs_rename(n, a_.path.c_str(), a_.other.c_str()); });
  });
  rename->add_option("to", a_.other, "/path in the volume")->required();
  auto* link = one_path("link", "Give one more name", [this](NfsSession& s) {
    return s.call("link of " + a_.path,
                  [&](nfs_context* n) { return nfs_link(n, a_.path.c_str(), a_.other.c_str()); });
  });
  link->add_option("to", a_.other, "/path in the volume")->required();
}

}  // namespace
}  // namespace shima

int main(int argc, char** argv) { return shima::Program().run(argc, argv); }
