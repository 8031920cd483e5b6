#include "tests/posix/step_log.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace shima {

// Long runs of a character cut short, bytes that are not text escaped.
std::string StepLog::readable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t run = 1;
    while (i + run < text.size() && text[i + run] == text[i]) ++run;
    const auto c = static_cast<unsigned char>(text[i]);
    std::array<char, 8> escaped{};
    std::snprintf(escaped.data(), escaped.size(), c < 0x20 || c >= 0x7f ? "\\x%02x" : "%c", c);
    const size_t shown = run > 20 ? 3 : run;
    for (size_t k = 0; k < shown; ++k) out += c == '\n' && i + run == text.size() ? "" : escaped.data();
    if (shown < run) out += "..." + std::to_string(run) + "...";
    i += run;
  }
  return out;
}

void StepLog::fail(const std::string& what) const {
  std::fflush(stdout);
  std::fprintf(stderr, "the last steps:\n");
  for (const std::string& step : steps_) std::fprintf(stderr, "  %s\n", readable(step).c_str());
  std::fprintf(stderr, "FAILED at step %llu: %s\nagain: %s\n", static_cast<unsigned long long>(number_),
               readable(what).c_str(), again_.c_str());
  std::exit(1);
}

void StepLog::print_last() const { std::printf("%s\n", readable(steps_.back()).c_str()); }

void StepLog::progress(uint64_t of) const {
  const uint64_t every = std::max<uint64_t>(of / 10, 1);
  if (number_ % every != 0) return;
  std::printf("%llu of %llu steps\n", static_cast<unsigned long long>(number_),
              static_cast<unsigned long long>(of));
  std::fflush(stdout);
}

}  // namespace shima
