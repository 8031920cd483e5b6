// ReplicaGroup: one member of one replica group: the protocol of a write, from arrival to the trim of its
// second copy.
//
// PURE (I9): events in, effects out; no I/O, clock, thread or randomness inside. Same events, same effects.
// Source: the paper's locality-aware replication (steps 1-5); ARCHITECTURE section 5; rules R1, R4, R7, R12,
// R20.
//
// The write path is one file a step: admission, local_append, second_copy, commit, acknowledgement,
// remote_shipping, journal_trim; beside it restart (new terms, greetings), member (the receiving side),
// resync (a remote that left).
//
// Invariants (checked here, in the simulator, and where it costs nothing at run time):
//   I1  Acknowledge(ok) only for committed records; ack `all`: and durable at every in-sync remote.
//   I3  trimmed <= min(durable at whole remotes) <= committed; shipped and applied <= committed.
//   R1  nothing that is not committed is shipped, applied or visible.
// Threads: none; one owner.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coreserver/replication/events.h"
#include "coreserver/replication/group_log.h"
#include "coreserver/replication/request_window.h"

namespace shima::replication {

// Mistakes that can be switched on, for tests only: the simulator must find each of them.
struct ProtocolBugs {
  bool ack_before_second_sync = false;
  bool ship_before_commit = false;
  bool trim_before_remote_durable = false;
  bool no_term_check = false;
  bool duplicate_executed_twice = false;
};

struct GroupOptions {
  uint64_t max_uncommitted_bytes = 32ull << 20;  // more is refused as busy until some are committed
  uint64_t send_window_bytes = 64ull << 20;      // sent to a member and not yet in its hands
  uint64_t batch_bytes = 1ull << 20;             // one SendRecords holds about this much
  uint64_t lag_budget_bytes = 10ull << 30;       // a remote further behind leaves the whole set (R7)
  uint64_t hello_again_ms = 200;                 // while a member does not answer
  uint64_t resend_after_ms = 5000;          // without progress of a member; more than the longest round trip
  uint64_t leave_in_sync_after_ms = 10000;  // ack `all`: a remote that holds ACKs for longer leaves (R12)
  uint64_t propose_again_after_ms = 5000;
  ProtocolBugs bugs;
};

// What a restarted member finds on its disk.
struct RecoveredGroup {
  Position base;                   // of the record before the first one that the journal still has
  Sequence checkpointed;           // durable outside the journal; >= base
  std::vector<TermStart> history;  // of the checkpoint
  RequestWindow window;            // of the checkpoint
  std::vector<RecordHeader>
      records;      // base + 1 and on, contiguous, all durable; may end before `checkpointed` only if empty
  Sequence folded;  // secondary: blocks hold records up to here (0: it never folded)
  bool resyncing = false;  // remote: a resync was under way
  std::string damage;      // not empty: R22, the member may not act
};

class ReplicaGroup {
 public:
  ReplicaGroup(GroupId id, ServerId self, Incarnation incarnation, GroupOptions options,
               RecoveredGroup recovered);

  void step(const Event& event, std::vector<Effect>& effects);

  // ---- what the driver and people may ask ----
  GroupId id() const { return id_; }
  Role role() const { return role_; }
  Term term() const { return term_; }
  const GroupConfig& config() const { return config_; }
  bool serving() const { return role_ == Role::kPrimary && serving_ && damage_.empty(); }
  // Why not serving, or "serving"; for people.
  std::string state_in_words() const;
  // True if a ClientWrite would be given a position now (or is a duplicate); else the driver keeps it.
  bool admits() const { return serving() && uncommitted_bytes() < options_.max_uncommitted_bytes; }
  uint64_t uncommitted_bytes() const { return log_.bytes_between(committed_, log_.last()); }
  const GroupLog& log() const { return log_; }
  Sequence committed() const { return committed_; }
  // Readable and applicable here: committed, and durable here.
  Sequence visible() const { return visible_; }
  Sequence checkpointed() const { return checkpointed_; }
  Sequence trimmed() const { return trimmed_; }
  Sequence folded() const { return folded_; }
  bool resyncing() const { return resyncing_; }
  const RequestWindow& window() const { return window_; }
  const std::string& damage() const { return damage_; }

  // True for the pieces of blocks of the resync that is under way here.
  bool accepts_resync(ServerId from, Term term, uint64_t round) const {
    return resyncing_ && from_current_primary(from, term, round);
  }

  struct PeerStatus {
    ServerId server;
    Role role = Role::kNone;
    bool connected = false, synced = false, whole = false, in_sync = false, no_space = false,
         resyncing = false;
    Sequence durable;
    uint64_t lag_bytes = 0;
    uint64_t lag_ms = 0;  // age of the oldest committed record that it lacks
  };
  std::vector<PeerStatus> peers() const;  // at the primary; by server

 private:
  using Effects = std::vector<Effect>;

