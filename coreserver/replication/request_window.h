// RequestWindow: what became of clients' requests, so that a repeated one is not executed twice (R20).
//
// PURE. Every member keeps one, fed by the records themselves; it is saved with each checkpoint and so
// outlives both trimming and restarts. Bounds: at most kMaxClients clients, kMaxRequests remembered requests
// a client. A request that may have been forgotten is refused (kTooOld), never executed again:
//   * below the client's own floor (settled_below), or so far behind its newest that it was pushed out;
//   * of a client which is unknown although clients were evicted since `known_sequence`, what it last saw of
//   this group.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/status/status.h"
#include "common/types/record.h"

namespace shima::replication {

class RequestWindow {
 public:
  static constexpr size_t kMaxClients = 1024;
  static constexpr size_t kMaxRequests = 4096;
  static constexpr size_t kMaxSavedBytes = 16 + kMaxClients * (32 + 24 * kMaxRequests);

  enum class Verdict { kNew, kExecuted, kTooOld };
  struct Answer {
    Verdict verdict = Verdict::kNew;
    Position position;  // kExecuted: of the record
  };

  Answer find(ClientId client, RequestId request, Sequence known_sequence) const;
  // Notes that a record in the log executes a request; raises the client's floor.
  void executed(const RecordHeader& record);
  // Forgets requests whose records were truncated.
  void truncate(Sequence after);

  // Saves what records up to `upto` left behind; load() refuses hostile input.
  std::string save(Sequence upto) const;
  static Result<RequestWindow> load(const std::string& bytes);

  size_t clients() const { return clients_.size(); }
  bool operator==(const RequestWindow&) const = default;

 private:
  struct Client {
    RequestId floor;  // requests below are settled or forgotten
    Sequence newest;  // sequence of its newest request
    std::map<RequestId, Position> requests;
    bool operator==(const Client&) const = default;
  };
  void evict_oldest_client();

  std::map<ClientId, Client> clients_;
  Sequence evicted_;  // the highest `newest` of a client that was evicted
};

}  // namespace shima::replication
