// Progress of a long transfer, on standard error: a bar on a terminal, a line each second elsewhere, or
// nothing.
//
// Threads: update() and finish() from one thread. Speeds are in MB/s (10^6 bytes).
#pragma once

#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <string>

namespace shima {

enum class ProgressStyle { kNone, kBar, kLines };

class Progress {
 public:
  Progress(std::ostream& out, ProgressStyle style, std::string what, uint64_t total_bytes);

  // Prints if it is time to: the bar 5 times a second, lines once.
  void update(uint64_t done_bytes);
  // Takes the bar away, or ends it: the command prints its summary after that.
  void finish();
  double seconds() const;

 private:
  void print(uint64_t done_bytes);

  std::ostream& out_;
  const ProgressStyle style_;
  const std::string what_;
  const uint64_t total_;
  const std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point next_;
};

// "45.2 %  115.2 MiB of 256.0 MiB  98.1 MB/s  ETA 1.50 s"
std::string progress_text(uint64_t done_bytes, uint64_t total_bytes, double seconds);

}  // namespace shima
