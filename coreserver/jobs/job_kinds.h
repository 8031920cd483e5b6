// One function for each kind of job. Each returns an errno (0: done) and fills run.reply; changes are in
// run.inodes. What each does is said at its message in api/shima/metadata/v1/metadata.proto.
#pragma once

#include "coreserver/jobs/job_run.h"

namespace shima {

int run_lookup(JobRun& run, const metadata::v1::Lookup& job);
int run_get_attributes(JobRun& run, const metadata::v1::GetAttributes& job);
int run_read_link(JobRun& run, const metadata::v1::ReadLink& job);
int run_get_usage(JobRun& run, const metadata::v1::GetUsage& job);
int run_read_directory(JobRun& run, const metadata::v1::ReadDirectory& job);
int run_get_xattr(JobRun& run, const metadata::v1::GetXattr& job);
int run_list_xattrs(JobRun& run, const metadata::v1::ListXattrs& job);
int run_test_lock(JobRun& run, const metadata::v1::TestLock& job);
int run_list_orphans(JobRun& run, const metadata::v1::ListOrphans& job);

int run_set_attributes(JobRun& run, const metadata::v1::SetAttributes& job);
int run_create(JobRun& run, const metadata::v1::Create& job);
int run_link(JobRun& run, const metadata::v1::Link& job);
int run_remove(JobRun& run, const metadata::v1::Remove& job);
int run_rename(JobRun& run, const metadata::v1::Rename& job);
int run_set_xattr(JobRun& run, const metadata::v1::SetXattr& job);
int run_remove_xattr(JobRun& run, const metadata::v1::RemoveXattr& job);
int run_written(JobRun& run, const metadata::v1::Written& job);
int run_writing_paused(JobRun& run, const metadata::v1::WritingPaused& job);
int run_truncate_done(JobRun& run, const metadata::v1::TruncateDone& job);
int run_set_lock(JobRun& run, const metadata::v1::SetLock& job);
int run_release_locks(JobRun& run, const metadata::v1::ReleaseLocks& job);
int run_open_session(JobRun& run, const metadata::v1::OpenSession& job);
int run_keep_alive(JobRun& run, const metadata::v1::KeepAlive& job);
int run_close_session(JobRun& run, const metadata::v1::CloseSession& job);
int run_close_fenced(JobRun& run, const metadata::v1::CloseFenced& job);
int run_orphan_dropped(JobRun& run, const metadata::v1::OrphanDropped& job);

}  // namespace shima
