// VolumeSession's reads with the bytes from the own site's replica (R17; own_replica_read.h has the rule).
//
// The frame to the primary is the piece's own: lost links, deadlines, refusals and new layouts end or repeat
// it like any other's. Whatever goes wrong with the replica only makes the piece ask the primary for the
// bytes.
#include <vector>

#include "accessserver/volume/own_replica_read.h"
#include "accessserver/volume/volume_session.h"

namespace shima {
namespace {}  // namespace

// Null if the piece is to be read at home.
const MemberLayout* VolumeSession::own_replica_of(const Piece& piece) {
  if (!piece.operation->may_use_own_replica || piece.bytes_from_home) return nullptr;
  if (piece.where.length < options_.replica_read_min_bytes || options_.own_site == layout_->home)
    return nullptr;
  if (loop_.now_us() < groups_[piece.group.value].replica_paused_until_us) return nullptr;
  for (const MemberLayout& member : group_layout(piece.group).members) {
    if (member.kind != MemberKind::kRemote || member.site != options_.own_site) continue;
    if (!member.host.empty()) return &member;
    look_for_changes();
    return nullptr;
  }
  return nullptr;
}

void VolumeSession::ask_own_replica(const PiecePtr& piece, const MemberLayout& member,
                                    const RequestContext& context) {
  OwnReplicaRead& read = *piece->own_replica;
  read.frame = ++last_frame_;
  ServerLink& link = link_to(member);
  read.link = &link;
  replica_out_[read.frame] = piece;
  link.send(encode_own_replica_read(*piece, read.frame, context));
}

void VolumeSession::on_version(const PiecePtr& piece, PieceReply version) {
  OwnReplicaRead& read = *piece->own_replica;
  if (read.version) return;  // a frame that came twice
  read.version = std::move(version);
  if (is_hole(*read.version)) return end_at_own_site(piece, true, {});
  if (read.bytes) return compare_with_version(piece);
  read.patience = loop_.after(options_.replica_wait_ms, [this, piece] {
    piece->own_replica->patience = 0;
    read_at_home(piece, ReplicaTrouble::kFailed);
  });
}

void VolumeSession::on_replica_reply(const Frame& frame) {
  auto found = replica_out_.find(frame.id);
  if (found == replica_out_.end()) return;  // too late
  PiecePtr piece = std::move(found->second);
  replica_out_.erase(found);
  OwnReplicaRead& read = *piece->own_replica;
  read.frame = 0;
  PieceReply reply = decode_own_replica_reply(*piece, frame);
  if (reply.status.code() == Code::kCorrupt) total_.checksum_errors++, window_.checksum_errors++;
  if (!reply.status) return read_at_home(piece, ReplicaTrouble::kFailed);
  read.bytes = std::move(reply);
  if (read.version) compare_with_version(piece);
}

void VolumeSession::compare_with_version(const PiecePtr& piece) {
  OwnReplicaRead& read = *piece->own_replica;
  switch (compare_versions(*read.version, *read.bytes)) {
    case ReplicaVerdict::kCurrent:
      return end_at_own_site(piece, read.bytes->all_zero, std::move(read.bytes->bytes));
    case ReplicaVerdict::kBehind:
      return read_at_home(piece, ReplicaTrouble::kBehind);
    case ReplicaVerdict::kOther:
      return read_at_home(piece, ReplicaTrouble::kOther);
  }
}

// The answer is the primary's, with these bytes.
void VolumeSession::end_at_own_site(const PiecePtr& piece, bool all_zero, Buffer bytes) {
  for (VolumeClientStats* stats : {&total_, &window_}) {
    stats->replica_reads++;
    stats->replica_bytes += piece->where.length;
  }
  PieceReply reply = std::move(*piece->own_replica->version);
  reply.all_zero = all_zero;
  reply.bytes = std::move(bytes);
  on_good_reply(piece, std::move(reply));
  send_waiting();
}

void VolumeSession::read_at_home(const PiecePtr& piece, ReplicaTrouble trouble) {
  total_.replica_fallbacks++, window_.replica_fallbacks++;
  if (trouble != ReplicaTrouble::kOther)
    groups_[piece->group.value].replica_paused_until_us = loop_.now_us() + options_.replica_pause_ms * 1000;
  piece->bytes_from_home = true;
  if (piece->frame) out_.erase(std::exchange(piece->frame, 0));
  forget_own_replica(*piece);
  if (trouble == ReplicaTrouble::kFailed) look_for_changes();
  if (!piece->operation->error.is_ok()) return end_later(piece);  // another piece of it failed
  send_piece(piece);
}

void VolumeSession::forget_own_replica(Piece& piece) {
  if (!piece.own_replica) return;
  if (piece.own_replica->frame) replica_out_.erase(piece.own_replica->frame);
  if (piece.own_replica->patience) loop_.cancel(piece.own_replica->patience);
  piece.own_replica = nullptr;
}

void VolumeSession::on_replica_link_lost(const ServerLink* link) {
  std::vector<PiecePtr> lost;
  for (auto& [frame, piece] : replica_out_) {
    if (piece->own_replica->link == link) lost.push_back(piece);
  }
  for (const PiecePtr& piece : lost) read_at_home(piece, ReplicaTrouble::kFailed);
}

// The member may be at another place now. The primary's answers would not say so.
void VolumeSession::look_for_changes() {
  if (loop_.now_us() - last_fetch_us_ >= uint64_t{options_.ask_after_ms} * 1000) fetch_layout();
}

}  // namespace shima
