// Race: several clients on access servers of one volume in memory, each with one operation at a time, every
// step in random order. Threads: what derives runs on the volume's loop.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <random>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {

class Race {
 public:
  Race(MemoryVolume& volume, uint64_t seed) : volume_(volume), random_(seed) {}
  virtual ~Race() = default;

  // `next` begins one operation of a client and calls `done` when it has ended.
  void run(int clients, int operations_each) {
    left_ = clients;
    volume_.loop().post([this, clients, operations_each] {
      for (int client = 0; client < clients; client++) go_on(client, operations_each);
    });
    finished_.get_future().get();
  }

 protected:
  virtual void next(int client, std::function<void()> done) = 0;
  uint64_t random(uint64_t below) { return random_() % below; }
  char letter() { return letter_ = letter_ == 'z' ? 'A' : static_cast<char>(letter_ + 1); }

 private:
  void go_on(int client, int operations) {
    if (operations == 0) {
      if (--left_ == 0) finished_.set_value();
      return;
    }
    next(client, [this, client, operations] { go_on(client, operations - 1); });
  }

  MemoryVolume& volume_;
  std::mt19937_64 random_;
  char letter_ = '@';
  int left_ = 0;
  std::promise<void> finished_;
};

inline FileSystemOptions restless_options() {
  FileSystemOptions options = quick_options();
  options.writing_paused_after_ms = 4;  // marks come and go all the time
  options.append_lock_keep_ms = 1;
  options.append_lock_max_ms = 3;
  return options;
}

// Suites run eight seeds from this one.
inline uint64_t first_race_seed() {
  const char* seed = std::getenv("SHIMA_FIRST_SEED");
  return seed == nullptr ? 1 : std::strtoull(seed, nullptr, 10);
}

}  // namespace shima
