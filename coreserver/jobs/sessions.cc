// OpenSession, KeepAlive, CloseSession, CloseFenced, end_session() and SessionTable (R20, R21).
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "common/types/byte_order.h"
#include "coreserver/jobs/job_kinds.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/metadata_keys.h"
#include "coreserver/jobs/orphans.h"
#include "coreserver/jobs/stored_session.h"

namespace shima {
namespace {

constexpr uint8_t kSessionVersion = 1;
constexpr uint8_t kBoundSessionVersion = 2;  // with publication and access_incarnation
constexpr size_t kMaxSessionNameBytes = 255;
constexpr int kMaxSessions = 16384;
// One KeepAlive notes so many new holds and takes so many away; the rest is for the next one.
constexpr size_t kMaxHoldChanges = 16384;
constexpr int kMaxHoldsListed = 1'000'000;
// end_session() stops behind it: with one more value of locks (2.5 MB) a batch still fits a record (4 MiB).
constexpr uint64_t kEndSessionBytes = 1 << 20;

int count_sessions(JobRun& run) {
  int count = 0;
  run.inodes.before().scan(session_prefix(), session_prefix(),
                           [&](std::string_view, std::string_view) { return ++count < kMaxSessions; });
  return count;
}

std::vector<uint64_t> current_holds(JobRun& run, uint64_t session) {
  std::vector<uint64_t> inodes;
  const std::string prefix = holds_prefix(session);
  run.inodes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    inodes.push_back(last_number(key));
    return true;
  });
  return inodes;  // ascending, as keys are
}

std::vector<uint64_t> wanted_holds(const metadata::v1::KeepAlive& job) {
  std::vector<uint64_t> inodes(job.holds().begin(), job.holds().end());
  std::ranges::sort(inodes);
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  return inodes;
}

std::vector<uint64_t> in_first_only(const std::vector<uint64_t>& first, const std::vector<uint64_t>& second) {
  std::vector<uint64_t> result;
  std::ranges::set_difference(first, second, std::back_inserter(result));
  return result;
}

// A damaged inode counts as one: one bad record must not cost a session its locks.
bool is_orphan(JobRun& run, uint64_t number) {
  const std::optional<std::string> value = run.inodes.before().get(inode_key(number));
  if (!value) return false;
  const std::optional<StoredInode> inode = decode_inode(number, *value);
  return !inode || inode->attributes.nlink() == 0;
}

// Makes the session's holds those of the list, or gets nearer to it; SessionTable knows the whole list.
void note_holds(JobRun& run, uint64_t session, const std::vector<uint64_t>& wanted) {
  const std::vector<uint64_t> current = current_holds(run, session);
  const std::vector<uint64_t> added = in_first_only(wanted, current);
  const std::vector<uint64_t> gone = in_first_only(current, wanted);
  JobWrites& writes = run.inodes.writes();
  for (size_t i = 0; i < std::min(added.size(), kMaxHoldChanges); i++) {
    if (!is_orphan(run, added[i])) continue;
    writes.put(holder_key(added[i], session), presence_value());
    writes.put(hold_key(session, added[i]), presence_value());
  }
  for (size_t i = 0; i < std::min(gone.size(), kMaxHoldChanges); i++) {
    writes.erase(holder_key(gone[i], session));
    writes.erase(hold_key(session, gone[i]));
  }
}

void end_locks(JobWrites& writes, uint64_t session) {
  const std::string prefix = session_locks_prefix(session);
  writes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    const uint64_t inode = last_number(key);
    writes.erase(std::string(key));
    const std::optional<std::string> value = writes.get(locks_key(inode));
    std::optional<LockTable> table = value ? LockTable::decode(*value) : std::nullopt;
    if (table) {  // damaged locks stay as they are: jobs on the inode say EIO
      table->release_session(session);
      if (table->locks().empty()) {
        writes.erase(locks_key(inode));
      } else {
        writes.put(locks_key(inode), table->encode());
      }
    }
    return writes.bytes() < kEndSessionBytes;
  });
}

