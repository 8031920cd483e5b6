#include "coreserver/driver/wire_messages.h"

#include <gtest/gtest.h>

#include "common/types/crc32c.h"
#include "coreserver/replication/request_window.h"
#include "shima/data/v1/data.pb.h"

namespace shima {
namespace {

using namespace replication;

const GroupId kGroup{VolumeId(5), GroupIndex(2)};

Buffer joined(const Frame& frame) {
  std::string all(frame.payload.span().begin(), frame.payload.span().end());
  for (const Buffer& b : frame.more_payload) all.append(b.span().begin(), b.span().end());
  return Buffer::copy_of(all);
}

Result<ReceivedMessage> received(const Frame& frame) {
  data::v1::Header header;
  EXPECT_TRUE(header.ParseFromString(frame.header));
  return message_of(header, joined(frame));
}

RecordPtr record(uint64_t sequence, uint32_t length, RecordKind kind = RecordKind::kWrite) {
  auto r = std::make_shared<Record>();
  r->header.group = kGroup;
  r->header.position = {Term(2), Sequence(sequence)};
  r->header.kind = kind;
  r->header.inode = InodeId(1);
  r->header.length = length;
  if (kind == RecordKind::kWrite) {
    r->payload = Buffer::zeros(length);
    r->header.checksums = chunk_checksums(r->payload.span());
  }
  return r;
}

TEST(WireMessages, GreetingAndAnswersComeBackAsTheyWere) {
  Hello hello{
      Term(3), 7, {Term(2), Sequence(9)}, Sequence(8), {{Term(1), Sequence(1)}, {Term(2), Sequence(5)}}};
  auto m = received(frames_of(kGroup, hello).at(0));
  ASSERT_TRUE(m.is_ok());
  EXPECT_EQ(m->group, kGroup);
  const auto& h = std::get<Hello>(m->message);
  EXPECT_EQ(h.round, 7u);
  EXPECT_EQ(h.last, hello.last);
  EXPECT_EQ(h.terms, hello.terms);
  auto w = received(frames_of(kGroup, Welcome{Term(3), 7, true, Sequence(6), Sequence(5)}).at(0));
  EXPECT_EQ(std::get<Welcome>(w->message).durable, Sequence(5));
  EXPECT_FALSE(std::get<Welcome>(w->message).no_space || std::get<Welcome>(w->message).needs_resync);
  auto full = received(frames_of(kGroup, Welcome{Term(3), 7, true, {}, {}, true, true}).at(0));
  EXPECT_TRUE(std::get<Welcome>(full->message).no_space && std::get<Welcome>(full->message).needs_resync);
  auto a = received(frames_of(kGroup, Appended{Term(3), 7, Sequence(6), Sequence(5), true, true}).at(0));
  EXPECT_TRUE(std::get<Appended>(a->message).no_space);
  auto e = received(frames_of(kGroup, ResyncEnd{Term(3), 7, {Term(2), Sequence(4)}, "window"}).at(0));
  EXPECT_EQ(std::get<ResyncEnd>(e->message).window, "window");
}

TEST(WireMessages, AGreatRequestWindowTravelsAsPayloadWithinTheLimits) {
  const ResyncEnd end{Term(3), 7, {Term(2), Sequence(4)}, std::string(RequestWindow::kMaxSavedBytes, 'w')};
  std::string window;
  auto frames = frames_of(kGroup, end, kResyncProtocol);
  for (const Frame& f : frames) {
    EXPECT_LE(f.header.size(), kMaxFrameHeader);
    EXPECT_LE(f.payload_size(), kMaxFramePayload);
    window.append(f.payload.span().begin(), f.payload.span().end());
  }
  EXPECT_TRUE(window == end.window);
  auto last = received(frames.back());
  ASSERT_TRUE(last.is_ok());
  EXPECT_EQ(std::get<ResyncEnd>(last->message).position, end.position);
  EXPECT_EQ(std::get<ResyncEnd>(last->message).window, "");
}

TEST(WireMessages, AnAppendCarriesItsRecordsAndPayloads) {
  Append append{Term(2),     1,    Sequence(3),
                Sequence(2), true, {record(4, 4096), record(5, 8192, RecordKind::kPunch), record(6, 8192)}};
  auto frames = frames_of(kGroup, append);
  ASSERT_EQ(frames.size(), 1u);
  auto m = received(frames[0]);
  ASSERT_TRUE(m.is_ok()) << m.status().to_string();
  const auto& a = std::get<Append>(m->message);
  ASSERT_EQ(a.records.size(), 3u);
  for (size_t i = 0; i < 3; i++) EXPECT_EQ(*a.records[i], *append.records[i]);
  EXPECT_TRUE(a.fold);
}

TEST(WireMessages, ManySmallRecordsAreSplitOverFramesWithinTheLimits) {
  Append append{Term(2), 1, Sequence(3), Sequence(2), false, {}};
  for (uint64_t s = 1; s <= 10000; s++) append.records.push_back(record(s, 4096, RecordKind::kPunch));
  auto frames = frames_of(kGroup, append);
  EXPECT_GT(frames.size(), 1u);
  uint64_t next = 1;
  for (const Frame& f : frames) {
    EXPECT_LE(f.header.size(), kMaxFrameHeader);
    auto m = received(f);
    ASSERT_TRUE(m.is_ok());
    for (const auto& r : std::get<Append>(m->message).records)
      EXPECT_EQ(r->header.position.sequence.value, next++);
  }
  EXPECT_EQ(next, 10001u);
}

TEST(WireMessages, DamagedPayloadsForeignRecordsAndCutBytesAreRefused) {
  Append append{Term(2), 1, Sequence(), Sequence(), false, {record(4, 4096)}};
  Frame frame = frames_of(kGroup, append).at(0);
  data::v1::Header header;
  ASSERT_TRUE(header.ParseFromString(frame.header));
  EXPECT_EQ(message_of(header, Buffer::copy_of(std::string(4096, 'x'))).status().code(), Code::kCorrupt);
  EXPECT_EQ(message_of(header, Buffer::zeros(100)).status().code(), Code::kCorrupt);
  EXPECT_EQ(message_of(header, Buffer::zeros(8192)).status().code(), Code::kCorrupt);
  std::string* records = header.mutable_append()->mutable_records();
  for (size_t n = 1; n < records->size(); n++) {
    data::v1::Header cut = header;
    cut.mutable_append()->mutable_records()->resize(n);
    EXPECT_FALSE(message_of(cut, Buffer::zeros(4096)).is_ok()) << n;
  }
  header.mutable_append()->mutable_group()->set_group(9);
  EXPECT_EQ(message_of(header, Buffer::zeros(4096)).status().code(), Code::kCorrupt);
}

}  // namespace
}  // namespace shima
