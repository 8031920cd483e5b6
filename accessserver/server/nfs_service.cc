#include "accessserver/server/nfs_service.h"

#include <chrono>
#include <thread>
#include <utility>

#include "common/observe/log.h"
#include "common/runtime/clock.h"

namespace shima {
namespace {

constexpr auto kOpenAgainPause = std::chrono::milliseconds(200);

}  // namespace

NfsService::NfsService(ClusterVolumes& volumes, VolumeRegistry& registry, NfsServerOptions options,
                       uint32_t threads)
    : volumes_(volumes), registry_(registry), options_(std::move(options)) {
  for (uint32_t i = 0; i < threads; i++) {
    loops_.push_back(std::make_unique<EventLoop>("nfs-" + std::to_string(i)));
    loops_.back()->start();
  }
}

NfsService::~NfsService() { stop(); }

std::vector<EventLoop*> NfsService::loops() const {
  std::vector<EventLoop*> pointers;
  for (const auto& loop : loops_) pointers.push_back(loop.get());
  return pointers;
}

Status NfsService::open() {
  std::lock_guard lock(mutex_);
  auto server = NfsServer::open(loops(), options_, registry_);
  if (!server) return server.status();
  server_ = std::move(*server);
  port_ = server_->port();
  return Status::ok();
}

Status NfsService::open_shared(const std::string& address) {
  if (everywhere()) return Status::ok();  // it is served there already
  NfsServerOptions there = options_;
  there.address = address;
  there.port = port_;
  std::lock_guard lock(mutex_);
  auto server = NfsServer::open(loops(), there, registry_);
  if (server) shared_ = std::move(*server);
  return server.status();
}

void NfsService::close_shared() {
  std::lock_guard lock(mutex_);
  shared_.reset();
}

void NfsService::change_identity(const ClientIdentity& identity) {
  // First, and outside the lock: it ends what the listeners wait for when they are closed.
  volumes_.suspend("this server registers anew; ask again");
  std::lock_guard lock(mutex_);
  shared_.reset();
  server_.reset();
  registry_.forget_all();
  volumes_.resume(identity);
  if (port_ != 0) open_again();  // else it was not served yet
}

// The port was ours a moment ago; whoever has it now may go.
void NfsService::open_again() {
  NfsServerOptions same = options_;
  same.port = port_;
  LogLimit trouble(10'000);
  while (!stopping_) {
    auto server = NfsServer::open(loops(), same, registry_);
    if (server) {
      server_ = std::move(*server);
      return;
    }
    uint64_t suppressed = 0;
    if (trouble.allow("open", real_clock().now_ms(), suppressed))
      log(LogLevel::kError, "server", "NFS is not served, trying again: " + server.status().to_string());
    std::this_thread::sleep_for(kOpenAgainPause);
  }
}

NfsStatistics NfsService::statistics() const {
  std::lock_guard lock(mutex_);
  return server_ ? server_->statistics() : NfsStatistics();
}

void NfsService::stop() {
  begin_stop();
  std::lock_guard lock(mutex_);
  shared_.reset();
  server_.reset();
  for (auto& loop : loops_) loop->stop();
}

}  // namespace shima
