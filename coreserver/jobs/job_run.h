// JobRun: one job while it runs: what it may read, what it changes, what it answers. And the steps that
// several kinds of jobs share.
//
// A job checks everything first and changes things only when nothing can go wrong any more: a reply with an
// error then shows attributes as they were and are.
#pragma once

#include <string>
#include <string_view>

#include "coreserver/jobs/inode_store.h"
#include "coreserver/jobs/jobs.h"
#include "coreserver/jobs/permission.h"

namespace shima {

struct JobRun {
  JobRun(const JobContext& job_context, const metadata::v1::JobRequest& job_request)
      : context(job_context),
        request(job_request),
        who(job_request.credentials()),
        inodes(job_context.view) {}

  // Returns `error`, with words for logs.
  int fail(int error, const char* what) {
    reply.set_message(what);
    return error;
  }

  const JobContext& context;
  const metadata::v1::JobRequest& request;
  const metadata::v1::Credentials& who;
  InodeStore inodes;
  metadata::v1::JobReply reply;
};

// The instant of a change to the inode: now, but later than its last change, so that every change shows.
int64_t change_instant(const JobRun& run, const StoredInode& inode);
// Its attributes change (ctime, change counter); returns the instant.
int64_t note_change(JobRun& run, StoredInode& inode);
// A directory's entries changed: mtime too.
void note_entries_changed(JobRun& run, StoredInode& directory);

// An inode that must exist: ESTALE.
int find_inode(JobRun& run, uint64_t number, StoredInode*& inode);
// An inode that a directory entry names: EIO if it is not there.
int find_named(JobRun& run, const StoredEntry& entry, StoredInode*& inode);
// A directory that names are looked up in: ESTALE, ENOTDIR, EACCES (search).
int find_directory(JobRun& run, uint64_t number, StoredInode*& directory);
// The same, and may `name` be looked up? ENOENT (the directory was removed), EINVAL, ENAMETOOLONG.
int find_directory(JobRun& run, uint64_t number, std::string_view name, StoredInode*& directory);
int check_name(JobRun& run, const StoredInode& directory, std::string_view name);
// May an entry be made in it? EACCES.
int check_may_add(JobRun& run, const StoredInode& directory);
// May the entry of `victim` be taken out of it? EACCES, EPERM (sticky).
int check_may_take_out(JobRun& run, const StoredInode& directory, const StoredInode& victim);

// Puts one more name into a directory, under the next cookie (entry.cookie is not looked at), and notes it
// there.
void add_entry(JobRun& run, StoredInode& directory, std::string_view name, StoredEntry entry);
// Takes a name out of a directory and notes it there.
void take_out_entry(JobRun& run, StoredInode& directory, std::string_view name, const StoredEntry& entry);
// An inode has one name (a directory: its only one) less; without any it becomes an orphan.
void drop_name(JobRun& run, StoredInode& inode);

}  // namespace shima
