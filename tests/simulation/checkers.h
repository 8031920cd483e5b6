// Checkers: the promises, checked against the simulated disks and against one log that the checkers keep
// themselves.
//
// The committed log is not what any core says: a record enters it when it is durable on the disks of both
// local members.
#pragma once

#include <map>
#include <vector>

#include "coreserver/replication/events.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/run.h"

namespace shima::simulation {

class Server;

class Checkers {
 public:
  Checkers(Run& run, std::vector<Server*> servers) : run_(run), servers_(std::move(servers)) {}
  void config_is(const replication::GroupConfig* config) { config_ = config; }

  Sequence committed() const { return Sequence(log_.size()); }
  Sequence acked() const { return acked_; }
  Sequence newest_answer() const { return std::max(acked_, read_); }

  void something_is_durable();  // a local member's disk
  // `after`: what was ACKed or read when the request was issued first.
  void acknowledged(Position position, ClientId client, RequestId request, Sequence after);
  void made_visible(const Server& server, Sequence from, Sequence upto);
  void shipped(const Server& server, ServerId to, Sequence last);
  void dropped(const Server& server, Sequence upto);
  void released(const Server& server, Sequence upto);
  void claims(const Server& server, Sequence last, Sequence durable);
  void read_at_primary(uint64_t block, uint64_t chunk, uint64_t content, Sequence visible, Sequence after);
  void read_at_remote(uint64_t content);
  void config_changed(const replication::GroupConfig& config);
  void restarted(const Server& server);
  // The words of what is not yet as it must be in the end, or nothing.
  std::string not_converged(bool clients_idle) const;
  void count_final_checks();

 private:
  struct ChunkVersion {
    Sequence sequence;
    uint64_t content;
  };
  const RecordHeader& header(Sequence s) const { return log_[s.value - 1]->header; }
  void commit(const RecordPtr& record);
  uint64_t content_at(uint64_t block, uint64_t chunk, Sequence upto) const;
  std::string server_not_converged(const Server& server) const;
  Sequence whole_durable() const;
  bool someone_holds_back() const;

  Run& run_;
  std::vector<Server*> servers_;
  const replication::GroupConfig* config_ = nullptr;
  std::vector<RecordPtr> log_;  // committed
  std::map<std::pair<ClientId, RequestId>, Position> executed_;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<ChunkVersion>> versions_;
  std::map<uint64_t, Sequence> contents_;  // which record wrote a content
  Blocks result_;                          // of the committed log
  Sequence acked_, read_;
  Sequence dropped_;  // by the secondary, without making blocks of them
};

}  // namespace shima::simulation