  struct Peer {
    bool connected = false;
    bool heard = false;   // answered a Hello of this process once: `durable` is its word, not our ignorance
    bool synced = false;  // answered the Hello of this term and connection
    uint64_t round = 0;   // of the last Hello
    uint64_t hello_sent_ms = 0;  // when this round's was first said
    uint64_t hello_said_ms = 0;  // and last
    Sequence next;               // next to send
    Sequence last;               // in its hands
    Sequence durable;
    uint64_t progress_ms = 0;  // when `last` or `durable` last grew
    bool no_space = false;
    Sequence told_committed, told_trim;
    bool told_fold = false;
    bool joining_whole = false, joining_in_sync = false;  // proposed: counts as in the set until etcd decided
    uint64_t proposed_ms = 0;
    bool resyncing = false;       // blocks are being sent
    bool needs_resync = false;    // it has half of one that broke off
    bool round_used = false;      // records or a resync were sent in this round
    Sequence resync_from;         // records after this are kept for it
    Sequence whole_after;         // after a resync: whole only once durable to here
    uint64_t stuck_since_ms = 0;  // ack `all`: holds back an ACK since
    uint64_t away_since_ms = 0;   // has not answered this term's greeting since; 0: it has
    Sequence rewound_to;          // answers to one gap come in swarms: only the first one rewinds
    uint64_t rewound_ms = 0;
  };
  struct Waiting {  // a client that waits for its record's commit
    uint64_t token;
    Position position;
  };

  // admission.cc
  void on_write(const ClientWrite& write, Effects& out);
  Status refusal(const ClientWrite& write) const;
  // local_append.cc
  void append_locally(RecordPtr record, Effects& out);
  void on_local_durable(const LocalDurable& event, Effects& out);
  // second_copy.cc
  void send_second_copy(Effects& out);
  // commit.cc
  void advance_commit(Effects& out);
  void make_visible(Effects& out);
  // acknowledgement.cc
  void acknowledge_committed(Effects& out);
  Sequence acknowledgeable() const;
  Sequence oldest_waiting() const;
  void fail_waiting(Code code, const std::string& message, Effects& out);
  // remote_shipping.cc
  void ship(Effects& out);
  void send_to(ServerId server, Peer& peer, Sequence upto, Effects& out);
  void on_appended(ServerId from, const Appended& message, Effects& out);
  void resend_stuck(Effects& out);
  void tell_positions(Effects& out);
  Append append_header(const Peer& peer) const;
  // journal_trim.cc
  Sequence trim_point() const;
  bool folding() const { return config_.secondary_folds(); }
  void advance_trim(Effects& out);
  void release_journal(Effects& out);
  void on_checkpointed(const Checkpointed& event, Effects& out);
  // whole_set.cc
  void watch_membership(Effects& out);
  void watch_whole(ServerId server, Peer& peer, const Member& member, Effects& out);
  void watch_in_sync(ServerId server, Peer& peer, const Member& member, Effects& out);
  void propose(ServerId server, Peer& peer, bool whole, bool in_sync, std::string reason, Effects& out);
  // restart.cc
  bool may_lead() const;
  void on_config(const ConfigChanged& event, Effects& out);
  void take_members(Effects& out);
  void begin_term(Effects& out);
  void greet(ServerId server, Peer& peer, Effects& out);
  void say_hello(ServerId server, Peer& peer, Effects& out);
  void on_welcome(ServerId from, const Welcome& message, Effects& out);
  void on_peer_up(ServerId peer, Effects& out);
  void on_peer_down(ServerId peer);
  // member.cc
  void on_hello(ServerId from, const Hello& message, Effects& out);
  void on_append(ServerId from, const Append& message, Effects& out);
  bool take_record(const RecordPtr& record, Effects& out);
  void on_trim(const Append& message, Effects& out);
  void on_message(const PeerMessage& event, Effects& out);
  void report(Effects& out, bool behind = false) const;
  bool from_current_primary(ServerId from, Term term, uint64_t round) const;
  // resync.cc
  void begin_resync(ServerId server, Peer& peer, Effects& out);
  void on_resync_progress(const ResyncProgress& event);
  void on_resync_sent(const ResyncSent& event, Effects& out);
  void on_resync_begin(ServerId from, const ResyncBegin& message, Effects& out);
  void on_resync_end(ServerId from, const ResyncEnd& message);
  void forget_everything(Effects& out);
  void on_resync_stored(const ResyncStored& event, Effects& out);

  const GroupId id_;
  const ServerId self_;
  const Incarnation incarnation_;
  const GroupOptions options_;

  GroupConfig config_;
  Role role_ = Role::kNone;
  Term term_;  // the highest seen
  GroupLog log_;
  RequestWindow window_;
  Sequence committed_;  // at the primary: known; at a member: as told
  Sequence visible_;
  Sequence checkpointed_;  // durable outside the journal
  Sequence trimmed_;       // secondary: dropped; primary: told the secondary to
  Sequence released_;      // ReleaseJournal was given up to here
  Sequence folded_;        // secondary: has blocks up to here
  Sequence folding_to_;    // and may get them up to here: what was given to be applied
  bool disk_full_ = false;
  uint64_t now_ms_ = 0;
  std::string damage_;

  // primary
  bool serving_ = false;
  Sequence term_start_last_;  // the log's end when the term began: must be committed before the group serves
  Sequence acknowledged_;     // no record beyond it was ever acknowledged, by this incarnation or one before
  std::map<ServerId, Peer> peers_;
  std::set<ServerId> connected_;
  std::deque<Waiting> waiting_;                           // by position
  std::map<Position, std::vector<uint64_t>> duplicates_;  // further tokens that wait for a record

  // member
  ServerId primary_;  // who greeted last
  uint64_t primary_round_ = 0;
  Sequence member_committed_;  // as told, may be beyond our last
  bool member_fold_ = false;
  bool resyncing_ = false;
  uint64_t resync_round_ = 0;      // of the last ResyncBegin in this term
  RequestWindow resynced_window_;  // came with ResyncEnd
};

}  // namespace shima::replication
