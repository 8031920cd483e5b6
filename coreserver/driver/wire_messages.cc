#include "coreserver/driver/wire_messages.h"

#include "common/release/release.h"
#include "common/types/crc32c.h"
#include "coreserver/journal/record_codec.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

namespace wire = data::v1;
using replication::Append;
using replication::Appended;
using replication::Hello;
using replication::Message;
using replication::ResyncBegin;
using replication::ResyncEnd;
using replication::Welcome;

namespace {

constexpr size_t kWindowPiece = 4u << 20;  // bytes

template <typename M>
void set_group(M* m, GroupId group) {
  m->mutable_group()->set_volume(group.volume.value);
  m->mutable_group()->set_group(group.index.value);
}
template <typename M>
GroupId group_of(const M& m) {
  return {VolumeId(m.group().volume()), GroupIndex(m.group().group())};
}

Frame frame_of(const wire::Header& header) {
  Frame frame;
  frame.header = header.SerializeAsString();
  return frame;
}

Frame encode(GroupId group, const Hello& m) {
  wire::Header h;
  wire::Hello* w = h.mutable_hello();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_last_term(m.last.term.value);
  w->set_last_sequence(m.last.sequence.value);
  w->set_committed(m.committed.value);
  for (const auto& t : m.terms) {
    auto* start = w->add_terms();
    start->set_term(t.term.value);
    start->set_first(t.first.value);
  }
  return frame_of(h);
}

Frame encode(GroupId group, const Welcome& m) {
  wire::Header h;
  wire::Welcome* w = h.mutable_welcome();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_accepted(m.accepted);
  w->set_last(m.last.value);
  w->set_durable(m.durable.value);
  w->set_no_space(m.no_space);
  w->set_needs_resync(m.needs_resync);
  return frame_of(h);
}

Frame encode(GroupId group, const Appended& m) {
  wire::Header h;
  wire::Appended* w = h.mutable_appended();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_last(m.last.value);
  w->set_durable(m.durable.value);
  w->set_no_space(m.no_space);
  w->set_behind(m.behind);
  return frame_of(h);
}

Frame encode(GroupId group, const ResyncBegin& m) {
  wire::Header h;
  wire::Resync* w = h.mutable_resync();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_first(true);
  return frame_of(h);
}

Frame encode(GroupId group, const ResyncEnd& m) {
  wire::Header h;
  wire::Resync* w = h.mutable_resync();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_last(true);
  w->set_position_term(m.position.term.value);
  w->set_position_sequence(m.position.sequence.value);
  w->set_window(m.window);
  return frame_of(h);
}

std::vector<Frame> encode_with_window_as_payload(GroupId group, const ResyncEnd& m) {
  std::vector<Frame> frames;
  for (size_t at = 0; at < m.window.size(); at += kWindowPiece) {
    Buffer piece = Buffer::copy_of(std::string_view(m.window).substr(at, kWindowPiece));
    wire::Header h;
    wire::Resync* w = h.mutable_resync();
    set_group(w, group);
    w->set_term(m.term.value);
    w->set_round(m.round);
    w->set_window_piece(true);
    w->set_length(static_cast<uint32_t>(piece.size()));
    for (uint32_t c : chunk_checksums(piece.span())) w->add_checksums(c);
    frames.push_back(frame_of(h));
    frames.back().payload = std::move(piece);
  }
  frames.push_back(encode(group, ResyncEnd{m.term, m.round, m.position, {}}));
  return frames;
}

wire::Header append_header(GroupId group, const Append& m) {
  wire::Header h;
  wire::Append* w = h.mutable_append();
  set_group(w, group);
  w->set_term(m.term.value);
  w->set_round(m.round);
  w->set_committed(m.committed.value);
  w->set_trim(m.trim.value);
  w->set_fold(m.fold);
  return h;
}

std::vector<Frame> encode_append(GroupId group, const Append& m) {
  std::vector<Frame> frames;
  size_t next = 0;
  do {
    wire::Header h = append_header(group, m);
    std::string* records = h.mutable_append()->mutable_records();
    Frame frame;
    uint64_t payload = 0;
    for (; next < m.records.size(); next++) {
      const Record& r = *m.records[next];
      bool full = records->size() > kMaxAppendHeader || payload + r.payload.size() > kMaxFramePayload;
      if (full && !records->empty()) break;
      std::string encoded;
      encode_record_header(r.header, encoded);
      uint32_t size = static_cast<uint32_t>(encoded.size());
      for (int i = 0; i < 4; i++) records->push_back(static_cast<char>(size >> (8 * i)));
      *records += encoded;
      if (!r.payload.empty()) frame.more_payload.push_back(r.payload);
      payload += r.payload.size();
    }
    frame.header = h.SerializeAsString();
    frames.push_back(std::move(frame));
  } while (next < m.records.size());
  return frames;
}

Status decode_records(GroupId group, const std::string& bytes, const Buffer& payload,
                      std::vector<RecordPtr>& out) {
  auto data = reinterpret_cast<const uint8_t*>(bytes.data());
  size_t at = 0, taken = 0;
  while (at < bytes.size()) {
    if (bytes.size() - at < 4) return {Code::kCorrupt, "an append's record headers are cut short"};
    uint32_t size = 0;
    for (int i = 0; i < 4; i++) size |= uint32_t{data[at + i]} << (8 * i);
    at += 4;
    if (bytes.size() - at < size) return {Code::kCorrupt, "an append's record headers are cut short"};
    auto record = std::make_shared<Record>();
    SHIMA_RETURN_IF_ERROR(decode_record_header({data + at, size}, record->header));
    at += size;
    if (record->header.group != group) return {Code::kCorrupt, "an append holds a record of another group"};
    uint32_t length = payload_bytes(record->header);
    if (payload.size() - taken < length) return {Code::kCorrupt, "an append's payload is cut short"};
    record->payload = payload.slice(taken, length);
    taken += length;
    if (!chunks_match(record->payload.span(), record->header.checksums)) {
      return {Code::kCorrupt, "the payload of record " + to_string(record->header.position) + " of group " +
                                  to_string(group) + " does not match its checksums"};
    }
    out.push_back(std::move(record));
  }
  if (taken != payload.size()) return {Code::kCorrupt, "an append's payload is longer than its records"};
  return Status::ok();
}

Result<ReceivedMessage> decode_resync(const wire::Resync& w) {
  GroupId group = group_of(w);
  if (w.first()) return ReceivedMessage{group, ResyncBegin{Term(w.term()), w.round()}};
  Position position{Term(w.position_term()), Sequence(w.position_sequence())};
  return ReceivedMessage{group, ResyncEnd{Term(w.term()), w.round(), position, w.window()}};
}

Hello decode_hello(const wire::Hello& w) {
  Hello m;
  m.term = Term(w.term());
  m.round = w.round();
  m.last = {Term(w.last_term()), Sequence(w.last_sequence())};
  m.committed = Sequence(w.committed());
  for (const auto& t : w.terms()) m.terms.push_back({Term(t.term()), Sequence(t.first())});
  return m;
}

}  // namespace

