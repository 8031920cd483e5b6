// Replies that a server of another version, or a broken one, might send.
#include "accessserver/volume/piece_codec.h"

#include <gtest/gtest.h>

#include "accessserver/volume/own_replica_read.h"
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

TEST(PieceCodec, AVersionHasNoBytesAndAnOwnReplicasAnswerMustHave) {
  Piece piece = piece_of(OperationKind::kRead, {BlockIndex(1), 0, 8192, 0});
  piece.own_replica = std::make_shared<OwnReplicaRead>();
  pb::Header header;
  header.mutable_read_reply()->set_term(2);
  header.mutable_read_reply()->set_sequence(7);
  header.mutable_read_reply()->set_visible(9);
  PieceReply version = decode_reply(piece, frame_of(header), kBlock);
  EXPECT_TRUE(version.status.is_ok()) << version.status.to_string();
  EXPECT_EQ(version.term, Term(2));
  EXPECT_EQ(version.sequence, Sequence(7));
  EXPECT_EQ(version.visible, Sequence(9));
  EXPECT_EQ(decode_own_replica_reply(piece, frame_of(header)).status.code(), Code::kCorrupt);
  header.mutable_write_reply();
  EXPECT_EQ(decode_own_replica_reply(piece, frame_of(header)).status.code(), Code::kInternal);
}

TEST(PieceCodec, AReadAsksThePrimaryForItsVersionAndTheOwnReplicaForItsBytes) {
  Piece piece = piece_of(OperationKind::kRead, {BlockIndex(1), 100, 5000, 0});
  piece.frame = 3;
  piece.own_replica = std::make_shared<OwnReplicaRead>();
  Frame primary = encode_request(piece, {}), replica = encode_own_replica_read(piece, 4, {});
  EXPECT_EQ(primary.id, 3u);
  EXPECT_EQ(replica.id, 4u);
  pb::Header asked;
  ASSERT_TRUE(asked.ParseFromString(primary.header));
  EXPECT_TRUE(asked.read().version_only() && !asked.read().own_replica());
  ASSERT_TRUE(asked.ParseFromString(replica.header));
  EXPECT_TRUE(asked.read().own_replica() && !asked.read().version_only());
  EXPECT_EQ(asked.read().offset(), 0u);
  EXPECT_EQ(asked.read().length(), 8192u);
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
