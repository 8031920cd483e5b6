// VolumeSession: the VolumeClient. Operations come in on any thread, are cut and checksummed there, and live
// on the loop.
//
// A piece is waiting (for a place in flight), out (a frame was sent), parked (to be sent again after a pause
// and a look at the layout) or ended. From out on it holds its place in flight, so that what servers remember
// is bounded (R20). Pieces of bytes and all others wait in lanes of their own.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <unordered_map>
#include <vector>

#include "accessserver/volume/backoff.h"
#include "accessserver/volume/layout_fetcher.h"
#include "accessserver/volume/operation.h"
#include "accessserver/volume/piece_codec.h"
#include "accessserver/volume/request_window.h"
#include "accessserver/volume/server_link.h"
#include "accessserver/volume/volume_client.h"

namespace shima {

class VolumeSession final : public VolumeClient {
 public:
  VolumeSession(LayoutSource& source, VolumeLayout layout, const VolumeClientOptions& options,
                ClientId client);
  ~VolumeSession() override;

  void read(uint64_t offset, uint64_t length, ReadDone done) override;
  void write(uint64_t offset, Buffer bytes, Done done) override;
  void punch(uint64_t offset, uint64_t length, Done done) override;
  void read_site(const std::string& site, uint64_t offset, uint64_t length, ReadDone done) override;
  void read_site_file(const std::string& site, InodeId inode, uint64_t offset, uint64_t length,
                      ReadDone done) override;
  void run_job(const metadata::v1::JobRequest& request, JobDone done) override;
  void read_file(InodeId inode, uint64_t offset, uint64_t length, BytesDone done) override;
  void write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags, Done done) override;
  void punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags, Done done) override;
  void truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                     Done done) override;
  void inode_data(InodeId inode, InodeDone done) override;
  void seek_file(InodeId inode, uint64_t offset, uint64_t end, bool hole, SeekDone done) override;
  void retire(Status why) override;
  Status refresh() override;
  VolumeLayout layout() const override;
  void refresh_layout(Done done) override;
  EventLoop& loop() override { return loop_; }
  VolumeClientStats stats() override;
  VolumeClientStats take_stats() override;

 private:
  using OperationPtr = std::shared_ptr<Operation>;
  using LayoutPtr = std::shared_ptr<const VolumeLayout>;

  enum class FetchWish : uint8_t { kNone, kWanted, kRunning };
  struct GroupState {
    RequestWindow window;
    Sequence known;  // highest sequence seen in a reply
    std::vector<PiecePtr> parked;
    uint32_t failures = 0;         // in a row
    EventLoop::TimerId timer = 0;  // runs until the parked pieces' next try
    FetchWish fetch = FetchWish::kNone;
    uint64_t replica_paused_until_us = 0;  // the own site's replica was in trouble
  };
  enum class ReplicaTrouble : uint8_t { kFailed, kBehind, kOther };  // kOther: none of the replica's fault

  struct Lane {
    std::deque<PiecePtr> waiting;
    uint64_t in_flight = 0, in_flight_bytes = 0;
  };

  // file_calls.cc: operations, any thread
  OperationPtr make_operation(OperationKind kind, InodeId inode, Operation::Callback done) const;
  PiecePtr add_piece(const OperationPtr& operation, GroupIndex group, const BlockPiece& where) const;
  void cut(const OperationPtr& operation, uint64_t offset, uint64_t length, const Buffer& bytes) const;
  std::vector<GroupIndex> groups_with_blocks(InodeId inode, uint64_t from, uint64_t upto) const;
  GroupIndex group_of(InodeId inode, BlockIndex block) const;
  BlockPiece place_of(uint64_t offset) const;
  void punch_next(InodeId inode, uint64_t offset, uint64_t end, WriteTags tags, Done done);
  void find_hole(InodeId inode, uint64_t offset, uint64_t end, uint64_t blocks, SeekDone done);

  // volume_session.cc: operations, any thread
  void submit(OperationPtr operation);
  Status check_volume_range(const Operation& operation, uint64_t offset) const;
  Status check_site(const std::string& site) const;
  LayoutPtr current_layout() const;
  template <typename F>
  auto on_loop(F task);  // runs it on the loop and waits for its value

  // volume_session.cc: operations, loop
  void admit(const OperationPtr& operation);
  void end_piece(const PiecePtr& piece, const Status& status);
  void end_operation(Operation& operation);
  void end_everything(const Status& status);
  void close_for_good(Status why);
  void keep_sweeping();
  void sweep_deadlines();
  Status deadline_error(const Piece& piece) const;

  // piece_dispatch.cc: pieces, loop
  Lane& lane_of(const Piece& piece);
  void send_waiting();
  void send_waiting(Lane& lane);
  void end_later(const PiecePtr& piece);  // with its operation's error
  void send_piece(const PiecePtr& piece);
  const GroupLayout& group_layout(GroupIndex group) const;
  const MemberLayout* choose_member(const Piece& piece, Status& why_not) const;
  ServerLink& link_to(const MemberLayout& member);
  void on_reply(Frame frame);
  void on_good_reply(const PiecePtr& piece, PieceReply reply);
  void on_fenced(const Status& why);
  void on_link_lost(ServerId server, const ServerLink* link, const Status& why);
  void park(const PiecePtr& piece, Status why);
  void retry_group(GroupState& group);
  void fetch_layout();
  void on_layout(Result<VolumeLayout> fetched);
  void adopt_layout(VolumeLayout layout);
  void ask_for_changes(uint64_t now_us);
  void resend_what_has_moved();

  // replica_reads.cc: pieces that ask the own site's replica, too (R17), loop
  const MemberLayout* own_replica_of(const Piece& piece);
  void ask_own_replica(const PiecePtr& piece, const MemberLayout& member, const RequestContext& context);
  void on_version(const PiecePtr& piece, PieceReply version);
  void on_replica_reply(const Frame& frame);
  void compare_with_version(const PiecePtr& piece);
  void end_at_own_site(const PiecePtr& piece, bool all_zero, Buffer bytes);
  void read_at_home(const PiecePtr& piece, ReplicaTrouble trouble);
  void forget_own_replica(Piece& piece);
  void on_replica_link_lost(const ServerLink* link);
  void look_for_changes();

  const VolumeClientOptions options_;
  const std::string name_;
  const VolumeId volume_;
  const uint32_t block_size_;
  const uint32_t data_groups_;  // the metadata group's index is the next one
  const ClientId client_;
  const Backoff backoff_;

  mutable std::mutex layout_mutex_;
  LayoutPtr layout_;  // under layout_mutex_; changed by the loop only

  EventLoop loop_{"volume-client"};
  LayoutFetcher fetcher_;

  // The loop's own from here on.
  std::vector<GroupState> groups_;  // the data groups, then the metadata group
  Lane bytes_lane_, small_lane_;
  std::vector<PiecePtr> ending_;                        // until the end of a turn
  std::unordered_map<uint64_t, PiecePtr> out_;          // by frame id
  std::unordered_map<uint64_t, PiecePtr> replica_out_;  // by the id of the frame to the own site's replica
  std::map<ServerId, std::shared_ptr<ServerLink>> links_;
  std::vector<std::function<void(Status)>> refresh_waiters_;
  std::mt19937_64 random_;
  uint64_t last_frame_ = 0;
  uint64_t operations_ = 0;  // not ended
  EventLoop::TimerId sweep_timer_ = 0;
  bool fetching_ = false;
  uint64_t last_fetch_us_ = 0;
  Status closed_;  // why nothing is taken any more
  VolumeClientStats total_, window_;
};

}  // namespace shima
