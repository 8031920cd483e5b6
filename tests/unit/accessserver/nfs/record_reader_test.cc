#include "accessserver/nfs/rpc/record_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "accessserver/nfs/xdr/xdr_writer.h"

namespace shima {
namespace {

std::string fragment(const std::string& bytes, bool last) {
  XdrWriter out;
  out.u32((last ? 1u << 31 : 0) | static_cast<uint32_t>(bytes.size()));
  return out.flat() + bytes;
}

std::string text_of(const Buffer& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

// Feeds the stream in pieces of `step` bytes, half of them through the scratch and half straight into the
// record.
struct Feed {
  std::vector<std::string> records;
  Status error;

  Feed(RecordReader& reader, const std::string& stream, size_t step, bool direct) {
    for (size_t at = 0; at < stream.size(); at += step) {
      auto bytes =
          std::span(reinterpret_cast<const uint8_t*>(stream.data()) + at, std::min(step, stream.size() - at));
      Buffer record;
      size_t part = direct ? std::min(bytes.size(), reader.rest_of_fragment().size()) : 0;
      if (part > 0) {
        std::memcpy(reader.rest_of_fragment().data(), bytes.data(), part);
        if (reader.filled(part, record)) records.push_back(text_of(record));
        bytes = bytes.subspan(part);
      }
      for (;;) {
        Result<bool> complete = reader.take(bytes, record);
        if (!complete) {
          error = complete.status();
          return;
        }
        if (!*complete) break;
        records.push_back(text_of(record));
      }
    }
  }
};

TEST(RecordReader, RecordsOfOneAndOfManyFragmentsComeWholeHoweverTheyArrive) {
  std::string large(100'000, 'x');
  for (size_t i = 0; i < large.size(); i++) large[i] = static_cast<char>(i * 31);
  std::string stream = fragment("first", true) + fragment("sec", false) + fragment("", false) +
                       fragment("ond", true) + fragment(large, true) + fragment(large, false) +
                       fragment("end", true);
  std::vector<std::string> wanted = {"first", "second", large, large + "end"};
  for (size_t step : {size_t{1}, size_t{3}, size_t{4096}, size_t{65536}, stream.size()}) {
    for (bool direct : {false, true}) {
      RecordReader reader(200'000);
      Feed feed(reader, stream, step, direct);
      EXPECT_TRUE(feed.error.is_ok());
      EXPECT_EQ(feed.records, wanted) << "in steps of " << step;
    }
  }
}

TEST(RecordReader, ARecordBeyondTheBoundIsRefusedByItsMark) {
  RecordReader reader(1000);
  Feed feed(reader, fragment(std::string(1000, 'a'), true) + std::string("\x80\x00\x03\xe9", 4), 7, false);
  EXPECT_EQ(feed.records.size(), 1u);
  EXPECT_EQ(feed.error.code(), Code::kCorrupt);
}

TEST(RecordReader, FragmentsTogetherBeyondTheBoundAreRefused) {
  RecordReader reader(1000);
  Feed feed(reader, fragment(std::string(600, 'a'), false) + fragment(std::string(401, 'b'), true), 50, true);
  EXPECT_EQ(feed.records.size(), 0u);
  EXPECT_EQ(feed.error.code(), Code::kCorrupt);
}

TEST(RecordReader, TheLargestMarkDoesNotWrapAround) {
  RecordReader reader(1000);
  Feed feed(reader, fragment("abc", false) + "\xff\xff\xff\xff", 100, false);
  EXPECT_EQ(feed.error.code(), Code::kCorrupt);
  EXPECT_LE(reader.held_bytes(), 1000u);
}

TEST(RecordReader, EndlessEmptyFragmentsAreRefused) {
  RecordReader reader(1000);
  std::string stream;
  for (uint32_t i = 0; i <= RecordReader::kMaxFragments; i++) stream += fragment("", false);
  Feed feed(reader, stream, 1000, false);
  EXPECT_EQ(feed.error.code(), Code::kCorrupt);
}

TEST(RecordReader, AnEmptyRecordIsARecord) {
  RecordReader reader(1000);
  Feed feed(reader, fragment("", true) + fragment("x", true), 3, false);
  EXPECT_EQ(feed.records, (std::vector<std::string>{"", "x"}));
}

}  // namespace
}  // namespace shima
