#include "common/runtime/clock.h"

#include <ctime>

namespace shima {
namespace {

class BootTimeClock final : public Clock {
 public:
  uint64_t now_us() const override {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  }
};

}  // namespace

const Clock& real_clock() {
  static const BootTimeClock clock;
  return clock;
}

}  // namespace shima
