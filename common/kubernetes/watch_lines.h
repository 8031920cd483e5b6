// WatchLines: the bytes of a watch, in pieces as they come, to events: one JSON document a line.
//
// PURE. A line that is cut by the end of the connection is never an event. Errors (the watch is over then):
// kCorrupt: a line over the limit, or one that is no watch event; for an event of type ERROR what its Status
// object says: kRequestTooOld for 410, else as status_of_answer() does it. Blank lines are skipped.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/kubernetes/watch_event.h"
#include "common/status/status.h"

namespace shima {

class WatchLines {
 public:
  // etcd refuses objects over 1.5 MiB (its --max-request-bytes), which JSON may make some times larger.
  static constexpr size_t kMaxLineBytes = 16u << 20;

  explicit WatchLines(size_t max_line_bytes = kMaxLineBytes) : max_line_bytes_(max_line_bytes) {}

  // Appends the events that `piece` completes to `events`: also those in front of the one that is an error.
  Status feed(std::string_view piece, std::vector<WatchEvent>& events);
  // Bytes of a line that has not ended yet.
  size_t unfinished_bytes() const { return line_.size(); }

 private:
  const size_t max_line_bytes_;
  std::string line_;
};

// The error that an answer of the API server means, with its own words: `body` is a Status object (meta/v1)
// or whatever a proxy in between says. `what`: what was asked, for the message. The table is in api_client.h.
Status status_of_answer(int http_code, std::string_view body, const std::string& what);

}  // namespace shima