std::string own_software() { return "shima-coreserver " + software_version(); }

std::string encode_greeting(const ServerGreeting& greeting) {
  wire::Header header;
  wire::Greeting& w = *header.mutable_greeting();
  w.set_server_id(greeting.self.value);
  w.set_incarnation(greeting.incarnation.value);
  w.set_expected_server_id(greeting.expected.value);
  w.set_software(greeting.software);
  w.set_protocol_min(greeting.protocols.min);
  w.set_protocol_max(greeting.protocols.max);
  return header.SerializeAsString();
}

std::vector<Frame> frames_of(GroupId group, const Message& message, uint32_t protocol) {
  if (const auto* append = std::get_if<Append>(&message)) return encode_append(group, *append);
  const auto* end = std::get_if<ResyncEnd>(&message);
  if (end && protocol >= kResyncProtocol) return encode_with_window_as_payload(group, *end);
  std::vector<Frame> frames;
  std::visit(
      [&](const auto& m) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(m)>, Append>) frames.push_back(encode(group, m));
      },
      message);
  return frames;
}

Result<ReceivedMessage> message_of(const wire::Header& h, const Buffer& payload) {
  switch (h.body_case()) {
    case wire::Header::kHello:
      return ReceivedMessage{group_of(h.hello()), decode_hello(h.hello())};
    case wire::Header::kWelcome: {
      const wire::Welcome& w = h.welcome();
      return ReceivedMessage{group_of(w), Welcome{Term(w.term()), w.round(), w.accepted(), Sequence(w.last()),
                                                  Sequence(w.durable()), w.no_space(), w.needs_resync()}};
    }
    case wire::Header::kAppended: {
      const wire::Appended& w = h.appended();
      return ReceivedMessage{group_of(w), Appended{Term(w.term()), w.round(), Sequence(w.last()),
                                                   Sequence(w.durable()), w.no_space(), w.behind()}};
    }
    case wire::Header::kAppend: {
      const wire::Append& w = h.append();
      Append m{Term(w.term()), w.round(), Sequence(w.committed()), Sequence(w.trim()), w.fold(), {}};
      SHIMA_RETURN_IF_ERROR(decode_records(group_of(w), w.records(), payload, m.records));
      return ReceivedMessage{group_of(w), std::move(m)};
    }
    case wire::Header::kResync:
      return decode_resync(h.resync());
    default:
      return Status(Code::kCorrupt, "a frame that is no replication message");
  }
}

}  // namespace shima
