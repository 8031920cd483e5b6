// CompletedJobs: runs jobs of front ends, and completes what they answer: truncations are finished, times
// merged, before anybody sees attributes (R18, R19).
//
// A job that has to wait for a truncation of somebody else (EAGAIN) completes that first and runs again.
// Threads: the loop.
#pragma once

#include <functional>
#include <memory>

#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/session_keeper.h"
#include "accessserver/fileops/session_locks.h"
#include "accessserver/fileops/writing_marks.h"

namespace shima {

class CompletedJobs {
 public:
  using JobDone = FileContext::JobDone;

  CompletedJobs(FileContext& context, AttributeSource& attributes, WritingMarks& marks, SessionLocks& locks)
      : context_(context), attributes_(attributes), marks_(marks), locks_(locks) {}
  void run(metadata::v1::JobRequest request, JobDone done);

 private:
  struct Run {
    metadata::v1::JobRequest request;
    JobDone done;
    metadata::v1::JobReply reply;
    uint32_t tries = 0;
    int waiting_for = 0;  // attributes to be completed
    int64_t shown_guard_ns = 0;
  };
  using RunPtr = std::shared_ptr<Run>;

  void get_attributes(const RunPtr& run);
  void translate_guard(const RunPtr& run);
  void send(const RunPtr& run);
  void answered(const RunPtr& run);
  void after_truncation(const RunPtr& run);
  void complete_truncation_of(const RunPtr& run, uint64_t inode);
  void complete_all(const RunPtr& run);
  void complete_one(const RunPtr& run, FileAttributes* attributes);
  void completed(const RunPtr& run);
  void show_before(FileAttributes& attributes) const;
  static void fail(const RunPtr& run, int error, const char* why);

  FileContext& context_;
  AttributeSource& attributes_;
  WritingMarks& marks_;
  SessionLocks& locks_;
};

}  // namespace shima