void end_holds(JobWrites& writes, uint64_t session) {
  const std::string prefix = holds_prefix(session);
  writes.before().scan(prefix, prefix, [&](std::string_view key, std::string_view) {
    writes.erase(holder_key(last_number(key), session));
    writes.erase(std::string(key));
    return writes.bytes() < kEndSessionBytes;
  });
}

// Takes away what belongs to the session. If that is too much for one batch, the record stays, as closing.
void end(JobWrites& writes, uint64_t session) {
  const std::optional<std::string> value = writes.get(session_key(session));
  if (!value) return;
  end_locks(writes, session);
  if (writes.bytes() < kEndSessionBytes) end_holds(writes, session);
  if (writes.bytes() < kEndSessionBytes) {
    writes.erase(session_key(session));
    return;
  }
  StoredSession closing = decode_session(*value).value_or(StoredSession{});
  closing.closing = true;
  writes.put(session_key(session), encode_session(closing));
}

// May the sender of `job` go on with the session of `value`? A damaged record and one of before sessions were
// bound to anybody are everybody's.
bool same_owner(const std::string& value, const metadata::v1::OpenSession& job) {
  const std::optional<StoredSession> session = decode_session(value);
  if (!session || (session->publication == 0 && session->access_incarnation == 0)) return true;
  return session->publication == job.publication() && session->access_incarnation == job.access_incarnation();
}

}  // namespace

std::string encode_session(const StoredSession& session) {
  std::string out;
  const bool bound = session.publication != 0 || session.access_incarnation != 0;
  append_little_endian(out, bound ? kBoundSessionVersion : kSessionVersion);
  append_little_endian<uint8_t>(out, session.closing ? 1 : 0);
  append_little_endian(out, session.orphans_at_opening);
  if (bound) {
    append_little_endian(out, session.publication);
    append_little_endian(out, session.access_incarnation);
  }
  out.append(session.name, 0, kMaxSessionNameBytes);
  return out;
}

std::optional<StoredSession> decode_session(std::string_view value) {
  StoredSession session;
  uint8_t version = 0, closing = 0;
  if (!take_little_endian(value, version) || !take_little_endian(value, closing) ||
      !take_little_endian(value, session.orphans_at_opening)) {
    return std::nullopt;
  }
  if (version == kBoundSessionVersion) {
    if (!take_little_endian(value, session.publication) ||
        !take_little_endian(value, session.access_incarnation)) {
      return std::nullopt;
    }
  } else if (version != kSessionVersion) {
    return std::nullopt;
  }
  if (value.size() > kMaxSessionNameBytes) return std::nullopt;
  session.closing = closing != 0;
  session.name = value;
  return session;
}

bool is_live_session(const KvView& view, uint64_t session) {
  const std::optional<std::string> value = view.get(session_key(session));
  if (!value) return false;
  const std::optional<StoredSession> decoded = decode_session(*value);
  return !decoded || !decoded->closing;
}

int run_open_session(JobRun& run, const metadata::v1::OpenSession& job) {
  if (job.session() == 0) return run.fail(EINVAL, "a session has a number above 0");
  if (const std::optional<std::string> value = run.inodes.before().get(session_key(job.session()))) {
    if (!is_live_session(run.inodes.before(), job.session())) {
      return run.fail(ESTALE, "the session of this number is over: open another");
    }
    if (!same_owner(*value, job)) {
      return run.fail(ESTALE, "the session of this number is another client's: open another");
    }
  } else {
    if (count_sessions(run) >= kMaxSessions) return run.fail(EUSERS, "the volume has too many sessions");
    const StoredSession session{.orphans_at_opening = run.inodes.counters().orphans_so_far,
                                .publication = job.publication(),
                                .access_incarnation = job.access_incarnation(),
                                .name = job.name()};
    run.inodes.writes().put(session_key(job.session()), encode_session(session));
  }
  if (run.context.sessions) run.context.sessions->heard_of(job.session());
  return 0;
}

