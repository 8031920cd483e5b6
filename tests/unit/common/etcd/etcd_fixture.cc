#include "tests/unit/common/etcd/etcd_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

namespace shima {
namespace {

std::string loopback_url(uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); }

}  // namespace

LoopbackPort::LoopbackPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
                     bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  SHIMA_CHECK(bound, "there is no free loopback port");
  port_ = ntohs(address.sin_port);
}

LoopbackPort::~LoopbackPort() { close(fd_); }

bool eventually(const std::function<bool()>& condition, int timeout_ms) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

EtcdServer::EtcdServer() {
  char pattern[] = "/tmp/shima-etcd-test-XXXXXX";
  SHIMA_CHECK(mkdtemp(pattern) != nullptr, "cannot make a directory under /tmp");
  directory_ = pattern;
  start();
}

EtcdServer::~EtcdServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string EtcdServer::endpoint() const { return "127.0.0.1:" + std::to_string(client_port_); }

void EtcdServer::start() {
  std::string client = loopback_url(client_port_), peer = loopback_url(peer_port_);
  std::vector<std::string> words = {"etcd",
                                    "--name=test",
                                    "--data-dir=" + directory_,
                                    "--listen-client-urls=" + client,
                                    "--advertise-client-urls=" + client,
                                    "--listen-peer-urls=" + peer,
                                    "--initial-advertise-peer-urls=" + peer,
                                    "--initial-cluster=test=" + peer,
                                    "--unsafe-no-fsync",  // survives kill(), and no disk stalls it
                                    "--heartbeat-interval=50",
                                    "--election-timeout=500",
                                    "--logger=zap",
                                    "--log-level=panic"};
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    dup2(null, 2);
    execvp("etcd", argv.data());
    _exit(127);
  }
  auto client_of = EtcdClient::create({endpoint()}, {.call_timeout_ms = 120'000});
  Status serving = client_of.value()->list("/").status();
  SHIMA_CHECK(serving.is_ok(),
              "etcd does not serve; is Debian's etcd-server installed? " + serving.to_string());
}

void EtcdServer::kill() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void EtcdServer::freeze() {
  ::kill(pid_, SIGSTOP);
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);  // until then some of its threads still answer
}
void EtcdServer::thaw() { ::kill(pid_, SIGCONT); }

void EtcdServer::compact(int64_t revision) {
  std::string command =
      "ETCDCTL_API=3 etcdctl --dial-timeout=60s --command-timeout=60s --endpoints=" + endpoint() +
      " compaction " + std::to_string(revision) + " --physical > /dev/null";
  SHIMA_CHECK(std::system(command.c_str()) == 0,
              "etcdctl could not compact; is Debian's etcd-client installed?");
}

}  // namespace shima
