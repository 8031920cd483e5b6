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
  return h;
}

TEST(RecordCodec, GivesBackWhatWasEncoded) {
  for (RecordHeader h : {sample(), make_record(group_of(1), 1, 1, 0)->header}) {
    std::string bytes = "before";
    encode_record_header(h, bytes);
    RecordHeader back;
    Status s = decode_record_header(as_bytes(bytes).subspan(6), back);
    ASSERT_TRUE(s.is_ok()) << s.to_string();
    EXPECT_EQ(back, h);
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
