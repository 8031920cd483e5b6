// Trace: what happened, as numbered lines: a hash over all of them, and the last ones for the report of a
// failure.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace shima::simulation {

class Trace {
 public:
  static constexpr size_t kKept = 60;

  explicit Trace(bool print) : print_(print) { lines_.resize(kKept); }

  // `who`: a server's number, 0 for the world. `what` is a literal; a, b and c are its numbers.
  void note(uint64_t time_us, uint64_t who, const char* what, uint64_t a = 0, uint64_t b = 0,
            uint64_t c = 0) {
    Line line{time_us, who, what, a, b, c};
    for (const char* p = what; *p; p++) mix(static_cast<uint8_t>(*p));
    for (uint64_t v : {time_us, who, a, b, c}) mix(v);
    lines_[count_++ % kKept] = line;
    if (print_) printf("%s\n", words(line).c_str());
  }
  uint64_t hash() const { return hash_; }
  uint64_t count() const { return count_; }
  std::vector<std::string> last_lines() const {
    std::vector<std::string> out;
    for (uint64_t i = count_ > kKept ? count_ - kKept : 0; i < count_; i++)
      out.push_back(words(lines_[i % kKept]));
    return out;
  }

 private:
  struct Line {
    uint64_t time_us, who;
    const char* what;
    uint64_t a, b, c;
  };
  void mix(uint64_t v) {
    hash_ = (hash_ ^ v) * 0x9e3779b97f4a7c15ull;
    hash_ ^= hash_ >> 29;
  }
  static std::string words(const Line& l) {
    static const char* const kNames[] = {"world", "primary", "secondary", "remote-1", "remote-2"};
    char text[160];
    snprintf(text, sizeof(text), "%10.3f ms  %-9s  %-28s %llu %llu %llu",
             static_cast<double>(l.time_us) / 1000.0, kNames[l.who < 5 ? l.who : 0], l.what,
             static_cast<unsigned long long>(l.a), static_cast<unsigned long long>(l.b),
             static_cast<unsigned long long>(l.c));
    return text;
  }

  const bool print_;
  uint64_t hash_ = 0xcbf29ce484222325ull, count_ = 0;
  std::vector<Line> lines_;
};

}  // namespace shima::simulation
