#include "accessserver/volume/piece_codec.h"

#include <limits>

#include "accessserver/volume/job_codec.h"
#include "common/release/release.h"
#include "common/transport/protocol_range.h"
#include "common/types/crc32c.h"
#include "shima/data/v1/data.pb.h"

namespace shima {
namespace {

namespace pb = shima::data::v1;

// ---- requests

template <typename Request>
void address(const Piece& piece, const RequestContext& context, Request& request) {
  request.set_volume(context.volume.value);
  request.set_group(piece.group.value);
  request.set_deadline_ms(context.deadline_ms);
}

// Requests that change something, and jobs.
template <typename Request>
void identify(const Piece& piece, const RequestContext& context, Request& request) {
  request.set_client(context.client.value);
  request.set_request(piece.request.value);
  request.set_settled_below(context.settled_below.value);
  request.set_known_sequence(context.known_sequence.value);
}

void encode_read(const Piece& piece, const RequestContext& context, pb::ReadRequest& read) {
  BlockPiece chunks = whole_chunks(piece.where);
  address(piece, context, read);
  read.set_inode(piece.operation->inode.value);
  read.set_block(chunks.block.value);
  read.set_offset(chunks.offset);
  read.set_length(chunks.length);
  read.set_own_replica(!piece.operation->site.empty());
  read.set_version_only(piece.own_replica != nullptr);
}

void encode_write(const Piece& piece, const RequestContext& context, pb::WriteRequest& write) {
  const Operation& operation = *piece.operation;
  address(piece, context, write);
  identify(piece, context, write);
  write.set_inode(operation.inode.value);
  write.set_block(piece.where.block.value);
  write.set_offset(piece.where.offset);
  write.set_length(piece.where.length);
  write.set_punch(operation.kind == OperationKind::kPunch);
  write.mutable_checksums()->Add(piece.checksums.begin(), piece.checksums.end());
  write.set_fence(operation.tags.fence);
  write.set_time_ns(operation.tags.time_ns);
  write.set_truncate(operation.kind == OperationKind::kTruncate);
  write.set_remove(operation.remove);
}

void encode_job(const Piece& piece, const RequestContext& context, pb::JobRequest& job) {
  address(piece, context, job);
  identify(piece, context, job);
  job.set_checksum(piece.checksums[0]);
}

void encode_inode_query(const Piece& piece, const RequestContext& context, pb::InodeRequest& inode) {
  address(piece, context, inode);
  inode.set_inode(piece.operation->inode.value);
}

void encode_seek(const Piece& piece, const RequestContext& context, pb::SeekRequest& seek) {
  address(piece, context, seek);
  seek.set_inode(piece.operation->inode.value);
  seek.set_block(piece.where.block.value);
  seek.set_offset(piece.where.offset);
  seek.set_hole(piece.operation->hole);
}

// ---- replies

template <typename Reply>
Status status_of(const Reply& reply) {
  if (reply.code() == 0) return {};
  // A code that this version does not know cannot be one that it could react to.
  bool known = reply.code() <= static_cast<uint32_t>(kLastCode);
  return {known ? static_cast<Code>(reply.code()) : Code::kInternal, reply.message()};
}

PieceReply decode_read_reply(const Piece& piece, const Frame& frame, const pb::ReadReply& reply,
                             bool version_only) {
  PieceReply result{.status = status_of(reply),
                    .sequence = Sequence(reply.sequence()),
                    .term = Term(reply.term()),
                    .visible = Sequence(reply.visible()),
                    .fence = reply.fence()};
  if (!result.status || version_only) return result;
  if (reply.all_zero()) {
    result.all_zero = true;
    return result;
  }
  BlockPiece chunks = whole_chunks(piece.where);
  if (frame.payload.size() != chunks.length) {
    result.status = {Code::kCorrupt, "wanted " + std::to_string(chunks.length) + " bytes, found " +
                                         std::to_string(frame.payload.size()) + " in the reply"};
    return result;
  }
  Status intact =
      verify_payload(frame.payload.span(), {reply.checksums().data(), size_t(reply.checksums_size())});
  // Too few checksums are the reply's fault, whatever verify_payload() calls them: worth another try.
  if (!intact) result.status = {Code::kCorrupt, intact.message()};
  result.bytes = frame.payload.slice(piece.where.offset - chunks.offset, piece.where.length);
  return result;
}

PieceReply reply_of_another_kind() {
  return {.status = {Code::kInternal,
                     "the server's reply is of another kind than the request: versions differ?"}};
}

PieceReply decode_job(const Frame& frame, const pb::JobReply& reply) {
  PieceReply result{.status = status_of(reply), .sequence = Sequence(reply.sequence())};
  if (!result.status) return result;
  Result<metadata::v1::JobReply> job = decode_job_reply(frame.payload, reply.checksum());
  if (job) {
    result.job_reply = std::move(*job);
  } else {
    result.status = job.status();
  }
  return result;
}

PieceReply decode_inode_reply(const pb::InodeReply& reply) {
  return {.status = status_of(reply),
          .inode_data = {.fence = reply.fence(),
                         .mtime_ns = reply.mtime_ns(),
                         .changes = reply.changes(),
                         .used_bytes = reply.used_bytes(),
                         .volume_used_bytes = reply.group_used_bytes()}};
}

PieceReply decode_seek_reply(const Piece& piece, const pb::SeekReply& reply, uint32_t block_size) {
  PieceReply result{.status = status_of(reply)};
  if (!result.status || !reply.found()) return result;
  BlockIndex block(reply.block());
  bool inside =
      reply.offset() < block_size && block.value < std::numeric_limits<uint64_t>::max() / block_size;
  bool after =
      block > piece.where.block || (block == piece.where.block && reply.offset() >= piece.where.offset);
  bool asked_for = !piece.operation->hole || block == piece.where.block;
  if (inside && after && asked_for) {
    result.found = block.value * block_size + reply.offset();
  } else {
    result.status = {Code::kInternal, "asked from block " + std::to_string(piece.where.block.value) +
                                          " offset " + std::to_string(piece.where.offset) +
                                          " on, the server found block " + std::to_string(block.value) +
                                          " offset " + std::to_string(reply.offset()) + ": versions differ?"};
  }
  return result;
}

}  // namespace

std::vector<uint32_t> write_checksums(const BlockPiece& where, const Buffer& payload) {
  if (where.offset % kChunkSize == 0 && where.length % kChunkSize == 0)
    return chunk_checksums(payload.span());
  return {crc32c(payload.span())};
}

Frame encode_request(const Piece& piece, const RequestContext& context) {
  pb::Header header;
  switch (piece.operation->kind) {
    case OperationKind::kRead:
      encode_read(piece, context, *header.mutable_read());
      break;
    case OperationKind::kWrite:
    case OperationKind::kPunch:
    case OperationKind::kTruncate:
      encode_write(piece, context, *header.mutable_write());
      break;
    case OperationKind::kJob:
      encode_job(piece, context, *header.mutable_job());
      break;
    case OperationKind::kInodeData:
      encode_inode_query(piece, context, *header.mutable_inode());
      break;
    case OperationKind::kSeek:
      encode_seek(piece, context, *header.mutable_seek());
      break;
  }
  Frame frame;
  frame.id = piece.frame;
  header.SerializeToString(&frame.header);
  frame.payload = piece.payload;
  return frame;
}

Frame encode_own_replica_read(const Piece& piece, uint64_t frame_id, const RequestContext& context) {
  pb::Header header;
  encode_read(piece, context, *header.mutable_read());
  header.mutable_read()->set_own_replica(true);
  header.mutable_read()->set_version_only(false);
  Frame frame;
  frame.id = frame_id;
  header.SerializeToString(&frame.header);
  return frame;
}

PieceReply decode_reply(const Piece& piece, const Frame& frame, uint32_t block_size) {
  pb::Header header;
  if (header.ParseFromString(frame.header)) {
    switch (piece.operation->kind) {
      case OperationKind::kRead:
        if (header.has_read_reply())
          return decode_read_reply(piece, frame, header.read_reply(), piece.own_replica != nullptr);
        break;
      case OperationKind::kWrite:
      case OperationKind::kPunch:
      case OperationKind::kTruncate:
        if (header.has_write_reply()) {
          const pb::WriteReply& reply = header.write_reply();
          return {.status = status_of(reply), .sequence = Sequence(reply.sequence())};
        }
        break;
      case OperationKind::kJob:
        if (header.has_job_reply()) return decode_job(frame, header.job_reply());
        break;
      case OperationKind::kInodeData:
        if (header.has_inode_reply()) return decode_inode_reply(header.inode_reply());
        break;
      case OperationKind::kSeek:
        if (header.has_seek_reply()) return decode_seek_reply(piece, header.seek_reply(), block_size);
        break;
    }
  }
  return reply_of_another_kind();
}

PieceReply decode_own_replica_reply(const Piece& piece, const Frame& frame) {
  pb::Header header;
  if (header.ParseFromString(frame.header) && header.has_read_reply())
    return decode_read_reply(piece, frame, header.read_reply(), false);
  return reply_of_another_kind();
}

Frame encode_greeting(ClientId client, const ClientIdentity& identity, ServerId expected) {
  pb::Header header;
  pb::Greeting& greeting = *header.mutable_greeting();
  greeting.set_client_id(client.value);
  greeting.set_expected_server_id(expected.value);
  greeting.set_software("shima volume client " + software_version());
  greeting.set_protocol_min(kDataProtocols.min);
  greeting.set_protocol_max(kDataProtocols.max);
  greeting.set_node(identity.node);
  greeting.set_publication(identity.publication);
  greeting.set_access_server(identity.access_server);
  greeting.set_access_incarnation(identity.access_incarnation);
  greeting.set_access_revision(identity.access_revision);
  Frame frame;
  header.SerializeToString(&frame.header);
  return frame;
}

Status check_greeting(const Frame& frame, ServerId expected) {
  pb::Header header;
  if (!header.ParseFromString(frame.header) || !header.has_greeting()) {
    return {Code::kUnavailable, "the server's first frame is no greeting"};
  }
  const pb::Greeting& greeting = header.greeting();
  if (greeting.server_id() != expected.value) {
    return {Code::kUnavailable, "wanted server " + std::to_string(expected.value) + ", found server " +
                                    std::to_string(greeting.server_id()) + " at its address"};
  }
  Result<ProtocolRange> protocols = protocol_range_from(greeting.protocol_min(), greeting.protocol_max());
  if (!protocols) return protocols.status();
  const std::string server = "server " + std::to_string(expected.value);
  // Another try may find an upgraded server: a volume client waits for it as for one that is away.
  if (Status common = agree_on_protocol(kDataProtocols, *protocols, server).status(); !common)
    return {Code::kUnavailable, common.message()};
  return {};
}

}  // namespace shima
