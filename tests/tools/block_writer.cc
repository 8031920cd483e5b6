#include "tests/tools/block_writer.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "common/observe/histogram.h"
#include "common/runtime/clock.h"
#include "tests/tools/asked_to_end.h"
#include "tests/tools/numbered_piece.h"

namespace shima {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kReserveAtOnce = 4096;  // numbers
constexpr size_t kReadsInFlight = 64;
constexpr size_t kComplaintsShown = 5;

void print_line(const ordered_json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

class Writer {
 public:
  Writer(VolumeClient& client, AckLog& log, const WriteOptions& options, uint64_t places)
      : client_(client), log_(log), options_(options), number_(log.last_number()) {
    uint64_t depth = std::min<uint64_t>(options.depth, places);
    for (uint64_t i = 0; i < depth; i++) slots_.push_back({i, (places - i + depth - 1) / depth, {}});
    for (Slot& slot : slots_) slot.random.seed(options.seed * 1000003 + slot.first);
  }

  Status run() {
    begin_us_ = last_ack_us_ = real_clock().now_us();
    for (size_t i = 0; i < slots_.size(); i++) {
      std::lock_guard lock(mutex_);
      active_++;
      start(i);
    }
    while (wait_a_second()) report();
    return finish();
  }

 private:
  struct Slot {
    uint64_t first = 0, places = 0;  // the places first, first + depth, ...
    std::mt19937_64 random;
  };

  // With mutex_ held; the client never calls back from within its call.
  void start(size_t index) {
    uint64_t now = real_clock().now_us();
    bool over = now - begin_us_ >= static_cast<uint64_t>(options_.seconds * 1e6) || !error_.is_ok() ||
                asked_to_end() || (options_.max_writes && started_ >= options_.max_writes);
    if (over) {
      if (--active_ == 0) changed_.notify_all();
      return;
    }
    Slot& slot = slots_[index];
    uint64_t offset = (slot.first + slot.random() % slot.places * slots_.size()) * kPieceSize;
    uint64_t number = ++number_;
    if (number > log_.last_number()) fail_on(log_.reserve(number + kReserveAtOnce));
    started_++;
    client_.write(
        offset, make_piece({log_.stream(), offset, number}),
        [this, index, offset, number, now](Status status) { ended(index, offset, number, now, status); });
  }

  void ended(size_t index, uint64_t offset, uint64_t number, uint64_t begin_us, const Status& status) {
    std::lock_guard lock(mutex_);
    uint64_t now = real_clock().now_us();
    if (status.is_ok()) {
      fail_on(log_.acknowledged(offset, number));
      latency_us_.record(now - begin_us);
      second_us_.record(now - begin_us);
      longest_gap_us_ = std::max(longest_gap_us_, now - last_ack_us_);
      last_ack_us_ = now;
    } else {
      failed_++;
      last_failure_ = status.to_string();
      if (status.code() != Code::kDeadlineExceeded) refused_++;
    }
    start(index);
  }

  void fail_on(Status status) {
    if (error_.is_ok()) error_ = std::move(status);
  }

  bool wait_a_second() {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, std::chrono::seconds(1), [this] { return active_ == 0; });
  }

  void report() {
    std::lock_guard lock(mutex_);
    print_line({{"at_s", static_cast<double>(real_clock().now_us() - begin_us_) / 1e6},
                {"acks", second_us_.count()},
                {"p50_us", second_us_.quantile(0.5)},
                {"max_us", second_us_.max()},
                {"failed", failed_}});
    second_us_.clear();
  }

  Status finish() {
    std::lock_guard lock(mutex_);
    SHIMA_RETURN_IF_ERROR(error_);
    double seconds = static_cast<double>(real_clock().now_us() - begin_us_) / 1e6;
    print_line({{"total", true},
                {"seconds", seconds},
                {"acks", latency_us_.count()},
                {"acks_per_second", static_cast<double>(latency_us_.count()) / seconds},
                {"p50_us", latency_us_.quantile(0.5)},
                {"p99_us", latency_us_.quantile(0.99)},
                {"max_us", latency_us_.max()},
                {"longest_gap_us", longest_gap_us_},
                {"failed", failed_},
                {"refused", refused_},
                {"last_failure", last_failure_},
                {"sent_again", client_.stats().pieces_sent_again}});
    if (latency_us_.count() > 0) return {};
    return {Code::kFailedPrecondition, "no write was acknowledged; the last error: " + last_failure_};
  }

  VolumeClient& client_;
  AckLog& log_;
  const WriteOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  uint64_t number_, begin_us_ = 0, last_ack_us_ = 0, longest_gap_us_ = 0;
  uint64_t started_ = 0, failed_ = 0, refused_ = 0;
  size_t active_ = 0;
  Histogram latency_us_, second_us_;
  std::string last_failure_;
  Status error_;
};

class Verifier {
 public:
  Verifier(VolumeClient& client, AckLog& log, std::string site)
      : client_(client), log_(log), site_(std::move(site)), wanted_(log.newest()) {}

