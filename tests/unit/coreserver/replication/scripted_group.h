// ScriptedGroup: a replica group for tests: real cores, joined by a network and disks that a script stops and
// starts.
//
// run() carries messages and disk writes until nothing moves any more. What is stopped waits in its queue.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "common/types/crc32c.h"
#include "coreserver/replication/replica_group.h"

namespace shima::replication {

inline constexpr GroupId kGroup{VolumeId(1), GroupIndex(0)};
inline constexpr ServerId kP(1), kS(2), kR1(3), kR2(4);

class ScriptedGroup {
 public:
  struct Node {
    std::unique_ptr<ReplicaGroup> core;
    std::map<Sequence, RecordPtr> journal;
    std::deque<Position> unsynced;
    Sequence durable, commit, dropped, released;
    int forgotten = 0, blocks_dropped = 0, resyncs = 0, truncations = 0;
    Incarnation incarnation{1};
  };

  explicit ScriptedGroup(size_t remotes = 1, AckMode ack = AckMode::kLocal, GroupOptions options = {})
      : options_(options) {
    config.version = ConfigVersion(1);
    config.term = Term(1);
    config.ack = ack;
    for (uint64_t i = 1; i <= 2 + remotes; i++) {
      Role role = i == 1 ? Role::kPrimary : i == 2 ? Role::kSecondary : Role::kRemote;
      config.members.push_back({ServerId(i), Incarnation(1), role, true, true});
      nodes[ServerId(i)].core =
          std::make_unique<ReplicaGroup>(kGroup, ServerId(i), Incarnation(1), options_, RecoveredGroup());
    }
    publish();
    for (uint64_t i = 2; i <= 2 + remotes; i++) connect(ServerId(i));
    run();
  }

  void publish() {
    for (auto& [id, node] : nodes) feed(id, ConfigChanged{config});
  }
  void change(ServerId member, bool whole, bool in_sync) {
    for (Member& m : config.members) {
      if (m.server == member) m.whole = whole, m.in_sync = in_sync;
    }
    config.version = config.version.next();
    publish();
  }
  void connect(ServerId other) {
    feed(kP, PeerUp{other});
    feed(other, PeerUp{kP});
  }
  void disconnect(ServerId other) {
    std::erase_if(wire, [&](const Parcel& p) { return p.to == other || p.from == other; });
    feed(kP, PeerDown{other});
    feed(other, PeerDown{kP});
  }
  // One write of a chunk; returns its token.
  uint64_t write(uint64_t request, uint64_t client = 1, uint64_t settled_below = 1) {
    ClientWrite w;
    w.token = ++tokens_;
    w.client = ClientId(client);
    w.request = RequestId(request);
    w.settled_below = RequestId(settled_below);
    w.inode = InodeId(1);
    w.length = kChunkSize;
    feed(kP, w);
    return w.token;
  }
  void feed(ServerId id, const Event& event) {
    std::vector<Effect> effects;
    nodes[id].core->step(event, effects);
    for (Effect& e : effects) std::visit([&](auto& effect) { carry_out(id, effect); }, e);
  }
  void tick(uint64_t ms) {
    now_ms_ += ms;
    for (auto& [id, node] : nodes) feed(id, Tick{now_ms_});
    run();
  }
  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t i = 0; i < wire.size();) {
        if (stopped_wires.contains({wire[i].from, wire[i].to})) {
          i++;
          continue;
        }
        Parcel parcel = std::move(wire[i]);
        wire.erase(wire.begin() + static_cast<long>(i));
        feed(parcel.to, PeerMessage{parcel.from, std::move(parcel.message)});
        moved = true;
      }
      for (auto& [id, node] : nodes) {
        if (stopped_disks.contains(id) || node.unsynced.empty()) continue;
        sync(id);
        moved = true;
      }
    }
  }
  void sync(ServerId id) {
    Node& node = nodes[id];
    Position upto = node.unsynced.back();
    node.unsynced.clear();
    node.durable = std::max(node.durable, upto.sequence);
    feed(id, LocalDurable{upto});
  }
  // Ends the process and starts it again with its journal up to `keep`; a primary gets a new term.
  void restart(ServerId id, Sequence keep) {
    Node& node = nodes[id];
    node.unsynced.clear();
    node.journal.erase(node.journal.upper_bound(keep), node.journal.end());
    RecoveredGroup found;
    for (auto& [sequence, record] : node.journal) found.records.push_back(record->header);
    node.incarnation = node.incarnation.next();
    node.core = std::make_unique<ReplicaGroup>(kGroup, id, node.incarnation, options_, std::move(found));
    for (Member& m : config.members) {
      if (m.server == id) m.incarnation = node.incarnation;
    }
    config.version = config.version.next();
    if (id == kP) config.term = config.term.next();
    publish();
  }

  ReplicaGroup& core(ServerId id) { return *nodes[id].core; }
  bool acked(uint64_t token) const { return answers.contains(token) && answers.at(token).status.is_ok(); }
  bool refused(uint64_t token, Code code) const {
    return answers.contains(token) && answers.at(token).status.code() == code;
  }

  struct Parcel {
    ServerId from, to;
    Message message;
  };
  struct Answer {
    Status status;
    Position position;
    int times = 0;
  };
  GroupConfig config;
  std::map<ServerId, Node> nodes;
  std::deque<Parcel> wire;
  std::set<std::pair<ServerId, ServerId>> stopped_wires;
  std::set<ServerId> stopped_disks;
  std::map<uint64_t, Answer> answers;
  std::vector<ProposeMembership> proposals;
  std::vector<SendRecords> shipped;  // to remotes

 private:
  void carry_out(ServerId id, AppendToJournal& e) {
    nodes[id].journal[e.record->header.position.sequence] = e.record;
    nodes[id].unsynced.push_back(e.record->header.position);
  }
  void carry_out(ServerId id, TruncateJournal& e) {
    nodes[id].journal.erase(nodes[id].journal.upper_bound(e.after), nodes[id].journal.end());
    nodes[id].truncations++;
  }
  void carry_out(ServerId id, SendMessage& e) { wire.push_back({id, e.to, std::move(e.message)}); }
  void carry_out(ServerId id, SendRecords& e) {
    if (config.role_of(e.to) == Role::kRemote) shipped.push_back(e);
    for (Sequence s = e.first; s <= e.last; s = s.next()) e.append.records.push_back(nodes[id].journal.at(s));
    wire.push_back({id, e.to, std::move(e.append)});
  }
  void carry_out(ServerId, Acknowledge& e) {
    int times = answers[e.token].times + 1;
    answers[e.token] = {e.status, e.position, times};
  }
  void carry_out(ServerId id, Commit& e) { nodes[id].commit = e.upto; }
  void carry_out(ServerId id, DropRecords& e) { nodes[id].dropped = e.upto; }
  void carry_out(ServerId id, ReleaseJournal& e) {
    nodes[id].released = e.upto;
    nodes[id].journal.erase(nodes[id].journal.begin(), nodes[id].journal.upper_bound(e.upto));
  }
  void carry_out(ServerId, ProposeMembership& e) { proposals.push_back(e); }
  void carry_out(ServerId id, StartResync&) { nodes[id].resyncs++; }
  void carry_out(ServerId id, ForgetEverything&) {
    nodes[id].journal.clear();
    nodes[id].unsynced.clear();
    nodes[id].forgotten++;
  }
  void carry_out(ServerId id, DropBlocks&) { nodes[id].blocks_dropped++; }

  GroupOptions options_;
  uint64_t tokens_ = 0, now_ms_ = 1000;
};

}  // namespace shima::replication
