// VolumeSession's pieces: out to the primaries, back with replies, and again when something is in the way.
#include <algorithm>
#include <cstring>

#include "accessserver/volume/own_replica_read.h"
#include "accessserver/volume/volume_session.h"
#include "common/types/record.h"

namespace shima {
namespace {

constexpr uint32_t kMaxCorruptTries = 3;

bool is_worth_another_try(Code code) {
  return code == Code::kUnavailable || code == Code::kNotPrimary || code == Code::kStaleTerm ||
         code == Code::kDeadlineExceeded;
}

// Zeros for holes: read, never written, so that one piece of memory is enough for all of them.
Buffer zeros(uint32_t size) {
  static const Buffer kZeros = Buffer::zeros(kMaxBlockSize);
  return kZeros.slice(0, size);
}

void take_bytes(Operation& operation, const Piece& piece, PieceReply& reply) {
  operation.fence = std::max(operation.fence, reply.fence);
  if (!operation.assembled) {
    operation.whole = reply.all_zero ? zeros(piece.where.length) : std::move(reply.bytes);
  } else if (reply.all_zero) {
    std::memset(operation.assembled.get() + piece.where.range_offset, 0, piece.where.length);
  } else {
    std::memcpy(operation.assembled.get() + piece.where.range_offset, reply.bytes.data(), piece.where.length);
  }
}

void add_inode_data(InodeData& sum, const InodeData& group) {
  sum.fence = std::max(sum.fence, group.fence);
  sum.mtime_ns = std::max(sum.mtime_ns, group.mtime_ns);
  sum.changes += group.changes;
  sum.used_bytes += group.used_bytes;
  sum.volume_used_bytes += group.volume_used_bytes;
}

// Adds what a piece brought to its operation.
void take_answer(Operation& operation, const Piece& piece, PieceReply& reply) {
  switch (operation.kind) {
    case OperationKind::kRead:
      return take_bytes(operation, piece, reply);
    case OperationKind::kJob:
      operation.job_reply = std::move(reply.job_reply);
      return;
    case OperationKind::kInodeData:
      return add_inode_data(operation.inode_data, reply.inode_data);
    case OperationKind::kSeek:
      if (reply.found) operation.found = std::min(operation.found.value_or(*reply.found), *reply.found);
      return;
    case OperationKind::kWrite:
    case OperationKind::kPunch:
    case OperationKind::kTruncate:
      return;
  }
}

}  // namespace

VolumeSession::Lane& VolumeSession::lane_of(const Piece& piece) {
  switch (piece.operation->kind) {
    case OperationKind::kRead:
    case OperationKind::kWrite:
    case OperationKind::kPunch:
      return bytes_lane_;
    default:
      return small_lane_;
  }
}

void VolumeSession::send_waiting() {
  send_waiting(small_lane_);
  send_waiting(bytes_lane_);
}

void VolumeSession::send_waiting(Lane& lane) {
  while (!lane.waiting.empty() && lane.in_flight < options_.max_in_flight) {
    PiecePtr piece = lane.waiting.front();
    if (lane.in_flight > 0 && lane.in_flight_bytes + piece->cost() > options_.max_in_flight_bytes) return;
    lane.waiting.pop_front();
    if (!piece->operation->error.is_ok()) {  // another piece of it failed: do not begin this one
      end_later(piece);
      continue;
    }
    lane.in_flight++;
    lane.in_flight_bytes += piece->cost();
    piece->placed = true;
    if (piece->wants_request_id) piece->request = groups_[piece->group.value].window.begin();
    send_piece(piece);
  }
}

// In a turn of its own: a caller whose operation is being taken in must not find itself in a callback.
void VolumeSession::end_later(const PiecePtr& piece) {
  ending_.push_back(piece);
  if (ending_.size() > 1) return;
  loop_.post([this] {
    for (const PiecePtr& ended : std::exchange(ending_, {})) end_piece(ended, ended->operation->error);
    send_waiting();
  });
}

void VolumeSession::send_piece(const PiecePtr& piece) {
  Status why_not;
  const MemberLayout* member = choose_member(*piece, why_not);
  if (!member) return park(piece, why_not);
  GroupState& group = groups_[piece->group.value];
  uint64_t now = loop_.now_us();
  uint64_t left_ms = piece->operation->deadline_us > now ? (piece->operation->deadline_us - now) / 1000 : 0;
  piece->frame = ++last_frame_;
  ServerLink& link = link_to(*member);
  piece->link = &link;
  piece->sent_us = now;
  piece->server = member->server;
  piece->term = group_layout(piece->group).term;
  piece->server_name = member->server_name;
  total_.pieces_sent++, window_.pieces_sent++;
  if (piece->times_sent++ > 0) total_.pieces_sent_again++, window_.pieces_sent_again++;
  out_[piece->frame] = piece;
  const MemberLayout* own_replica = own_replica_of(*piece);
  if (own_replica) piece->own_replica = std::make_shared<OwnReplicaRead>();
  RequestContext context{.volume = volume_,
                         .client = client_,
                         .settled_below = group.window.settled_below(),
                         .known_sequence = group.known,
                         .deadline_ms = static_cast<uint32_t>(left_ms)};
  link.send(encode_request(*piece, context));
  if (own_replica) ask_own_replica(piece, *own_replica, context);
}

const GroupLayout& VolumeSession::group_layout(GroupIndex group) const {
  return group.value < data_groups_ ? layout_->groups[group.value] : layout_->metadata;
}

const MemberLayout* VolumeSession::choose_member(const Piece& piece, Status& why_not) const {
  const std::string& site = piece.operation->site;
  for (const MemberLayout& member : group_layout(piece.group).members) {
    // The home has two members; its primary has every block, its secondary only second copies.
    bool wanted =
        site.empty() || site == layout_->home ? member.kind == MemberKind::kPrimary : member.site == site;
    if (!wanted) continue;
    if (!member.host.empty()) return &member;
    why_not = {Code::kUnavailable, "the address of server " + std::to_string(member.server.value) +
                                       " is not known: is it registered?"};
    return nullptr;
  }
  why_not = {Code::kUnavailable, "group " + std::to_string(piece.group.value) + " of volume " + name_ +
                                     " has no " + (site.empty() ? "primary" : "member at " + site)};
  return nullptr;
}

ServerLink& VolumeSession::link_to(const MemberLayout& member) {
  ServerLink::Peer peer{member.server, member.host, member.port};
  std::shared_ptr<ServerLink>& link = links_[member.server];
  if (link && link->peer() == peer) return *link;
  if (link) {  // the server has moved: what was sent to its old address will not be answered
    std::shared_ptr<ServerLink> old = std::exchange(link, nullptr);
    old->close();
    loop_.post([this, old, id = member.server] {
      on_link_lost(id, old.get(), {Code::kUnavailable, "the server has a new address"});
    });
  }
  ConnectionOptions options{.dead_after_ms = options_.dead_after_ms,
                            .socket_buffer_bytes = options_.socket_buffer_bytes};
  link = std::make_shared<ServerLink>(loop_, peer, client_, options_.identity, options);
  link->open(
      {.on_reply = [this](Frame frame) { on_reply(std::move(frame)); },
       .on_lost = [this, id = member.server, raw = link.get()](Status why) { on_link_lost(id, raw, why); }});
  return *link;
}

void VolumeSession::on_reply(Frame frame) {
  auto found = out_.find(frame.id);
  if (found == out_.end()) return on_replica_reply(frame);  // or one that was given up at its deadline
  PiecePtr piece = found->second;
  PieceReply reply = decode_reply(*piece, frame, block_size_);
  Code code = reply.status.code();
  if (code == Code::kOk && piece->own_replica) {
    return on_version(piece, std::move(reply));
  } else if (code == Code::kOk) {
    on_good_reply(piece, std::move(reply));
  } else if (code == Code::kCorrupt) {
    total_.checksum_errors++, window_.checksum_errors++;
    if (++piece->times_corrupt < kMaxCorruptTries)
      return park(piece, reply.status.with_context(piece->server_name));
    end_piece(piece, reply.status.with_context(piece->server_name + ", after three tries"));
  } else if (code == Code::kFenced) {
    return on_fenced(reply.status.with_context(piece->server_name));
  } else if (is_worth_another_try(code)) {
    return park(piece, reply.status.with_context(piece->server_name));
  } else {
    end_piece(piece, reply.status.with_context(piece->server_name));
  }
  send_waiting();
}

void VolumeSession::on_good_reply(const PiecePtr& piece, PieceReply reply) {
  GroupState& group = groups_[piece->group.value];
  group.failures = 0;
  if (piece->operation->site.empty()) group.known = std::max(group.known, reply.sequence);
  take_answer(*piece->operation, *piece, reply);
  end_piece(piece, {});
}

// The identity is refused, not the piece: nothing of this client's may be sent again (R20).
void VolumeSession::on_fenced(const Status& why) {
  if (!closed_.is_ok()) return;
  close_for_good(why);
  if (options_.on_fenced) options_.on_fenced(why);
}

void VolumeSession::on_link_lost(ServerId server, const ServerLink* link, const Status& why) {
  total_.connections_lost++, window_.connections_lost++;
  auto current = links_.find(server);
  if (current != links_.end() && current->second.get() == link) links_.erase(current);
  std::vector<PiecePtr> lost;
  for (auto& [frame, piece] : out_) {
    if (piece->link == link) lost.push_back(piece);
  }
  std::ranges::sort(lost, {}, [](const PiecePtr& piece) { return piece->frame; });  // keep their order
  for (const PiecePtr& piece : lost) park(piece, why.with_context(piece->server_name));
  on_replica_link_lost(link);
}

void VolumeSession::park(const PiecePtr& piece, Status why) {
  if (piece->frame) out_.erase(std::exchange(piece->frame, 0));
  forget_own_replica(*piece);
  piece->last_error = std::move(why);
  const Status& error = piece->operation->error;
  // One that may have happened is tried until its end is known: afterwards nothing of the operation may
  // happen any more, for the caller's next write to the same place would not be ordered against it.
  if (!error.is_ok() && !piece->may_have_happened()) return end_later(piece);
  GroupState& group = groups_[piece->group.value];
  group.parked.push_back(piece);
  if (group.timer || group.fetch == FetchWish::kWanted) return;
  group.failures++;
  group.timer = loop_.after(backoff_.delay_ms(group.failures, random_()), [this, &group] {
    group.timer = 0;
    group.fetch = FetchWish::kWanted;
    fetch_layout();
  });
}

void VolumeSession::fetch_layout() {
  if (fetching_) return;  // on_layout() starts another one for those that came meanwhile
  fetching_ = true;
  last_fetch_us_ = loop_.now_us();
  for (GroupState& group : groups_) {
    if (group.fetch == FetchWish::kWanted) group.fetch = FetchWish::kRunning;
  }
  total_.layouts_fetched++, window_.layouts_fetched++;
  auto waiters =
      std::make_shared<std::vector<std::function<void(Status)>>>(std::exchange(refresh_waiters_, {}));
  fetcher_.request([this, waiters](Result<VolumeLayout> fetched) {
    loop_.post([this, waiters, fetched = std::move(fetched)]() mutable {
      Status status = fetched.status();
      on_layout(std::move(fetched));
      for (auto& waiter : *waiters) waiter(status);
    });
  });
}

void VolumeSession::on_layout(Result<VolumeLayout> fetched) {
  fetching_ = false;
  if (fetched) {
    adopt_layout(std::move(*fetched));
    resend_what_has_moved();
  } else if (fetched.status().code() == Code::kNotFound) {
    return end_everything(fetched.status());
  }
  // Without an answer the old layout is tried again: the control plane's trouble is not the data path's.
  bool more = !refresh_waiters_.empty();
  for (GroupState& group : groups_) {
    if (group.fetch == FetchWish::kWanted) more = true;
    if (group.fetch == FetchWish::kRunning) retry_group(group);
  }
  if (more) fetch_layout();
}

// A server that is no primary any more may never answer. Sending again without a reason would only add load
// to a slow path, so a look at the layout decides.
void VolumeSession::ask_for_changes(uint64_t now_us) {
  uint64_t patience_us = uint64_t{options_.ask_after_ms} * 1000;
  if (now_us - last_fetch_us_ < patience_us) return;
  for (auto& [frame, piece] : out_) {
    if (now_us - piece->sent_us >= patience_us) return fetch_layout();
  }
}

void VolumeSession::resend_what_has_moved() {
  std::vector<PiecePtr> moved;
  for (auto& [frame, piece] : out_) {
    Status why_not;
    const MemberLayout* member = choose_member(*piece, why_not);
    bool same = member && member->server == piece->server && group_layout(piece->group).term == piece->term;
    if (!same) moved.push_back(piece);
  }
  std::ranges::sort(moved, {}, [](const PiecePtr& piece) { return piece->frame; });
  for (const PiecePtr& piece : moved)
    park(piece, {Code::kStaleTerm, "the group has another primary or term now"});
}

void VolumeSession::retry_group(GroupState& group) {
  group.fetch = FetchWish::kNone;
  for (const PiecePtr& piece : std::exchange(group.parked, {})) send_piece(piece);
}

void VolumeSession::adopt_layout(VolumeLayout layout) {
  if (layout.volume != volume_ || layout.groups.size() != data_groups_ || layout.block_size != block_size_) {
    closed_ = {Code::kNotFound,
               "volume " + name_ + " was deleted, and another one of this name was made: open it again"};
    return end_everything(closed_);
  }
  if (layout.config_version < layout_->config_version) return;  // from a server that lags behind
  std::lock_guard lock(layout_mutex_);
  layout_ = std::make_shared<const VolumeLayout>(std::move(layout));
}

}  // namespace shima