  Status run() {
    for (const auto& [offset, number] : wanted_) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return in_flight_ < kReadsInFlight; });
      if (!error_.is_ok()) break;
      in_flight_++;
      lock.unlock();
      read(offset, number);
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return in_flight_ == 0; });
    return finish();
  }

 private:
  void read(uint64_t offset, uint64_t number) {
    auto done = [this, offset, number](Status status, Buffer bytes) {
      std::lock_guard lock(mutex_);
      if (status.is_ok()) {
        check(offset, number, bytes);
      } else if (error_.is_ok()) {
        error_ = status.with_context("reading offset " + std::to_string(offset));
      }
      in_flight_--;
      changed_.notify_all();
    };
    site_.empty() ? client_.read(offset, kPieceSize, done)
                  : client_.read_site(site_, offset, kPieceSize, done);
  }

  void check(uint64_t offset, uint64_t number, const Buffer& bytes) {
    auto found = number_of(bytes.span(), log_.stream(), offset);
    if (!found) return complain(found.status().message());
    if (*found < number) {
      return complain("offset " + std::to_string(offset) + ": found write " + std::to_string(*found) +
                      ", but write " + std::to_string(number) + " was acknowledged");
    }
    if (*found == number) return;
    newer_++;
    if (site_.empty() && error_.is_ok()) error_ = log_.seen(offset, *found);
  }

  void complain(const std::string& what) {
    bad_++;
    if (complaints_.size() < kComplaintsShown) complaints_.push_back(what);
  }

  Status finish() {
    SHIMA_RETURN_IF_ERROR(error_);
    print_line({{"verified", wanted_.size()},
                {"site", site_},
                {"newer", newer_},
                {"bad", bad_},
                {"examples", complaints_}});
    if (bad_ == 0) return {};
    return {Code::kCorrupt, std::to_string(bad_) + " of " + std::to_string(wanted_.size()) +
                                " acknowledged places are lost or wrong; the first: " + complaints_.front()};
  }

  VolumeClient& client_;
  AckLog& log_;
  const std::string site_;
  const std::map<uint64_t, uint64_t> wanted_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t in_flight_ = 0;
  uint64_t newer_ = 0, bad_ = 0;
  std::vector<std::string> complaints_;
  Status error_;
};

}  // namespace

Status write_pieces(VolumeClient& client, AckLog& log, const WriteOptions& options) {
  uint64_t size = client.layout().size_bytes;
  uint64_t span = options.span_bytes == 0 ? size : std::min(size, options.span_bytes);
  if (span < kPieceSize) {
    return {Code::kFailedPrecondition,
            "the volume has " + std::to_string(size) + " bytes, less than one piece; create it with --size"};
  }
  return Writer(client, log, options, span / kPieceSize).run();
}

Status verify_pieces(VolumeClient& client, AckLog& log, const std::string& site) {
  return Verifier(client, log, site).run();
}

}  // namespace shima
