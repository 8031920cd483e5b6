#include "coreserver/journal/record_codec.h"

#include <gtest/gtest.h>

#include <random>

#include "common/types/byte_order.h"
#include "tests/unit/coreserver/journal/journal_fixture.h"

namespace shima {
namespace {

RecordHeader sample() {
  RecordHeader h = make_record(group_of(3, 7), 9, 2, 3 * kChunkSize)->header;
  h.previous_term = Term(1);
  h.client = ClientId(77);
  h.request = RequestId(5);
  h.settled_below = RequestId(4);
  h.offset = 2 * kChunkSize;
  h.fence = 12;
  h.time_ns = -1'500'000'000;
  return h;
}

RecordHeader batch(uint32_t bytes) {
  RecordHeader h = sample();
  h.kind = RecordKind::kBatch;
  h.offset = 0;
  h.length = bytes;
  h.checksums.assign(chunk_count(bytes), 7);
  return h;
}

RecordHeader truncation(uint32_t chunks) {
  RecordHeader h = sample();
  h.kind = RecordKind::kTruncate;
  h.length = chunks * kChunkSize;
  h.checksums.assign(chunks, 7);
  return h;
}

TEST(RecordCodec, GivesBackWhatWasEncoded) {
  for (RecordHeader h : {sample(), make_record(group_of(1), 1, 1, 0)->header, batch(1), batch(4096),
                         batch(4097), batch(kMaxBlockSize), truncation(0), truncation(1)}) {
    std::string bytes = "before";
    encode_record_header(h, bytes);
    RecordHeader back;
    Status s = decode_record_header(as_bytes(bytes).subspan(6), back);
    ASSERT_TRUE(s.is_ok()) << s.to_string();
    EXPECT_EQ(back, h);
  }
}

// A journal of an older server is read after an update.
TEST(RecordCodec, ReadsVersion1WithoutFenceAndTime) {
  RecordHeader h = sample();
  std::string bytes;
  encode_record_header(h, bytes);
  constexpr size_t kFenceAt = 72, kAdded = 16;
  std::string old = bytes.substr(0, kFenceAt) + bytes.substr(kFenceAt + kAdded);
  old[0] = 1;
  h.fence = 0;
  h.time_ns = 0;
  RecordHeader back;
  Status s = decode_record_header(as_bytes(old), back);
  ASSERT_TRUE(s.is_ok()) << s.to_string();
  EXPECT_EQ(back, h);
  for (size_t n = 0; n < old.size(); ++n) {
    EXPECT_EQ(decode_record_header(as_bytes(old).first(n), back).code(), Code::kCorrupt) << n;
  }
  for (int version : {0, 3, 255}) {
    bytes[0] = static_cast<char>(version);
    EXPECT_EQ(decode_record_header(as_bytes(bytes), back).code(), Code::kCorrupt) << version;
  }
}

TEST(RecordCodec, RefusesEveryShorterAndLongerInput) {
  std::string bytes;
  encode_record_header(sample(), bytes);
  RecordHeader back;
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(decode_record_header(as_bytes(bytes).first(n), back).code(), Code::kCorrupt) << n;
  }
  bytes += '\0';
  EXPECT_EQ(decode_record_header(as_bytes(bytes), back).code(), Code::kCorrupt);
}

TEST(RecordCodec, RefusesHeadersThatBreakTheRulesOfARecord) {
  auto refused = [](auto change) {
    RecordHeader h = sample();
    change(h);
    std::string bytes;
    encode_record_header(h, bytes);
    RecordHeader back;
    return decode_record_header(as_bytes(bytes), back).code() == Code::kCorrupt && !check_record_header(h);
  };
  EXPECT_TRUE(refused([](RecordHeader& h) { h.kind = static_cast<RecordKind>(9); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.position.sequence = Sequence(0); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.offset = 100; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.length = 100; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.offset = kMaxBlockSize; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.offset = UINT32_MAX - 4095; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.length = 2 * kMaxBlockSize; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.checksums.pop_back(); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h.kind = RecordKind::kPunch; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h = batch(0); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h = batch(kMaxBlockSize + 1); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { (h = batch(4097)).checksums.pop_back(); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { (h = batch(4096)).checksums.push_back(1); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { (h = batch(100)).offset = kChunkSize; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { h = truncation(2); }));
  EXPECT_TRUE(refused([](RecordHeader& h) { (h = truncation(1)).length = 100; }));
  EXPECT_TRUE(refused([](RecordHeader& h) { (h = truncation(0)).checksums.push_back(1); }));
}

TEST(RecordCodec, SurvivesRandomBytes) {
  std::mt19937 random(1);
  std::string good;
  encode_record_header(sample(), good);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = good;
    for (int k = 0; k < 3; ++k) bytes[random() % bytes.size()] = static_cast<char>(random());
    RecordHeader back;
    bool accepted = decode_record_header(as_bytes(bytes), back).is_ok();
    EXPECT_TRUE(!accepted || check_record_header(back).is_ok());
  }
}

}  // namespace
}  // namespace shima
