#include "common/transport/frame_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "common/types/crc32c.h"

namespace shima {
namespace {

Buffer pattern(size_t size, uint8_t seed) {
  return Buffer::make(size, [&](uint8_t* p) {
    for (size_t i = 0; i < size; i++) p[i] = static_cast<uint8_t>(seed + i * 7);
  });
}

Frame make_frame(uint64_t id, size_t header, size_t payload) {
  Frame frame;
  frame.id = id;
  frame.header = std::string(header, static_cast<char>('a' + id % 26));
  if (payload) frame.payload = pattern(payload, static_cast<uint8_t>(id));
  return frame;
}

std::vector<uint8_t> bytes_of(const Frame& frame) {
  PrefixBytes prefix = encode_frame_prefix(frame);
  std::vector<uint8_t> bytes(prefix.size() + frame.header.size() + frame.payload.size());
  std::copy_n(prefix.data(), prefix.size(), bytes.data());
  std::copy_n(frame.header.data(), frame.header.size(), bytes.data() + prefix.size());
  std::copy_n(frame.payload.data(), frame.payload.size(), bytes.data() + prefix.size() + frame.header.size());
  return bytes;
}

// Puts the bytes into the reader, at most `step()` at a time, and collects what comes out.
template <typename Step>
Result<std::vector<Frame>> feed(FrameReader& reader, std::span<const uint8_t> bytes, Step step) {
  std::vector<Frame> frames;
  while (!bytes.empty()) {
    auto space = reader.space();
    size_t taken = std::min({step(), bytes.size(), space[0].size() + space[1].size()});
    size_t first = std::min(taken, space[0].size());
    if (first) std::memcpy(space[0].data(), bytes.data(), first);
    std::memcpy(space[1].data(), bytes.data() + first, taken - first);
    reader.filled(taken);
    bytes = bytes.subspan(taken);
    for (;;) {
      Frame frame;
      Result<bool> got = reader.next(frame);
      if (!got) return got.status();
      if (!*got) break;
      frames.push_back(std::move(frame));
    }
  }
  return frames;
}

Status read_all(std::span<const uint8_t> bytes) {
  FrameReader reader;
  return feed(reader, bytes, [] { return size_t{1} << 20; }).status();
}

TEST(FrameReader, FindsFramesWhateverTheReadsCutThemInto) {
  std::mt19937_64 random(1);
  std::vector<Frame> sent;
  std::vector<uint8_t> bytes;
  const size_t kHeaders[] = {0, 1, 40, 200, 70'000, kMaxFrameHeader};
  const size_t kPayloads[] = {0, 1, 4096, 4096, 65'536, 300'000};
  for (uint64_t i = 1; i <= 300; i++) {
    size_t header = kHeaders[random() % (i % 50 == 0 ? 6 : 4)];
    sent.push_back(make_frame(i, header, kPayloads[random() % 6]));
    auto more = bytes_of(sent.back());
    bytes.insert(bytes.end(), more.begin(), more.end());
  }
  for (size_t limit : {size_t{37}, size_t{4096}, size_t{100'000}, size_t{4} << 20}) {
    FrameReader reader;
    auto frames = feed(reader, bytes, [&] { return 1 + random() % limit; });
    ASSERT_TRUE(frames.is_ok()) << frames.status().to_string();
    ASSERT_EQ(frames->size(), sent.size());
    for (size_t i = 0; i < sent.size(); i++) {
      EXPECT_EQ((*frames)[i].id, sent[i].id);
      EXPECT_EQ((*frames)[i].header, sent[i].header);
      EXPECT_EQ((*frames)[i].payload, sent[i].payload);
    }
  }
}

TEST(FrameReader, TakesTheLargestFrame) {
  FrameReader reader;
  auto bytes = bytes_of(make_frame(7, kMaxFrameHeader, kMaxFramePayload));
  auto frames = feed(reader, bytes, [] { return size_t{1} << 20; });
  ASSERT_TRUE(frames.is_ok());
  ASSERT_EQ(frames->size(), 1u);
  EXPECT_EQ((*frames)[0].payload.size(), kMaxFramePayload);
}

TEST(FrameReader, ReadsALargePayloadStraightIntoItsMemory) {
  FrameReader reader;
  Frame frame = make_frame(1, 10, 1 << 20);
  auto bytes = bytes_of(frame);
  auto some = feed(reader, std::span(bytes).first(kFramePrefixSize + 10), [] { return size_t{1} << 20; });
  ASSERT_TRUE(some.is_ok());
  EXPECT_EQ(reader.space()[0].size(), size_t{1} << 20);
}

TEST(FrameReader, RefusesAWrongMagic) {
  auto bytes = bytes_of(make_frame(1, 10, 10));
  bytes[0] ^= 1;
  EXPECT_EQ(read_all(bytes).code(), Code::kCorrupt);
}

TEST(FrameReader, RefusesAnotherVersionAndNamesIt) {
  PrefixBytes prefix = encode_frame_prefix(FramePrefix{});
  prefix[4] = 2;
  uint32_t crc = crc32c(std::span(prefix).first(28));
  std::memcpy(prefix.data() + 28, &crc, 4);
  Status status = read_all(prefix);
  EXPECT_EQ(status.code(), Code::kCorrupt);
  EXPECT_NE(status.message().find("found 2"), std::string::npos);
}

TEST(FrameReader, RefusesLengthsBeyondTheLimits) {
  EXPECT_EQ(read_all(encode_frame_prefix(FramePrefix{.header_size = kMaxFrameHeader + 1})).code(),
            Code::kCorrupt);
  EXPECT_EQ(read_all(encode_frame_prefix(FramePrefix{.payload_size = kMaxFramePayload + 1})).code(),
            Code::kCorrupt);
}

TEST(FrameReader, NoticesEveryFlippedBitOfPrefixAndHeader) {
  const auto good = bytes_of(make_frame(5, 50, 0));
  for (size_t bit = 0; bit < good.size() * 8; bit++) {
    auto bad = good;
    bad[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
    EXPECT_EQ(read_all(bad).code(), Code::kCorrupt) << "bit " << bit;
  }
}

TEST(FrameReader, SurvivesRandomBytes) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 2'000; round++) {
    std::vector<uint8_t> bytes(32 + random() % 500);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
    EXPECT_EQ(read_all(bytes).code(), Code::kCorrupt);
  }
}

TEST(PayloadChecksums, AreOneForEachChunkOrOneForAll) {
  Buffer aligned = pattern(8192, 3), odd = pattern(5000, 4);
  EXPECT_TRUE(verify_payload(aligned.span(), chunk_checksums(aligned.span())).is_ok());
  std::vector<uint32_t> whole = {crc32c(aligned.span())};
  EXPECT_TRUE(verify_payload(aligned.span(), whole).is_ok());
  whole = {crc32c(odd.span())};
  EXPECT_TRUE(verify_payload(odd.span(), whole).is_ok());
  whole[0] ^= 1;
  EXPECT_EQ(verify_payload(odd.span(), whole).code(), Code::kCorrupt);
  whole.push_back(0);
  EXPECT_EQ(verify_payload(odd.span(), whole).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace shima
