#include "accessserver/fileops/completed_jobs.h"

#include <cerrno>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

// Jobs that this layer runs itself.
bool is_internal(const JobRequest& request) {
  switch (request.job_case()) {
    case JobRequest::kListOrphans:
    case JobRequest::kWritten:
    case JobRequest::kWritingPaused:
    case JobRequest::kTruncateDone:
    case JobRequest::kOpenSession:
    case JobRequest::kKeepAlive:
    case JobRequest::kCloseSession:
    case JobRequest::kOrphanDropped:
    case JobRequest::JOB_NOT_SET:
      return true;
    default:
      return false;
  }
}

bool sets_size(const JobRequest& request) {
  return (request.has_set_attributes() && request.set_attributes().set().has_size()) ||
         (request.has_create() && request.create().set().has_size());
}

}  // namespace

void CompletedJobs::fail(const RunPtr& run, int error, const char* why) {
  JobReply reply;
  reply.set_error(error);
  reply.set_message(why);
  run->done(std::move(reply));
}

void CompletedJobs::run(JobRequest request, JobDone done) {
  auto run = std::make_shared<Run>();
  run->request = std::move(request);
  run->done = std::move(done);
  if (is_internal(run->request)) return fail(run, EINVAL, "the file layer alone runs jobs of this kind");
  if (run->request.has_get_attributes()) return get_attributes(run);
  if (int error = locks_.prepare(run->request)) {
    return fail(run, error, "the owner's locks were lost with the session");
  }
  if (run->request.has_set_attributes() && sets_size(run->request)) {
    if (int error = locks_.check_write(run->request.set_attributes().inode())) {
      return fail(run, error, "locks on the file are or may be lost");
    }
  }
  if (run->request.has_set_attributes() && run->request.set_attributes().has_guard_ctime_ns()) {
    run->shown_guard_ns = run->request.set_attributes().guard_ctime_ns();
    return translate_guard(run);
  }
  if (run->request.has_create() && run->request.create().type() == metadata::v1::FILE_TYPE_REGULAR) {
    // The first bytes of a new file then need no job before them (FileChanger).
    run->request.mutable_create()->set_reserve(context_.first_layout().block_size);
  }
  send(run);
}

void CompletedJobs::get_attributes(const RunPtr& run) {
  attributes_.get(run->request.get_attributes().inode(),
                  [this, run](int error, const FileAttributes& attributes) {
                    if (error != 0) return fail(run, error, "the attributes cannot be had");
                    marks_.merge(attributes, [run](int merge_error, const FileAttributes& merged) {
                      if (merge_error != 0)
                        return fail(run, merge_error, "the data groups did not tell their times");
                      *run->reply.mutable_attributes() = merged;
                      run->done(std::move(run->reply));
                    });
                  });
}

// What the caller saw as ctime may be a data group's; the job compares with the metadata's own.
void CompletedJobs::translate_guard(const RunPtr& run) {
  attributes_.get(
      run->request.set_attributes().inode(), [this, run](int error, const FileAttributes& attributes) {
        if (error != 0) return fail(run, error, "the attributes cannot be had");
        marks_.merge(attributes,
                     [this, run, own = attributes.ctime_ns()](int merge_error, const FileAttributes& merged) {
                       if (merge_error != 0)
                         return fail(run, merge_error, "the data groups did not tell their times");
                       if (merged.ctime_ns() != run->shown_guard_ns)
                         return fail(run, EAGAIN, "the guard does not match");
                       run->request.mutable_set_attributes()->set_guard_ctime_ns(own);
                       send(run);
                     });
      });
}

void CompletedJobs::send(const RunPtr& run) {
  context_.job(run->request, [this, run](JobReply reply) {
    run->reply = std::move(reply);
    answered(run);
  });
}

void CompletedJobs::answered(const RunPtr& run) {
  locks_.note(run->request, run->reply);
  if (run->reply.error() == EAGAIN && sets_size(run->request)) return after_truncation(run);
  if (run->request.has_set_lock() && run->reply.error() == ENOTCONN) {
    return fail(run, ENOLCK, "the session was lost");
  }
  complete_all(run);
}

// EAGAIN for a size: either somebody's truncation is under way, or the guard does not match.
void CompletedJobs::after_truncation(const RunPtr& run) {
  if (++run->tries > kMaxTries) return fail(run, EIO, "truncations of others never end");
  if (run->request.has_set_attributes()) {
    return complete_truncation_of(run, run->request.set_attributes().inode());
  }
  if (run->reply.attributes().inode() != 0)
    return complete_truncation_of(run, run->reply.attributes().inode());
  JobRequest lookup;
  *lookup.mutable_credentials() = run->request.credentials();
  lookup.mutable_lookup()->set_parent(run->request.create().parent());
  lookup.mutable_lookup()->set_name(run->request.create().name());
  context_.job(std::move(lookup), [this, run](const JobReply& reply) {
    if (reply.error() == 0) return complete_truncation_of(run, reply.attributes().inode());
    // The file is gone: the next try creates it.
    context_.again(run->tries, [this, run] { send(run); });
  });
}

void CompletedJobs::complete_truncation_of(const RunPtr& run, uint64_t inode) {
  attributes_.get(inode, [this, run](int error, const FileAttributes&) {
    if (error != 0 && run->request.has_set_attributes())
      return fail(run, error, "a truncation is not completed");
    if (run->request.set_attributes().has_guard_ctime_ns()) {
      run->request.mutable_set_attributes()->set_guard_ctime_ns(run->shown_guard_ns);
      return context_.again(run->tries, [this, run] { translate_guard(run); });
    }
    context_.again(run->tries, [this, run] { send(run); });
  });
}

// ---- what is shown ----

void CompletedJobs::complete_all(const RunPtr& run) {
  JobReply& reply = run->reply;
  run->waiting_for = 1;
  if (reply.has_before()) show_before(*reply.mutable_before());
  if (reply.has_attributes()) complete_one(run, reply.mutable_attributes());
  for (auto& entry : *reply.mutable_entries()) {
    if (entry.has_attributes()) complete_one(run, entry.mutable_attributes());
  }
  completed(run);
}

// As of before the job: nobody can be asked any more.
void CompletedJobs::show_before(FileAttributes& attributes) const {
  attributes.clear_truncating();
  attributes.clear_truncating_from();
  marks_.merge_from_memory(attributes);
}

void CompletedJobs::complete_one(const RunPtr& run, FileAttributes* attributes) {
  if (attributes->type() != metadata::v1::FILE_TYPE_REGULAR) return;
  // Most of the many in a listing: nothing to ask anybody for.
  if (attributes_.complete_now(*attributes) && marks_.merge_from_memory(*attributes)) return;
  run->waiting_for++;
  attributes_.complete(*attributes, [this, run, attributes](int error, const FileAttributes& completed_ones) {
    if (error == ESTALE) {
      // Removed since the job ran; at that instant it was as the job says.
      show_before(*attributes);
      return completed(run);
    }
    if (error != 0) {
      run->reply.set_error(error);
      return completed(run);
    }
    marks_.merge(completed_ones, [this, run, attributes](int merge_error, const FileAttributes& merged) {
      if (merge_error != 0) run->reply.set_error(merge_error);
      *attributes = merged;
      completed(run);
    });
  });
}

void CompletedJobs::completed(const RunPtr& run) {
  if (--run->waiting_for == 0) run->done(std::move(run->reply));
}

}  // namespace shima
