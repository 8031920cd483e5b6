#include "hack/bench_core/volume_cases.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <thread>

#include "common/runtime/clock.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

constexpr uint32_t kPatternSize = 4u << 20;

// Bytes that do not compress; every operation sends a slice of them.
Buffer make_pattern(uint64_t seed) {
  std::mt19937_64 random(seed);
  return Buffer::make(kPatternSize, [&](uint8_t* p) {
    for (size_t i = 0; i < kPatternSize; i += 8) {
      uint64_t word = random();
      std::memcpy(p + i, &word, sizeof word);
    }
  });
}

// Keeps `depth` operations in flight: each one that ends starts the next in its callback.
class Load {
 public:
  Load(VolumeClient& client, const VolumeCase& volume_case, uint64_t span)
      : client_(client), case_(volume_case), places_(span / volume_case.size), pattern_(make_pattern(1)) {
    std::random_device device;
    for (uint32_t i = 0; i < case_.depth; i++) slots_.emplace_back(device());
  }

  void start() {
    running_ = case_.depth;
    for (uint32_t slot = 0; slot < case_.depth; slot++) next(slot);
  }
  // Begins no more, waits for those in flight; the first error of all.
  Status stop() {
    stopping_ = true;
    all_ended_.get_future().wait();
    return error_;
  }
  bool failed() const { return stopping_; }

 private:
  void next(uint32_t slot) {
    if (stopping_) {
      if (--running_ == 0) all_ended_.set_value();
      return;
    }
    std::mt19937_64& random = slots_[slot];
    uint64_t place = case_.sequential ? next_place_++ % places_ : random() % places_;
    uint64_t offset = place * case_.size;
    if (!case_.write) {
      return client_.read(offset, case_.size,
                          [this, slot](Status status, Buffer) { ended(slot, std::move(status)); });
    }
    uint32_t at = static_cast<uint32_t>(random() % ((kPatternSize - case_.size) / 512 + 1)) * 512;
    client_.write(offset, pattern_.slice(at, case_.size),
                  [this, slot](Status status) { ended(slot, std::move(status)); });
  }

  void ended(uint32_t slot, Status status) {
    if (!status.is_ok()) {
      std::lock_guard lock(mutex_);
      if (error_.is_ok()) error_ = std::move(status);
      stopping_ = true;
    }
    next(slot);
  }

  VolumeClient& client_;
  const VolumeCase case_;
  const uint64_t places_;
  const Buffer pattern_;
  std::vector<std::mt19937_64> slots_;  // each used by one operation at a time
  std::atomic<uint64_t> next_place_{0};
  std::atomic<uint32_t> running_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  Status error_;
  std::promise<void> all_ended_;
};

// What happened between two moments.
struct Measured {
  VolumeClientStats stats;
  double seconds = 0;
  std::vector<uint64_t> cpu_us;  // of each process
};

class Stopwatch {
 public:
  Stopwatch(VolumeClient& client, const std::vector<WatchedProcess>& processes)
      : client_(client), processes_(processes) {
    lap();
  }
  Measured lap() {
    Measured measured;
    measured.stats = client_.take_stats();
    uint64_t now = real_clock().now_us();
    std::vector<uint64_t> cpu = cpu_us_of_all(processes_);
    measured.seconds = static_cast<double>(now - since_us_) / 1e6;
    for (size_t i = 0; i < cpu.size() && i < cpu_us_.size(); i++) {
      measured.cpu_us.push_back(cpu[i] > cpu_us_[i] ? cpu[i] - cpu_us_[i] : 0);
    }
    since_us_ = now;
    cpu_us_ = std::move(cpu);
    return measured;
  }

 private:
  VolumeClient& client_;
  const std::vector<WatchedProcess>& processes_;
  uint64_t since_us_ = 0;
  std::vector<uint64_t> cpu_us_;
};

double rounded(double value) { return std::round(value * 100) / 100; }

ordered_json describe(const VolumeCase& volume_case, const Measured& measured,
                      const std::vector<WatchedProcess>& processes) {
  const Histogram& latency = volume_case.write ? measured.stats.write_us : measured.stats.read_us;
  auto operations = static_cast<double>(latency.count());
  double bytes =
      static_cast<double>(volume_case.write ? measured.stats.written_bytes : measured.stats.read_bytes);
  ordered_json line;
  line["case"] = volume_case.name;
  line["seconds"] = rounded(measured.seconds);
  line["operations"] = latency.count();
  line["iops"] = rounded(operations / measured.seconds);
  line["mb_s"] = rounded(bytes / 1e6 / measured.seconds);
  line["p50_us"] = latency.quantile(0.5);
  line["p99_us"] = latency.quantile(0.99);
  line["p999_us"] = latency.quantile(0.999);
  line["max_us"] = latency.max();
  line["retries"] = measured.stats.pieces_sent_again;
  ordered_json cpu = ordered_json::object();
  for (size_t i = 0; i < processes.size() && i < measured.cpu_us.size() && operations > 0; i++) {
    cpu[processes[i].name] = rounded(static_cast<double>(measured.cpu_us[i]) / operations);
  }
  line["cpu_us_per_op"] = cpu;
  return line;
}

