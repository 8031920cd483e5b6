// A core server for tests of the volume client: answers from a map, and misbehaves on request.
//
// A job is answered with an inode number that counts the jobs that were carried out, so that a test sees
// whether a repetition got the first answer. Group 8 of a test's volume is its metadata group.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "accessserver/volume/volume_layout.h"
#include "common/transport/connection.h"
#include "shima/data/v1/data.pb.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// What a data group knows of an inode.
struct FakeInode {
  uint64_t fence = 0;
  int64_t mtime_ns = 0;
  uint64_t changes = 0;
  uint64_t truncated_at = 0;  // sequence of the newest truncation
};

// One change of a group, as it is shipped to a replica.
struct FakeRecord {
  data::v1::WriteRequest write;
  Buffer payload;
};

// What all servers of a test share: the volume's blocks, and the requests that were carried out. The servers
// of another site share another one.
struct FakeVolume {
  explicit FakeVolume(uint32_t block_size) : block_size(block_size) {}

  // Carries out a change that is the group's next one. Under the mutex.
  void apply(const data::v1::WriteRequest& write, const Buffer& payload);
  // Brings the next records, at most so many, of one group or of all, to another site's volume, which nobody
  // else writes. Takes both mutexes, the replica's alone while records are applied.
  void ship(FakeVolume& replica, uint32_t group, size_t most);
  void ship_all(FakeVolume& replica);

  const uint32_t block_size;
  std::mutex mutex;
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, std::vector<uint8_t>>
      blocks;  // by group, inode and block; one that is a hole as a whole is not there
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, uint64_t> versions;  // of these, sequences
  std::map<std::pair<uint32_t, uint64_t>, FakeInode> inodes;              // by group and inode
  std::map<uint32_t, std::vector<FakeRecord>> records;  // by group; the first has sequence 1
  std::map<std::tuple<uint32_t, uint64_t, uint64_t>, data::v1::WriteReply>
      results;                                 // by group, client and request
  std::map<uint32_t, uint64_t> sequences;      // by group
  std::vector<data::v1::WriteRequest> writes;  // every one that came in, duplicates too
  std::vector<data::v1::ReadRequest> reads;
  std::vector<data::v1::InodeRequest> inode_queries;
  std::vector<data::v1::SeekRequest> seeks;
  uint64_t executed = 0;  // writes that were not duplicates

  std::vector<data::v1::JobRequest> jobs;                            // every one that came in, duplicates too
  std::vector<metadata::v1::JobRequest> job_bodies;                  // what they asked for
  std::map<std::pair<uint64_t, uint64_t>, std::string> job_results;  // by client and request
  uint64_t jobs_executed = 0;                                        // that were not duplicates
};

enum class Misbehave { kNo, kIgnore, kClose, kFlipBit, kAnswerTwice, kExecuteThenClose };

struct Behaviour {
  Misbehave how = Misbehave::kNo;
  Code code = Code::kOk;  // other than kOk: the answer, nothing is carried out
  uint32_t delay_ms = 0;
};

class FakeCoreServer {
 public:
  using Choose = std::function<Behaviour(const data::v1::Header&)>;

  FakeCoreServer(std::shared_ptr<FakeVolume> volume, uint64_t server_id);
  ~FakeCoreServer();

  void behave(Choose choose);  // for each request; from any thread
  void drop_connections();     // returns when they are closed
  uint16_t port() const { return listener_->port(); }
  MemberLayout member(MemberKind kind, const std::string& site = "here") const;

 private:
  void on_frame(Connection& connection, Frame frame);
  Frame answer(const Frame& request, const data::v1::Header& header, const Behaviour& behaviour);
  data::v1::ReadReply describe_read(const data::v1::ReadRequest& read);
  Frame answer_read(const data::v1::ReadRequest& read, const Behaviour& behaviour);
  data::v1::WriteReply answer_write(const data::v1::WriteRequest& write, const Buffer& payload,
                                    const Behaviour& behaviour);
  data::v1::WriteReply execute(const data::v1::WriteRequest& write, const Buffer& payload);
  Frame answer_job(const data::v1::JobRequest& job, const Buffer& payload, const Behaviour& behaviour);
  std::string execute_job(const data::v1::JobRequest& job);
  data::v1::InodeReply answer_inode_query(const data::v1::InodeRequest& query, const Behaviour& behaviour);
  data::v1::SeekReply answer_seek(const data::v1::SeekRequest& seek, const Behaviour& behaviour);

  const std::shared_ptr<FakeVolume> volume_;
  const uint64_t server_id_;
  EventLoop loop_{"fake-core"};
  std::mutex mutex_;
  Choose choose_;                                       // under mutex_
  std::vector<std::weak_ptr<Connection>> connections_;  // the loop's
  std::unique_ptr<Listener> listener_;
};

// A layout that tests set, which may also fail.
class FakeLayoutSource : public LayoutSource {
 public:
  Result<VolumeLayout> fetch(const std::string& name) override;
  void set(Result<VolumeLayout> layout);
  int fetches();

 private:
  std::mutex mutex_;
  Result<VolumeLayout> layout_{Code::kNotFound, "there is no such volume"};
  int fetches_ = 0;
};

// A volume "db" of 8 data groups; group i has the primary members[i % size], the metadata group members[0].
VolumeLayout make_layout(const std::vector<MemberLayout>& primaries, uint32_t block_size,
                         uint64_t size_bytes);

}  // namespace shima
