// JobVolume: a volume of metadata in memory, with one call for each kind of job: what the tests of jobs stand
// on.
//
// Every job is checked for what holds for all: with an error the batch is empty; a job that only reads has
// none; a batch survives its encoding.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coreserver/jobs/jobs.h"
#include "tests/unit/coreserver/jobs/memory_kv.h"

namespace shima {

namespace pb = metadata::v1;

inline pb::Credentials user(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {}) {
  pb::Credentials who;
  who.set_uid(uid);
  who.set_gid(gid);
  for (uint32_t group : groups) who.add_groups(group);
  return who;
}

inline pb::Credentials checked_by_kernel(uint32_t uid, uint32_t gid) {
  pb::Credentials who = user(uid, gid);
  who.set_checked(true);
  return who;
}

class JobVolume {
 public:
  MemoryKv kv;
  SessionTable sessions;
  int64_t now_ns = 1'700'000'000'000'000'000;
  int64_t tick_ns = 1000;  // each job takes so long
  uint64_t max_inodes = 0;
  pb::Credentials who;  // root
  uint64_t session = 0;
  bool own = false;     // jobs are the primary's own
  int64_t time_ns = 0;  // the access server's clock, as jobs carry it
  KvBatch last_batch;

  pb::JobReply run(pb::JobRequest request) {
    *request.mutable_credentials() = who;
    if (request.session() == 0) request.set_session(session);
    request.set_time_ns(time_ns);
    now_ns += tick_ns;
    JobOutcome outcome = run_job({kv, now_ns, max_inodes, &sessions, own}, request);
    if (outcome.reply.error() != 0) {
      EXPECT_TRUE(outcome.batch.empty()) << "a job with an error changes nothing";
    }
    if (!job_changes(request)) {
      EXPECT_TRUE(outcome.batch.empty()) << "a job that reads changes nothing";
    }
    Result<KvBatch> decoded = decode_kv_batch(encode_kv_batch(outcome.batch));
    EXPECT_TRUE(decoded.is_ok() && *decoded == outcome.batch);
    kv.apply(outcome.batch);
    last_batch = std::move(outcome.batch);
    return std::move(outcome.reply);
  }

  pb::JobReply lookup(uint64_t parent, const std::string& name) {
    pb::JobRequest request;
    request.mutable_lookup()->set_parent(parent);
    request.mutable_lookup()->set_name(name);
    return run(request);
  }
  pb::JobReply attributes_reply(uint64_t inode) {
    pb::JobRequest request;
    request.mutable_get_attributes()->set_inode(inode);
    return run(request);
  }
  pb::Attributes attributes(uint64_t inode) {
    pb::JobReply reply = attributes_reply(inode);
    EXPECT_EQ(reply.error(), 0) << "inode " << inode;
    return reply.attributes();
  }

  static pb::JobRequest creation(uint64_t parent, const std::string& name, pb::FileType type, uint32_t mode) {
    pb::JobRequest request;
    pb::Create& create = *request.mutable_create();
    create.set_parent(parent);
    create.set_name(name);
    create.set_type(type);
    create.set_how(pb::Create::GUARDED);
    create.mutable_set()->set_mode(mode);
    if (type == pb::FILE_TYPE_SYMLINK) create.set_target("target");
    return request;
  }
  pb::JobReply create(uint64_t parent, const std::string& name, pb::FileType type, uint32_t mode) {
    return run(creation(parent, name, type, mode));
  }
  // The new inode; fails the test on an error.
  uint64_t make(uint64_t parent, const std::string& name, pb::FileType type, uint32_t mode) {
    pb::JobReply reply = create(parent, name, type, mode);
    EXPECT_EQ(reply.error(), 0) << name << ": " << reply.message();
    return reply.attributes().inode();
  }
  uint64_t make_file(uint64_t parent, const std::string& name, uint32_t mode = 0644) {
    return make(parent, name, pb::FILE_TYPE_REGULAR, mode);
  }
  uint64_t make_directory(uint64_t parent, const std::string& name, uint32_t mode = 0755) {
    return make(parent, name, pb::FILE_TYPE_DIRECTORY, mode);
  }

  pb::JobReply link(uint64_t inode, uint64_t parent, const std::string& name) {
    pb::JobRequest request;
    request.mutable_link()->set_inode(inode);
    request.mutable_link()->set_parent(parent);
    request.mutable_link()->set_name(name);
    return run(request);
  }
  pb::JobReply remove(uint64_t parent, const std::string& name, bool directory) {
    pb::JobRequest request;
    request.mutable_remove()->set_parent(parent);
    request.mutable_remove()->set_name(name);
    request.mutable_remove()->set_directory(directory);
    return run(request);
  }
  pb::JobReply unlink(uint64_t parent, const std::string& name) { return remove(parent, name, false); }
  pb::JobReply rmdir(uint64_t parent, const std::string& name) { return remove(parent, name, true); }

  pb::JobReply rename(uint64_t from, const std::string& from_name, uint64_t to, const std::string& to_name,
                      bool no_replace = false, bool exchange = false) {
    pb::JobRequest request;
    pb::Rename& rename = *request.mutable_rename();
    rename.set_from_parent(from);
    rename.set_from_name(from_name);
    rename.set_to_parent(to);
    rename.set_to_name(to_name);
    rename.set_no_replace(no_replace);
    rename.set_exchange(exchange);
    return run(request);
  }