void print_line(const ordered_json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void add(Measured& sum, const Measured& part) {
  sum.stats.write_us.merge(part.stats.write_us);
  sum.stats.read_us.merge(part.stats.read_us);
  sum.stats.written_bytes += part.stats.written_bytes;
  sum.stats.read_bytes += part.stats.read_bytes;
  sum.stats.pieces_sent_again += part.stats.pieces_sent_again;
  sum.seconds += part.seconds;
  sum.cpu_us.resize(part.cpu_us.size());
  for (size_t i = 0; i < part.cpu_us.size(); i++) sum.cpu_us[i] += part.cpu_us[i];
}

void sleep_seconds(double seconds, const Load& load) {
  uint64_t end = real_clock().now_us() + static_cast<uint64_t>(seconds * 1e6);
  while (!load.failed()) {
    uint64_t now = real_clock().now_us();
    if (now >= end) return;
    std::this_thread::sleep_for(std::chrono::microseconds(std::min<uint64_t>(end - now, 100'000)));
  }
}

}  // namespace

std::vector<VolumeCase> all_volume_cases() {
  std::vector<VolumeCase> cases;
  for (const char* what : {"write", "read"}) {
    for (const char* size : {"4k", "1m"}) {
      for (const char* depth : {"1", "16"})
        cases.push_back(*parse_volume_case(std::string(what) + "-" + size + "-d" + depth));
    }
  }
  return cases;
}

Result<VolumeCase> parse_volume_case(const std::string& name) {
  static const std::regex pattern("(write|read)-([0-9]{1,4})(k|m)-d([0-9]{1,4})");
  std::smatch match;
  VolumeCase result;
  if (std::regex_match(name, match, pattern)) {
    uint64_t size = std::stoull(match[2]) << (match[3] == "k" ? 10 : 20);
    result = {name, match[1] == "write", size >= (1u << 20),
              static_cast<uint32_t>(std::min<uint64_t>(size, kPatternSize)),
              static_cast<uint32_t>(std::stoul(match[4]))};
    if (size > 0 && size <= kPatternSize && size % 512 == 0 && result.depth > 0) return result;
  }
  return Status(
      Code::kInvalidArgument,
      "wanted a case such as write-4k-d1 or read-1m-d16 (512 to 4194304 bytes, depth 1 to 9999), found '" +
          name + "'");
}

Status fill_volume(VolumeClient& client, uint64_t span_bytes) {
  Buffer pattern = make_pattern(2);
  std::mutex mutex;
  Status error;
  std::atomic<uint64_t> left{1};
  std::promise<void> ended;
  auto done = [&](Status status) {
    if (!status.is_ok()) {
      std::lock_guard lock(mutex);
      if (error.is_ok()) error = std::move(status);
    }
    if (--left == 0) ended.set_value();
  };
  for (uint64_t offset = 0; offset < span_bytes; offset += kPatternSize) {
    left++;
    client.write(offset, pattern.slice(0, std::min<uint64_t>(kPatternSize, span_bytes - offset)), done);
    // Its deadline runs from the call: do not queue a whole volume at once.
    while (left > 16) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  done({});
  ended.get_future().wait();
  return error.with_context("filling the volume before reading");
}

Status run_volume_case(VolumeClient& client, const VolumeCase& volume_case,
                       const VolumeBenchOptions& options) {
  uint64_t size = client.layout().size_bytes;
  uint64_t span = size == 0 ? options.span_bytes : std::min(size, options.span_bytes);
  if (span < volume_case.size) {
    return {Code::kFailedPrecondition, "the volume has " + std::to_string(size) +
                                           " bytes, less than one operation of " + volume_case.name};
  }
  std::vector<WatchedProcess> processes = options.processes;
  processes.insert(processes.begin(), {"client", getpid()});
  Load load(client, volume_case, span);
  load.start();
  sleep_seconds(options.warm_up_seconds, load);
  Stopwatch watch(client, processes);
  Measured all;
  double step = options.interval_ms ? options.interval_ms / 1000.0 : options.seconds;
  for (int window = 0; all.seconds < options.seconds - step / 2 && !load.failed(); window++) {
    sleep_seconds(step, load);
    Measured measured = watch.lap();
    add(all, measured);
    if (options.interval_ms == 0) continue;
    ordered_json line = describe(volume_case, measured, processes);
    line["window"] = window;
    print_line(line);
  }
  Status status = load.stop();
  if (!status.is_ok()) return status.with_context(volume_case.name);
  print_line(describe(volume_case, all, processes));
  return {};
}

}  // namespace shima
