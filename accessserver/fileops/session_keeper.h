// SessionKeeper: this access server's session at the volume (R21): opened, kept alive, renewed when it was
// lost.
//
// A session that was not heard of for 20 s is gone, with its locks and holds. If a KeepAlive finds that out,
// a new session is opened, and everybody who built on the old one is told (on_lost). When no KeepAlive has
// succeeded for self_fence_after_ms the session may be gone without our knowing: trusted() is false. Orphans
// that the volume tells of are answered with those that are open here. Threads: the loop, but for
// lost_sessions().
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "accessserver/fileops/file_context.h"

namespace shima {

class SessionKeeper {
 public:
  explicit SessionKeeper(FileContext& context) : context_(context) {}

  void start();
  // Calls `task` when the session is open, at once if it is; EIO or ETIMEDOUT if it could not be opened,
  // fenced_errno if
  // the client is fenced: no session will be opened any more.
  void when_open(FileContext::ErrorDone task);
  void on_lost(std::function<void()> listener) { listeners_.push_back(std::move(listener)); }
  // A job has said that the session is gone.
  void lost(uint64_t session);
  bool trusted() const;

  void opened(uint64_t inode) { open_files_[inode]++; }
  void closed(uint64_t inode);
  // The volume is to know now, and not only with the next sign of life, which orphans are open here; `inode`
  // is one even if the volume did not tell so. An errno: it could not be told.
  void answer_for(uint64_t inode, FileContext::ErrorDone done);

  void close(std::function<void()> done);
  uint64_t lost_sessions() const { return lost_sessions_; }  // any thread

 private:
  void open();
  void opened_session(uint64_t sent_ms, const metadata::v1::JobReply& reply);
  void keep_alive();
  void kept_alive(uint64_t sent_ms, uint64_t session, const metadata::v1::JobReply& reply);
  void tell_answered(int error);
  // True if there were any.
  bool hear_of(const metadata::v1::JobReply& reply);
  void schedule(uint64_t delay_ms);
  void tell_waiting(int error);

  FileContext& context_;
  bool open_ = false, opening_ = false;
  uint64_t alive_ms_ = 0;  // when the last KeepAlive that succeeded was sent
  uint64_t turn_ = 0;      // which schedule() counts
  // One KeepAlive at a time: an older answer must not overtake a newer one.
  uint64_t asking_session_ = 0;  // 0: none is under way
  bool again_ = false;           // one more is due after it
  std::vector<FileContext::ErrorDone> waiting_;
  std::vector<FileContext::ErrorDone> to_answer_, being_answered_;  // answer_for()
  int answers_that_told_ = 0;  // KeepAlives since the last one that told of no orphans, with somebody waiting
  std::vector<std::function<void()>> listeners_;
  std::map<uint64_t, uint64_t> open_files_;  // inode, how many times
  std::set<uint64_t> orphans_;               // told of; those not open here go with the next KeepAlive
  uint64_t orphans_seen_ = 0;
  std::atomic<uint64_t> lost_sessions_{0};
};

}  // namespace shima
