// Replies that a server of another version, or a broken one, might send.
#include "accessserver/volume/piece_codec.h"

#include <gtest/gtest.h>

#include "common/types/crc32c.h"
#include "shima/data/v1/data.pb.h"

namespace shima {
namespace {

namespace pb = shima::data::v1;

constexpr uint32_t kBlock = 64 << 10;

Piece piece_of(OperationKind kind, BlockPiece where) {
  Piece piece;
  piece.operation = std::make_shared<Operation>();
  piece.operation->kind = kind;
  piece.where = where;
  return piece;
}

Frame frame_of(const pb::Header& header, Buffer payload = {}) {
  Frame frame;
  header.SerializeToString(&frame.header);
  frame.payload = std::move(payload);
  return frame;
}

Frame found_at(uint64_t block, uint32_t offset) {
  pb::Header header;
  header.mutable_seek_reply()->set_found(true);
  header.mutable_seek_reply()->set_block(block);
  header.mutable_seek_reply()->set_offset(offset);
  return frame_of(header);
}

TEST(PieceCodec, ReadsReplyWithTooFewChecksumsIsCorrupt) {
  Piece piece = piece_of(OperationKind::kRead, {BlockIndex(1), 0, 8192, 0});
  Buffer bytes = Buffer::zeros(8192);
  pb::Header header;
  header.mutable_read_reply()->set_fence(6);
  EXPECT_EQ(decode_reply(piece, frame_of(header, bytes), kBlock).status.code(), Code::kCorrupt);
  for (uint32_t crc : chunk_checksums(bytes.span())) header.mutable_read_reply()->add_checksums(crc);
  PieceReply reply = decode_reply(piece, frame_of(header, bytes), kBlock);
  EXPECT_TRUE(reply.status.is_ok()) << reply.status.to_string();
  EXPECT_EQ(reply.fence, 6u);
  EXPECT_EQ(reply.bytes.data(), bytes.data());  // not copied
  EXPECT_EQ(decode_reply(piece, frame_of(header, Buffer::zeros(4096)), kBlock).status.code(), Code::kCorrupt);
}

TEST(PieceCodec, AReplyOfAnotherKindIsRefused) {
  pb::Header header;
  header.mutable_write_reply();
  for (OperationKind kind :
       {OperationKind::kRead, OperationKind::kJob, OperationKind::kInodeData, OperationKind::kSeek}) {
    Piece piece = piece_of(kind, {});
    EXPECT_EQ(decode_reply(piece, frame_of(header), kBlock).status.code(), Code::kInternal);
  }
  EXPECT_TRUE(decode_reply(piece_of(OperationKind::kTruncate, {}), frame_of(header), kBlock).status.is_ok());
  Frame rubbish;
  rubbish.header = "\xff\xff";
  EXPECT_EQ(decode_reply(piece_of(OperationKind::kWrite, {}), rubbish, kBlock).status.code(),
            Code::kInternal);
}

TEST(PieceCodec, CodesAreKnownUpToTheLast) {
  Piece piece = piece_of(OperationKind::kWrite, {});
  pb::Header header;
  header.mutable_write_reply()->set_code(static_cast<uint32_t>(kLastCode));
  EXPECT_EQ(decode_reply(piece, frame_of(header), kBlock).status.code(), kLastCode);
  header.mutable_write_reply()->set_code(static_cast<uint32_t>(kLastCode) + 1);
  EXPECT_EQ(decode_reply(piece, frame_of(header), kBlock).status.code(), Code::kInternal);
}

TEST(PieceCodec, ASeekMayNotFindAPlaceThatItWasNotAskedFor) {
  Piece piece = piece_of(OperationKind::kSeek, {BlockIndex(5), 100, 0, 0});
  EXPECT_EQ(decode_reply(piece, found_at(5, 100), kBlock).found, 5 * uint64_t{kBlock} + 100);
  EXPECT_EQ(decode_reply(piece, found_at(7, 0), kBlock).found, 7 * uint64_t{kBlock});
  for (const Frame& wrong : {found_at(5, 99), found_at(4, 200), found_at(6, kBlock),
                             found_at(~uint64_t{0}, 0), found_at(~uint64_t{0} / kBlock, 0)}) {
    PieceReply reply = decode_reply(piece, wrong, kBlock);
    EXPECT_EQ(reply.status.code(), Code::kInternal);
    EXPECT_EQ(reply.found, std::nullopt);
  }
  piece.operation->hole = true;
  EXPECT_EQ(decode_reply(piece, found_at(5, 4096), kBlock).found, 5 * uint64_t{kBlock} + 4096);
  EXPECT_EQ(decode_reply(piece, found_at(6, 0), kBlock).status.code(), Code::kInternal);
}

}  // namespace
}  // namespace shima
