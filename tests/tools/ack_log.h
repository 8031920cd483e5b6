// AckLog: which write of each offset was acknowledged last; a text file that outlives the writer.
//
// File: "shima-ack-log 1 STREAM", then a line a fact: "A OFFSET NUMBER" acknowledged, "S OFFSET NUMBER" seen
// by a verification (from then on it must stay), "I NUMBER" no number up to this one may be used again.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/status/status.h"

namespace shima {

class AckLog {
 public:
  // Reads what is there and appends to it; a fresh file is for `fresh_stream`.
  static Result<std::unique_ptr<AckLog>> open(const std::string& path, uint64_t fresh_stream);
  ~AckLog();

  uint64_t stream() const { return stream_; }
  uint64_t last_number() const { return last_number_; }  // the highest that may have been used
  const std::map<uint64_t, uint64_t>& newest() const { return newest_; }  // offset to number

  Status acknowledged(uint64_t offset, uint64_t number) { return note('A', offset, number); }
  Status seen(uint64_t offset, uint64_t number) { return note('S', offset, number); }
  // Called before the numbers are used.
  Status reserve(uint64_t upto);

 private:
  AckLog() = default;
  Status note(char kind, uint64_t offset, uint64_t number);
  Status append(const std::string& line);
  Status read_all(const std::string& path);

  int file_ = -1;
  std::string path_;
  uint64_t stream_ = 0, last_number_ = 0;
  std::map<uint64_t, uint64_t> newest_;
};

}  // namespace shima
