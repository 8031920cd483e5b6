#include "accessserver/volume/piece_codec.h"

#include "common/types/crc32c.h"
#include "shima/data/v1/data.pb.h"

namespace shima {
namespace {

namespace pb = shima::data::v1;

void encode_read(const Piece& piece, const RequestContext& context, pb::ReadRequest& read) {
  BlockPiece chunks = whole_chunks(piece.where);
  read.set_volume(context.volume.value);
  read.set_group(piece.group.value);
  read.set_inode(context.inode.value);
  read.set_block(chunks.block.value);
  read.set_offset(chunks.offset);
  read.set_length(chunks.length);
  read.set_own_replica(!piece.operation->site.empty());
  read.set_deadline_ms(context.deadline_ms);
}

void encode_write(const Piece& piece, const RequestContext& context, pb::WriteRequest& write) {
  write.set_volume(context.volume.value);
  write.set_group(piece.group.value);
  write.set_client(context.client.value);
  write.set_request(piece.request.value);
  write.set_settled_below(context.settled_below.value);
  write.set_known_sequence(context.known_sequence.value);
  write.set_inode(context.inode.value);
  write.set_block(piece.where.block.value);
  write.set_offset(piece.where.offset);
  write.set_length(piece.where.length);
  write.set_punch(piece.operation->kind == OperationKind::kPunch);
  write.mutable_checksums()->Add(piece.checksums.begin(), piece.checksums.end());
  write.set_deadline_ms(context.deadline_ms);
}

Status status_of(uint32_t code, const std::string& message) {
  if (code == 0) return {};
  // A code that this version does not know cannot be one that it could react to.
  Code known = code <= static_cast<uint32_t>(Code::kIo) ? static_cast<Code>(code) : Code::kInternal;
  return {known, message};
}

PieceReply decode_read_reply(const Piece& piece, const Frame& frame, const pb::ReadReply& reply) {
  PieceReply result{.status = status_of(reply.code(), reply.message()),
                    .sequence = Sequence(reply.sequence())};
  if (!result.status) return result;
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
  result.status =
      verify_payload(frame.payload.span(), {reply.checksums().data(), size_t(reply.checksums_size())});
  result.bytes = frame.payload.slice(piece.where.offset - chunks.offset, piece.where.length);
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
  if (piece.operation->kind == OperationKind::kRead) {
    encode_read(piece, context, *header.mutable_read());
  } else {
    encode_write(piece, context, *header.mutable_write());
  }
  Frame frame;
  frame.id = piece.frame;
  header.SerializeToString(&frame.header);
  frame.payload = piece.payload;
  return frame;
}

PieceReply decode_reply(const Piece& piece, const Frame& frame) {
  pb::Header header;
  bool is_read = piece.operation->kind == OperationKind::kRead;
  if (header.ParseFromString(frame.header)) {
    if (is_read && header.has_read_reply()) return decode_read_reply(piece, frame, header.read_reply());
    if (!is_read && header.has_write_reply()) {
      const pb::WriteReply& reply = header.write_reply();
      return {.status = status_of(reply.code(), reply.message()), .sequence = Sequence(reply.sequence())};
    }
  }
  return {.status = {Code::kInternal,
                     "the server's reply is of another kind than the request: versions differ?"}};
}

Frame encode_greeting(ClientId client, ServerId expected) {
  pb::Header header;
  pb::Greeting& greeting = *header.mutable_greeting();
  greeting.set_client_id(client.value);
  greeting.set_expected_server_id(expected.value);
  greeting.set_software("shima volume client 1");
  Frame frame;
  header.SerializeToString(&frame.header);
  return frame;
}

Status check_greeting(const Frame& frame, ServerId expected) {
  pb::Header header;
  if (!header.ParseFromString(frame.header) || !header.has_greeting()) {
    return {Code::kUnavailable, "the server's first frame is no greeting"};
  }
  if (header.greeting().server_id() == expected.value) return {};
  return {Code::kUnavailable, "wanted server " + std::to_string(expected.value) + ", found server " +
                                  std::to_string(header.greeting().server_id()) + " at its address"};
}

}  // namespace shima