int run_keep_alive(JobRun& run, const metadata::v1::KeepAlive& job) {
  if (!is_live_session(run.inodes.before(), job.session())) {
    return run.fail(ESTALE, "the session is gone: open a new one");
  }
  if (job.holds_size() > kMaxHoldsListed) return run.fail(E2BIG, "too many orphans are held");
  const std::vector<uint64_t> holds = wanted_holds(job);
  note_holds(run, job.session(), holds);
  const uint64_t seen = std::min(job.orphans_seen(), run.inodes.counters().orphans_so_far);
  tell_orphans(run, seen);
  // With an error the caller's answer is not known to anybody.
  const bool good = !run.inodes.rotten() && run.inodes.before().status().is_ok();
  if (run.context.sessions && good) {
    run.context.sessions->heard_of(job.session());
    run.context.sessions->answered(job.session(), seen, {holds.begin(), holds.end()});
  }
  return 0;
}

int run_close_session(JobRun& run, const metadata::v1::CloseSession& job) {
  end(run.inodes.writes(), job.session());
  if (run.context.sessions) run.context.sessions->forget(job.session());
  return 0;
}

// One batch of it: the primary runs the job until nothing is left to do.
int run_close_fenced(JobRun& run, const metadata::v1::CloseFenced& job) {
  if (!run.context.own) return run.fail(EPERM, "sessions are fenced by the metadata primary itself only");
  const std::set<uint64_t> publications(job.publications().begin(), job.publications().end());
  const std::set<uint64_t> incarnations(job.access_incarnations().begin(), job.access_incarnations().end());
  std::vector<uint64_t> fenced;
  run.inodes.before().scan(
      session_prefix(), session_prefix(), [&](std::string_view key, std::string_view value) {
        const std::optional<StoredSession> session = decode_session(value);
        const bool admitted =
            !session ||
            ((session->publication == 0 || publications.contains(session->publication)) &&
             (session->access_incarnation == 0 || incarnations.contains(session->access_incarnation)));
        if (!admitted) fenced.push_back(last_number(key));
        return true;
      });
  std::string numbers;
  for (uint64_t session : fenced) {
    if (run.inodes.writes().bytes() >= kEndSessionBytes) break;
    end(run.inodes.writes(), session);
    if (run.context.sessions) run.context.sessions->forget(session);
    if (numbers.size() < 200) numbers += " " + std::to_string(session);
  }
  if (!fenced.empty()) run.reply.set_message("sessions" + numbers + " of " + std::to_string(fenced.size()));
  return 0;
}

KvBatch end_session(const KvView& view, uint64_t session) {
  JobWrites writes(view);
  end(writes, session);
  return view.status().is_ok() ? writes.batch() : KvBatch{};
}

void SessionTable::forget(uint64_t session) {
  silent_ns_.erase(session);
  answers_.erase(session);
}

std::vector<uint64_t> SessionTable::expired(const KvView& view, int64_t now_ns) {
  const int64_t pause = std::max<int64_t>(now_ns - asked_ns_.value_or(now_ns), 0);
  asked_ns_ = now_ns;
  std::map<uint64_t, int64_t> silent_ns;  // of sessions that exist: others are forgotten
  std::vector<uint64_t> over;
  view.scan(session_prefix(), session_prefix(), [&](std::string_view key, std::string_view value) {
    const uint64_t session = last_number(key);
    const auto known = silent_ns_.find(session);
    const bool just_heard = known == silent_ns_.end() || known->second == kJustHeard;
    const int64_t silent = just_heard ? 0 : known->second + pause;
    silent_ns[session] = silent;
    const std::optional<StoredSession> stored = decode_session(value);
    if ((stored && stored->closing) || silent > kSessionGraceNs) over.push_back(session);
    return true;
  });
  if (!view.status().is_ok()) return {};
  silent_ns_ = std::move(silent_ns);
  return over;
}

void SessionTable::answered(uint64_t session, uint64_t orphan_number, std::set<uint64_t> holds) {
  Answer& answer = answers_[session];
  answer.upto = std::max(answer.upto, orphan_number);
  answer.holds = std::move(holds);
}

uint64_t SessionTable::answered_upto(uint64_t session) const {
  const auto found = answers_.find(session);
  return found == answers_.end() ? 0 : found->second.upto;
}

bool SessionTable::is_held(uint64_t inode) const {
  return std::ranges::any_of(answers_,
                             [&](const auto& answer) { return answer.second.holds.contains(inode); });
}

}  // namespace shima
