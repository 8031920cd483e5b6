#include "coreserver/driver/peer_frames.h"

#include "common/transport/frame.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

namespace {

// A piece of a block, of metadata or of the request window on its way to a remote that is rebuilt.
Status deliver_piece(ServerId from, const data::v1::Resync& piece, Buffer payload,
                     const WithGroup& with_group) {
  bool chunks = piece.offset() % kChunkSize == 0 && piece.length() % kChunkSize == 0;
  bool sane = piece.length() > 0 && uint64_t{piece.offset()} + piece.length() <= kMaxBlockSize &&
              piece.length() == payload.size() && (chunks || piece.batch() || piece.window_piece());
  if (piece.inode_state()) sane = payload.empty();
  if (!sane) return {Code::kCorrupt, "a piece of a resync with an impossible range"};
  std::vector<uint32_t> checksums(piece.checksums().begin(), piece.checksums().end());
  if (!piece.inode_state() && !chunks_match(payload.span(), checksums))
    return {Code::kCorrupt, "a piece of a resync does not match its checksums"};
  GroupId group{VolumeId(piece.group().volume()), GroupIndex(piece.group().group())};
  with_group(group, [from, piece, payload = std::move(payload)](GroupDriver* g) {
    if (g) g->resync_piece(from, piece, payload);
  });
  return Status::ok();
}

}  // namespace

Status deliver_peer_frame(ServerId from, const ConnectionPtr& via, Frame frame, const WithGroup& with_group) {
  data::v1::Header header;
  if (!header.ParseFromString(frame.header))
    return {Code::kCorrupt, "a frame's header is no shima.data.v1.Header"};
  if (header.has_resync() && !header.resync().first() && !header.resync().last()) {
    return deliver_piece(from, header.resync(), std::move(frame.payload), with_group);
  }
  if (header.has_resync_taken()) {
    const data::v1::ResyncTaken& taken = header.resync_taken();
    GroupId group{VolumeId(taken.group().volume()), GroupIndex(taken.group().group())};
    with_group(group, [from, taken](GroupDriver* g) {
      if (g) g->resync_taken(from, taken);
    });
    return Status::ok();
  }
  Result<ReceivedMessage> message = message_of(header, frame.payload);
  if (!message.is_ok()) return message.status();
  with_group(message->group, [from, via, m = std::move(message->message)](GroupDriver* g) {
    if (g) g->peer_message(from, m, via);
  });
  return Status::ok();
}

}  // namespace shima
