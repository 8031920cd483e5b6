// FileChanger: writes, punches and extensions of files (R18, R19, R21).
//
// A change of bytes: wait for earlier changes of overlapping ranges; attributes (fresh, unless the caller's
// kernel has checked permissions and they are known: what is old in them is found out by the fences);
// permission, limits, quota; data; and job Written, unless the session's mark is there and the file does not
// get longer. A privileged caller's write inside a file that is known goes to the groups while the attributes
// are fetched; whoever may be refused waits for them, since an old owner or mode is found out by nobody.
// Written goes after the data if the file gets longer, since nobody may see the new size over old bytes; else
// beside it.
//
// Truncations by others meanwhile: data goes only below a high water that the metadata group has under the
// fence that goes with the data (Written.reserve, in steps that grow with the file), so that every later
// truncation reaches the groups that have it. A group that has executed one refuses the data (kStaleFence):
// nothing has happened, and it is written again with new attributes. If the groups have taken the data and
// Written answers EAGAIN, the write happened before the truncation: it must not be written again, or it would
// happen twice; only mark and time are still noted. (A range in several blocks is several pieces, each of
// which is ordered by itself.) Threads: the loop.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>

#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/range_order.h"
#include "accessserver/fileops/session_keeper.h"
#include "accessserver/fileops/session_locks.h"
#include "accessserver/fileops/space_quota.h"
#include "accessserver/fileops/writing_marks.h"

namespace shima {

enum class ChangeKind : uint8_t {
  kWrite,
  kAppend,  // a write at the end; the caller has the append lock
  kPunch,   // bytes of the range that lie inside the file become a hole
  kExtend,  // the file is at least offset + length long afterwards; no bytes change
};

struct FileChange {
  ChangeKind kind = ChangeKind::kWrite;
  uint64_t inode = 0;
  uint64_t offset = 0, length = 0;  // bytes; kWrite, kAppend: length is bytes.size()
  Buffer bytes;
  metadata::v1::Credentials credentials;
};

class FileChanger {
 public:
  using Done = std::function<void(FileWritten)>;

  FileChanger(FileContext& context, SessionKeeper& sessions, AttributeSource& attributes, WritingMarks& marks,
              SessionLocks& locks, SpaceQuota& quota)
      : context_(context),
        sessions_(sessions),
        attributes_(attributes),
        marks_(marks),
        locks_(locks),
        quota_(quota) {}
  void change(FileChange change, Done done);

 private:
  struct Run {
    FileChange change;
    Done done;
    RangeOrder::Ticket ticket = 0;
    uint32_t tries = 0;
    bool admitted = false;   // permission and quota were looked at
    bool data_done = false;  // the groups have taken the data
    bool beside = false;     // data and attributes are on their way side by side
    FileAttributes before;   // as the metadata has them
    FileAttributes after;    // what Written answered, if it ran
    bool has_after = false;
    // The plan:
    bool has_data = false, needs_note = false, extends = false;
    uint64_t data_end = 0, note_end = 0;  // bytes
    uint64_t data_fence = 0;              // under which data was sent last
    int64_t time_ns = 0;
    int waiting_for = 0;
    Status data_status;
    int note_error = 0;
    FileWritten result;
  };
  using RunPtr = std::shared_ptr<Run>;

  void start(const RunPtr& run);
  bool may_send_beside(const FileChange& change, const FileAttributes& known) const;
  void admit_beside(const RunPtr& run);
  void both_there(const RunPtr& run);
  void fetch(const RunPtr& run);
  void admit(const RunPtr& run);
  void move_data(const RunPtr& run);
  void reserve(const RunPtr& run);
  metadata::v1::JobRequest note_of(const Run& run) const;
  void plan(Run& run) const;
  void send_data(const RunPtr& run);
  void send_note(const RunPtr& run);
  void part_done(const RunPtr& run);
  void finish_data(const RunPtr& run);
  void again(const RunPtr& run);
  void end(const RunPtr& run, int error);
  void fill_attributes(Run& run) const;

  FileContext& context_;
  SessionKeeper& sessions_;
  AttributeSource& attributes_;
  WritingMarks& marks_;
  SessionLocks& locks_;
  SpaceQuota& quota_;
  std::unordered_map<uint64_t, RangeOrder> orders_;  // by inode
};

}  // namespace shima
