#include "hack/bench_core/transport_bench.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/observe/histogram.h"
#include "common/transport/connection.h"
#include "hack/bench_core/process_cpu.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

// Answers every frame with a small one.
void answer(ConnectionPtr connection) {
  Connection* raw = connection.get();
  connection->start({.on_frame =
                         [raw](Frame frame) {
                           Frame reply;
                           reply.id = frame.id;
                           reply.header = "written";
                           raw->send(std::move(reply));
                         },
                     .on_closed = [](Status) {}});
}

// The child: tells its port and runs until it is ended.
[[noreturn]] void serve(int port_pipe) {
  EventLoop loop("bench-server");
  loop.start();
  auto listener = Listener::open({&loop}, {}, answer);
  uint16_t port = listener ? (*listener)->port() : 0;
  if (write(port_pipe, &port, sizeof port) != sizeof port) _exit(1);
  for (;;) pause();
}

// Keeps `depth` frames unanswered. Everything but the counters lives on the loop.
class Pump {
 public:
  Pump(size_t payload, uint32_t depth) : payload_(Buffer::zeros(payload)), sent_us_(depth), depth_(depth) {}

  void start(EventLoop& loop, ConnectionPtr connection) {
    connection_ = std::move(connection);
    connection_->start(
        {.on_frame = [this, &loop](Frame frame) { on_reply(loop, frame); }, .on_closed = [](Status) {}});
    for (uint32_t slot = 0; slot < depth_; slot++) send(loop, slot);
  }
  // On the loop.
  void clear() { latency_.clear(); }
  Histogram latency() const { return latency_; }
  void stop() { connection_->close({Code::kUnavailable, "the measurement is over"}); }

 private:
  void send(EventLoop& loop, uint32_t slot) {
    Frame frame;
    frame.id = slot + 1;
    frame.header.assign(60, 'h');  // about what a WriteRequest takes
    frame.payload = payload_;
    sent_us_[slot] = loop.now_us();
    connection_->send(std::move(frame));
  }
  void on_reply(EventLoop& loop, const Frame& frame) {
    auto slot = static_cast<uint32_t>(frame.id - 1);
    latency_.record(loop.now_us() - sent_us_[slot]);
    send(loop, slot);
  }

  const Buffer payload_;
  std::vector<uint64_t> sent_us_;
  const uint32_t depth_;
  ConnectionPtr connection_;
  Histogram latency_;
};

template <typename F>
auto on_loop(EventLoop& loop, F task) {
  std::promise<decltype(task())> promise;
  loop.post([&] { promise.set_value(task()); });
  return promise.get_future().get();
}

struct Target {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  pid_t server = 0;  // 0: not on this machine
  uint32_t socket_buffer_bytes = 0;
};

Status measure(const char* name, const Target& target, size_t payload, uint32_t depth, double seconds) {
  Pump pump(payload, depth);
  EventLoop loop("bench-client");
  loop.start();
  std::promise<Status> connected;
  loop.post([&] {
    connect(loop, target.host, target.port, {.socket_buffer_bytes = target.socket_buffer_bytes},
            [&](Result<ConnectionPtr> made) {
              if (made) pump.start(loop, *made);
              connected.set_value(made.status());
            });
  });
  SHIMA_RETURN_IF_ERROR(connected.get_future().get());
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  on_loop(loop, [&] { return pump.clear(), 0; });
  std::vector<WatchedProcess> processes = {{"client", getpid()}};
  if (target.server) processes.push_back({"server", target.server});
  std::vector<uint64_t> before = cpu_us_of_all(processes);
  uint64_t began = loop.now_us();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  Histogram latency = on_loop(loop, [&] { return pump.latency(); });
  double took = static_cast<double>(loop.now_us() - began) / 1e6;
  std::vector<uint64_t> after = cpu_us_of_all(processes);
  on_loop(loop, [&] { return pump.stop(), 0; });
  auto count = static_cast<double>(latency.count());
  ordered_json line;
  line["case"] = name;
  line["operations_s"] = static_cast<uint64_t>(count / took);
  line["mb_s"] = static_cast<uint64_t>(count * static_cast<double>(payload) / took / 1e6);
  line["p50_us"] = latency.quantile(0.5);
  line["p99_us"] = latency.quantile(0.99);
  for (size_t i = 0; i < processes.size(); i++) {
    double used = static_cast<double>(after[i] - before[i]) / count;
    line[processes[i].name + "_cpu_us_per_op"] = std::round(used * 100) / 100;
  }
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
  return {};
}

}  // namespace

Status run_transport_bench(double seconds) {
  int ends[2];
  if (pipe(ends) != 0) return {Code::kIo, "cannot make a pipe"};
  pid_t server = fork();
  if (server < 0) return {Code::kIo, "cannot fork"};
  if (server == 0) serve(ends[1]);
  uint16_t port = 0;
  Status status;
  if (read(ends[0], &port, sizeof port) != sizeof port || port == 0)
    status = {Code::kIo, "the server process did not start"};
  Target target{.port = port, .server = server};
  if (status.is_ok()) status = measure("transport-4k-d1", target, 4096, 1, seconds);
  if (status.is_ok()) status = measure("transport-4k-d16", target, 4096, 16, seconds);
  if (status.is_ok()) status = measure("transport-4k-d64", target, 4096, 64, seconds);
  if (status.is_ok()) status = measure("transport-1m-d8", target, 1 << 20, 8, seconds);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  close(ends[0]);
  close(ends[1]);
  return status;
}

Status serve_stream(const StreamBenchOptions& options) {
  EventLoop loop("bench-server");
  loop.start();
  ListenerOptions listen{.address = options.address, .port = options.port};
  listen.connection.socket_buffer_bytes = options.socket_buffer_bytes;
  auto listener = Listener::open({&loop}, listen, answer);
  if (!listener) return listener.status();
  std::fprintf(stderr, "shima-bench: port %u\n", (*listener)->port());
  for (;;) pause();
}

Status send_stream(const StreamBenchOptions& options) {
  Target target{
      .host = options.address, .port = options.port, .socket_buffer_bytes = options.socket_buffer_bytes};
  return measure("stream", target, options.payload_bytes, options.depth, options.seconds);
}

}  // namespace shima
