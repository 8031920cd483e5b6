// WritingMarks: which inodes this session writes to, and the times and sizes that data groups know better
// than the metadata (R19).
//
// A session sets its "being written" mark on an inode with its first write (job Written); later writes that
// do not extend the file need no job. When nothing was written for a while, what the data groups have is
// noted and the mark is taken away (WritingPaused). Attributes of an inode with marks are completed: by
// memory, if the only mark is this session's; else the data groups are asked, and a mark whose data does not
// change for dead_mark_after_ms is a dead session's and is taken away (R21: a live session pauses after 2 s,
// and one that cannot keep itself alive no longer trusts its marks).
//
// `change` of an inode with marks is that of the metadata plus the writes known: it grows with each write
// that one access server sees. Threads: the loop.
#pragma once

#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/file_context.h"

namespace shima {

class SessionKeeper;

class WritingMarks {
 public:
  using Done = AttributeSource::Done;

  WritingMarks(FileContext& context, SessionKeeper& sessions, AttributeSource& attributes)
      : context_(context), sessions_(sessions), attributes_(attributes) {}
  void start();

  // A write to the inode begins; every begin() is followed by one ended().
  void begin(uint64_t inode);
  // `bytes` were written with `time_ns` as their mtime; time_ns 0: nothing was.
  void ended(uint64_t inode, int64_t time_ns, uint64_t bytes);
  // True if this session's mark is on the inode, surely, so that a write that does not extend the file is
  // noticed by everybody; and was noted after `mtime_floor_ns` (a write after utimes(2) has to be noted
  // once).
  bool is_set(uint64_t inode, int64_t mtime_floor_ns) const;
  // Runs the job, which may set the mark, after a pause that is under way.
  void note(metadata::v1::JobRequest written, FileContext::JobDone done);

  // Completes times, change and used_bytes of attributes that a job has answered. May call `done` at once.
  void merge(const FileAttributes& attributes, Done done);
  // The same with what is in memory only: false if that is not all.
  bool merge_from_memory(FileAttributes& attributes) const;

  void session_lost();
  // Takes all marks away; nothing is being written.
  void pause_all(std::function<void()> done);

 private:
  struct Mark {
    bool set = false;                    // of the session that is open now
    std::vector<uint64_t> maybe_marked;  // sessions of ours whose mark may be there
    bool asking = false;                 // data groups, before a pause
    bool pausing = false;                // WritingPaused is on its way
    uint32_t in_flight = 0;
    uint64_t last_write_ms = 0;
    int64_t newest_ns = 0;       // mtime of the newest write that is done
    int64_t noted_floor_ns = 0;  // mtime floor when the metadata last heard of a write
    uint64_t changes = 0, written_bytes = 0;
    std::vector<std::function<void()>> after_pause;
  };
  struct Suspect {  // a mark of another session
    uint64_t changes = 0;
    uint64_t since_ms = 0;
  };

  void tick();
  void pause_next();
  bool may_pause(const Mark& mark) const;
  void pause(uint64_t inode);
  void take_mark_away(uint64_t inode, std::vector<uint64_t> writers, InodeData data);
  void paused(uint64_t inode, bool done);
  void noted(uint64_t inode, const metadata::v1::JobReply& reply);
  bool only_own(const FileAttributes& attributes) const;
  void merge_data(FileAttributes attributes, const Status& status, const InodeData& data, const Done& done);
  void suspect(const FileAttributes& attributes, const InodeData& data);
  void clear_dead_mark(uint64_t inode, uint64_t writer);

  FileContext& context_;
  SessionKeeper& sessions_;
  AttributeSource& attributes_;
  std::unordered_map<uint64_t, Mark> marks_;                   // by inode
  std::map<std::pair<uint64_t, uint64_t>, Suspect> suspects_;  // by inode and session
  std::vector<uint64_t> due_;  // inodes to be paused, looked for when it is empty
  uint32_t pauses_ = 0;        // under way
  std::function<void()> all_paused_;
};

}  // namespace shima
