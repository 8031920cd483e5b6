// Jobs: POSIX name space, attributes, locks and sessions as functions over a KvView (Jobcast's idea: logic
// runs next to the data, at the metadata primary, one job at a time, atomically).
//
// Deterministic: no I/O, clock or randomness inside; the clock is handed in. A job reads the view and yields
// a reply and one batch; the batch is what is replicated, so replicas never run jobs. Errors are errnos in
// the reply; a job with an error has an empty batch, and its reply shows what attributes it has seen, as they
// are. EIO: the view could not be read, or what it holds is damaged. ENOTCONN: the job needs a session that
// is open. Sources: POSIX.1-2017, Linux man pages, RFC 1813.
//
// Keys (big-endian numbers):
//   i INODE                    encoded inode (metadata::v1::Attributes and what only the server needs)
//   e PARENT NAME              directory entry by name: inode, type, cookie
//   c PARENT COOKIE            the same by cookie: name, inode, type: a directory lists by one range scan
//   s INODE                    target of a symlink
//   x INODE NAME               extended attribute
//   l INODE                    locks of an inode
//   L SESSION INODE            which inodes a session has locks on
//   n SESSION                  session
//   o NUMBER                   orphan, by its number: its inode
//   h INODE SESSION            a session that has an orphan open; H SESSION INODE: the same by session
//   u                          counters: next inode, inodes that exist, number of the newest orphan
//   r CLIENT REQUEST           replies to repeat (R20); written by the driver, not by jobs, as are these:
//   R RETRY_KEY KIND           reply to a client's own request; t TIME RETRY_KEY KIND: when it may go
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "coreserver/jobs/kv_view.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// Exists in every volume, even before its first job (mode 0755, root's).
inline constexpr uint64_t kRootInode = 2;
inline constexpr uint64_t kMaxNameBytes = 255;
inline constexpr uint64_t kMaxSymlinkBytes = 4095;
inline constexpr uint64_t kMaxXattrBytes = 65536;
inline constexpr uint32_t kMaxLinks = 65000;
inline constexpr uint64_t kMaxFileBytes = 1ull << 44;  // 16 TiB
inline constexpr int64_t kSessionGraceNs = 20'000'000'000;

// What the metadata primary knows of sessions beside the KV: when it last heard of each, and which orphans
// each has answered for. Not replicated: a new primary gives every session its full grace, and asks anew. One
// thread.
class SessionTable {
 public:
  // Called by run_job(): the time is that of the next expired().
  void heard_of(uint64_t session) { silent_ns_[session] = kJustHeard; }
  void forget(uint64_t session);
  // Sessions of the view that were silent for kSessionGraceNs (a session never heard of: since first asked),
  // or that closed with more to free than fits one batch. `now_ns`: of a suspend-aware clock; always the same
  // one. Call it every second or so.
  std::vector<uint64_t> expired(const KvView& view, int64_t now_ns);
  // The primary cannot serve (no grant, no secondary), so it hears nobody: nobody's silence until now counts.
  // Call it instead of expired() while that is so, or a primary back from a pause would end everybody.
  void deaf() { silent_ns_.clear(), asked_ns_.reset(); }
  // The session's newest answer: it has `holds` open, and none else of the orphans up to a number. Known here
  // at once, while its `h` keys are not yet committed.
  void answered(uint64_t session, uint64_t orphan_number, std::set<uint64_t> holds);
  // Highest orphan number that the session has answered for.
  uint64_t answered_upto(uint64_t session) const;
  // Did some session's newest answer name the inode?
  bool is_held(uint64_t inode) const;

 private:
  static constexpr int64_t kJustHeard = -1;  // since the last expired()

  struct Answer {
    uint64_t upto = 0;
    std::set<uint64_t> holds;
  };
  std::map<uint64_t, int64_t> silent_ns_;
  std::map<uint64_t, Answer> answers_;
  std::optional<int64_t> asked_ns_;  // when expired() was called last
};

struct JobContext {
  const KvView& view;
  int64_t now_ns = 0;       // of the primary's wall clock, made never to go back
  uint64_t max_inodes = 0;  // the volume's quota; 0: none
  SessionTable* sessions = nullptr;
  bool own = false;  // the metadata primary's own job, not a client's: may be CloseFenced
};

struct JobOutcome {
  metadata::v1::JobReply reply;
  KvBatch batch;  // empty: nothing to replicate
};

// True if the job may change something: it must see everything that is in the log, and runs one at a time.
// Others read what is committed. Also true for jobs that turn out to change nothing: their batch is empty.
bool job_changes(const metadata::v1::JobRequest& request);

JobOutcome run_job(const JobContext& context, const metadata::v1::JobRequest& request);

// Ends a session whose grace is over: its locks, holds and record go; bounded, so that the batch fits a
// record. If there is more, the session is "closing": jobs refuse it, expired() names it until it is gone.
// Empty: there is no such session, or the view could not be read. Its "being written" marks stay: an access
// server that sees a mark of a dead session clears it (WritingPaused) with what the data groups have.
KvBatch end_session(const KvView& view, uint64_t session);

}  // namespace shima