  pb::JobReply set(uint64_t inode, const pb::NewAttributes& attributes) {
    pb::JobRequest request;
    request.mutable_set_attributes()->set_inode(inode);
    *request.mutable_set_attributes()->mutable_set() = attributes;
    return run(request);
  }
  pb::JobReply chmod(uint64_t inode, uint32_t mode) {
    pb::NewAttributes set_mode;
    set_mode.set_mode(mode);
    return set(inode, set_mode);
  }
  pb::JobReply chown(uint64_t inode, uint32_t uid, uint32_t gid) {
    pb::NewAttributes owners;
    owners.set_uid(uid);
    owners.set_gid(gid);
    return set(inode, owners);
  }
  pb::JobReply truncate(uint64_t inode, uint64_t size) {
    pb::NewAttributes set_size;
    set_size.set_size(size);
    return set(inode, set_size);
  }
  pb::JobReply truncate_done(uint64_t inode, uint64_t sequence) {
    pb::JobRequest request;
    request.mutable_truncate_done()->set_inode(inode);
    request.mutable_truncate_done()->set_truncate_sequence(sequence);
    return run(request);
  }
  pb::JobReply written(uint64_t inode, uint64_t end, uint64_t sequence, int64_t mtime_ns, bool mark) {
    pb::JobRequest request;
    pb::Written& job = *request.mutable_written();
    job.set_inode(inode);
    job.set_end(end);
    job.set_truncate_sequence(sequence);
    job.set_time_ns(mtime_ns);
    job.set_mark(mark);
    return run(request);
  }
  pb::JobReply paused(uint64_t inode, uint64_t writer, int64_t mtime_ns, uint64_t changes,
                      uint64_t used_bytes) {
    pb::JobRequest request;
    pb::WritingPaused& job = *request.mutable_writing_paused();
    job.set_inode(inode);
    job.set_writer(writer);
    job.set_mtime_ns(mtime_ns);
    job.set_changes(changes);
    job.set_used_bytes(used_bytes);
    return run(request);
  }

  pb::JobReply list(uint64_t inode, uint64_t after = 0, uint32_t max_entries = 0,
                    bool with_attributes = false) {
    pb::JobRequest request;
    pb::ReadDirectory& job = *request.mutable_read_directory();
    job.set_inode(inode);
    job.set_after(after);
    job.set_max_entries(max_entries);
    job.set_attributes(with_attributes);
    return run(request);
  }
  // All names but "." and "..", in the order of their cookies.
  std::vector<std::string> names(uint64_t inode) {
    std::vector<std::string> all;
    for (uint64_t after = 0;;) {
      pb::JobReply reply = list(inode, after);
      EXPECT_EQ(reply.error(), 0);
      for (const pb::DirectoryEntry& entry : reply.entries()) {
        if (entry.name() != "." && entry.name() != "..") all.push_back(entry.name());
        after = entry.cookie();
      }
      if (reply.error() != 0 || reply.end()) return all;
    }
  }

  pb::JobReply open_session(uint64_t number) {
    pb::JobRequest request;
    request.mutable_open_session()->set_session(number);
    request.mutable_open_session()->set_name("site/access-" + std::to_string(number));
    return run(request);
  }
  // Of a client that has the publication, or through the access server's incarnation.
  pb::JobReply open_session(uint64_t number, uint64_t publication, uint64_t access_incarnation) {
    pb::JobRequest request;
    request.mutable_open_session()->set_session(number);
    request.mutable_open_session()->set_publication(publication);
    request.mutable_open_session()->set_access_incarnation(access_incarnation);
    return run(request);
  }
  // The primary's own job, as often as it takes.
  int close_fenced(const std::vector<uint64_t>& publications, const std::vector<uint64_t>& incarnations) {
    pb::JobRequest request;
    for (uint64_t id : publications) request.mutable_close_fenced()->add_publications(id);
    for (uint64_t id : incarnations) request.mutable_close_fenced()->add_access_incarnations(id);
    request.mutable_close_fenced();
    own = true;
    int batches = -1;
    do {
      EXPECT_EQ(run(request).error(), 0);
      batches++;
    } while (!last_batch.empty() && batches < 1000);
    own = false;
    return batches;
  }
  pb::JobReply close_session(uint64_t number) {
    pb::JobRequest request;
    request.mutable_close_session()->set_session(number);
    return run(request);
  }
  pb::JobReply keep_alive(uint64_t number, uint64_t orphans_seen = 0,
                          const std::vector<uint64_t>& holds = {}) {
    pb::JobRequest request;
    pb::KeepAlive& job = *request.mutable_keep_alive();
    job.set_session(number);
    job.set_orphans_seen(orphans_seen);
    for (uint64_t inode : holds) job.add_holds(inode);
    return run(request);
  }
  pb::JobReply list_orphans(uint32_t max = 0) {
    pb::JobRequest request;
    request.mutable_list_orphans()->set_max(max);
    return run(request);
  }
  pb::JobReply orphan_dropped(uint64_t inode) {
    pb::JobRequest request;
    request.mutable_orphan_dropped()->set_inode(inode);
    return run(request);
  }
  uint64_t inodes_in_use() {
    pb::JobRequest request;
    request.mutable_get_usage();
    return run(request).usage().inodes();
  }
};

}  // namespace shima
