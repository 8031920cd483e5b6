#include "cli/progress.h"

#include <cstdio>
#include <ostream>

#include "cli/size_text.h"

namespace shima {
namespace {

constexpr size_t kBarWidth = 24;
constexpr auto kBarInterval = std::chrono::milliseconds(200);
constexpr auto kLineInterval = std::chrono::seconds(1);

std::string bar(uint64_t done, uint64_t total) {
  const size_t filled =
      total == 0 ? kBarWidth
                 : static_cast<size_t>(static_cast<double>(done) / static_cast<double>(total) * kBarWidth);
  return "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "]";
}

}  // namespace

std::string progress_text(uint64_t done_bytes, uint64_t total_bytes, double seconds) {
  const double share =
      total_bytes == 0 ? 1 : static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
  const double speed = seconds > 0 ? static_cast<double>(done_bytes) / seconds : 0;
  char text[128];
  std::snprintf(text, sizeof text, "%5.1f %%  %s of %s  %.1f MB/s", share * 100,
                format_bytes(done_bytes).c_str(), format_bytes(total_bytes).c_str(), speed / 1e6);
  if (speed <= 0) return text;
  return std::string(text) + "  ETA " + format_seconds(static_cast<double>(total_bytes - done_bytes) / speed);
}

Progress::Progress(std::ostream& out, ProgressStyle style, std::string what, uint64_t total_bytes)
    : out_(out),
      style_(style),
      what_(std::move(what)),
      total_(total_bytes),
      begin_(std::chrono::steady_clock::now()),
      next_(begin_ + (style == ProgressStyle::kBar ? kBarInterval : kLineInterval)) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}

void Progress::update(uint64_t done_bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (style_ == ProgressStyle::kNone || now < next_) return;
  next_ = now + (style_ == ProgressStyle::kBar ? kBarInterval : kLineInterval);
  print(done_bytes);
}

void Progress::print(uint64_t done_bytes) {
  const std::string text = progress_text(done_bytes, total_, seconds());
  if (style_ == ProgressStyle::kBar) {
    out_ << "\r\033[K" << what_ << "  " << bar(done_bytes, total_) << "  " << text << std::flush;
  } else {
    out_ << what_ << ": " << text << std::endl;
  }
}

void Progress::finish() {
  if (style_ == ProgressStyle::kBar) out_ << "\r\033[K" << std::flush;
}

}  // namespace shima
