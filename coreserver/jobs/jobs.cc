#include "coreserver/jobs/jobs.h"

#include <cerrno>

#include "coreserver/jobs/job_kinds.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;

int dispatch(JobRun& run, const JobRequest& request) {
  switch (request.job_case()) {
    case JobRequest::kLookup:
      return run_lookup(run, request.lookup());
    case JobRequest::kGetAttributes:
      return run_get_attributes(run, request.get_attributes());
    case JobRequest::kReadDirectory:
      return run_read_directory(run, request.read_directory());
    case JobRequest::kReadLink:
      return run_read_link(run, request.read_link());
    case JobRequest::kGetXattr:
      return run_get_xattr(run, request.get_xattr());
    case JobRequest::kListXattrs:
      return run_list_xattrs(run, request.list_xattrs());
    case JobRequest::kTestLock:
      return run_test_lock(run, request.test_lock());
    case JobRequest::kGetUsage:
      return run_get_usage(run, request.get_usage());
    case JobRequest::kListOrphans:
      return run_list_orphans(run, request.list_orphans());
    case JobRequest::kSetAttributes:
      return run_set_attributes(run, request.set_attributes());
    case JobRequest::kCreate:
      return run_create(run, request.create());
    case JobRequest::kLink:
      return run_link(run, request.link());
    case JobRequest::kRemove:
      return run_remove(run, request.remove());
    case JobRequest::kRename:
      return run_rename(run, request.rename());
    case JobRequest::kSetXattr:
      return run_set_xattr(run, request.set_xattr());
    case JobRequest::kRemoveXattr:
      return run_remove_xattr(run, request.remove_xattr());
    case JobRequest::kWritten:
      return run_written(run, request.written());
    case JobRequest::kWritingPaused:
      return run_writing_paused(run, request.writing_paused());
    case JobRequest::kTruncateDone:
      return run_truncate_done(run, request.truncate_done());
    case JobRequest::kSetLock:
      return run_set_lock(run, request.set_lock());
    case JobRequest::kReleaseLocks:
      return run_release_locks(run, request.release_locks());
    case JobRequest::kOpenSession:
      return run_open_session(run, request.open_session());
    case JobRequest::kKeepAlive:
      return run_keep_alive(run, request.keep_alive());
    case JobRequest::kCloseSession:
      return run_close_session(run, request.close_session());
    case JobRequest::kCloseFenced:
      return run_close_fenced(run, request.close_fenced());
    case JobRequest::kOrphanDropped:
      return run_orphan_dropped(run, request.orphan_dropped());
    case JobRequest::JOB_NOT_SET:
      break;
  }
  return run.fail(ENOSYS, "this server knows no such job");
}

JobOutcome input_output_error(const std::string& what) {
  JobOutcome outcome;
  outcome.reply.set_error(EIO);
  outcome.reply.set_message(what);
  return outcome;
}

}  // namespace

bool job_changes(const JobRequest& request) {
  switch (request.job_case()) {
    case JobRequest::kLookup:
    case JobRequest::kGetAttributes:
    case JobRequest::kReadDirectory:
    case JobRequest::kReadLink:
    case JobRequest::kGetXattr:
    case JobRequest::kListXattrs:
    case JobRequest::kTestLock:
    case JobRequest::kGetUsage:
    case JobRequest::kListOrphans:
    case JobRequest::JOB_NOT_SET:
      return false;
    default:
      return true;
  }
}

JobOutcome run_job(const JobContext& context, const JobRequest& request) {
  JobRun run(context, request);
  const int error = dispatch(run, request);
  if (!context.view.status().is_ok()) {
    return input_output_error("the metadata cannot be read: " + context.view.status().to_string());
  }
  if (run.inodes.rotten()) return input_output_error("the metadata that the job needs is damaged");
  JobOutcome outcome;
  outcome.reply = std::move(run.reply);
  outcome.reply.set_error(error);
  if (error != 0) return outcome;
  outcome.batch = run.inodes.batch();
  return outcome;
}

}  // namespace shima
