#include "accessserver/nfs/nfs_handle.h"
#include "accessserver/volume/piece_codec.h"
#include "common/transport/frame.h"
#include "coreserver/driver/wire_messages.h"
#include "coreserver/journal/record_codec.h"
#include "shima/data/v1/data.pb.h"
#include "tests/compatibility/format_samples.h"

namespace shima {
namespace {

// Where version 2 of the record header has what version 1 had not: fence and time.
constexpr size_t kFenceOffset = 72, kFenceAndTimeBytes = 16;

FramePrefix sample_prefix() {
  return {.id = 0x0102030405060708, .header_size = 40, .payload_size = 8192, .header_crc = 7};
}

RecordHeader sample_header() {
  RecordHeader h;
  h.group = {VolumeId(11), GroupIndex(3)};
  h.position = {Term(5), Sequence(900)};
  h.previous_term = Term(4);
  h.committed = Sequence(899);
  h.kind = RecordKind::kWrite;
  h.client = ClientId(0xc11e47);
  h.request = RequestId(77);
  h.settled_below = RequestId(70);
  h.inode = InodeId(12);
  h.block = BlockIndex(6);
  h.offset = 4096;
  h.length = 8192;
  h.checksums = {0x11111111, 0x22222222};
  h.fence = 2;
  h.time_ns = 1'700'000'000'000'000'001;
  return h;
}

std::string encoded(const RecordHeader& header) {
  std::string bytes;
  encode_record_header(header, bytes);
  return bytes;
}

std::span<const uint8_t> span_of(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

Status reads_as(const std::string& bytes, const RecordHeader& meant) {
  RecordHeader found;
  SHIMA_RETURN_IF_ERROR(decode_record_header(span_of(bytes), found));
  return as_meant(found == meant, "a record header");
}

std::string version_1_header() {
  std::string bytes = encoded(sample_header());
  bytes[0] = 1;
  return bytes.erase(kFenceOffset, kFenceAndTimeBytes);
}

RecordHeader without_fence_and_time() {
  RecordHeader h = sample_header();
  h.fence = 0;
  h.time_ns = 0;
  return h;
}

Status reads_prefix(const std::string& bytes) {
  if (bytes.size() != kFramePrefixSize) return {Code::kCorrupt, "a frame's prefix has another size"};
  Result<FramePrefix> found = decode_frame_prefix(span_of(bytes).first<kFramePrefixSize>());
  if (!found) return found.status();
  const FramePrefix meant = sample_prefix();
  return as_meant(found->id == meant.id && found->header_size == meant.header_size &&
                      found->payload_size == meant.payload_size && found->header_crc == meant.header_crc,
                  "a frame's prefix");
}

// Fixed numbers, not those of this program: a greeting is read for ever.
std::string greeting() {
  return encode_greeting(
      {ServerId(3), Incarnation(9), ServerId(4), "shima-coreserver 0.1.0", ProtocolRange{1, 1}});
}

Status reads_greeting(const std::string& bytes) {
  data::v1::Header header;
  const bool good = header.ParseFromString(bytes) && header.has_greeting();
  const auto& g = header.greeting();
  return as_meant(good && g.server_id() == 3 && g.incarnation() == 9 && g.expected_server_id() == 4 &&
                      g.protocol_min() == 1 && g.protocol_max() == 1,
                  "a greeting");
}

// The program's own version is taken out: it differs from patch to patch, and nothing is decided by it. So is
// its range of protocols, as in greeting().
std::string client_greeting() {
  ClientIdentity identity;
  identity.node = "node-1";
  identity.publication = 7;
  identity.access_server = "site-a/access-0";
  identity.access_incarnation = 8;
  identity.access_revision = 600;
  data::v1::Header header;
  SHIMA_CHECK(header.ParseFromString(encode_greeting(ClientId(0xc11e47), identity, ServerId(4)).header),
              "a greeting of our own cannot be parsed");
  header.mutable_greeting()->set_software("shima volume client");
  header.mutable_greeting()->set_protocol_min(1);
  header.mutable_greeting()->set_protocol_max(1);
  return header.SerializeAsString();
}

Status reads_client_greeting(const std::string& bytes) {
  data::v1::Header header;
  const bool good = header.ParseFromString(bytes) && header.has_greeting();
  const auto& g = header.greeting();
  return as_meant(good && g.client_id() == 0xc11e47 && g.expected_server_id() == 4 && g.server_id() == 0 &&
                      g.node() == "node-1" && g.publication() == 7 &&
                      g.access_server() == "site-a/access-0" && g.access_incarnation() == 8 &&
                      g.access_revision() == 600,
                  "a client's greeting");
}

// Clients keep handles over upgrades of access servers.
NfsHandle sample_handle() { return {.volume = 11, .inode = 12, .generation = 1, .life = 2}; }

Status reads_handle(const std::string& bytes) {
  const std::optional<NfsHandle> found = NfsHandle::decode(span_of(bytes));
  return found ? as_meant(*found == sample_handle(), "an NFS handle")
               : Status(Code::kCorrupt, "an NFS handle cannot be read");
}

std::string prefix_bytes() {
  const PrefixBytes bytes = encode_frame_prefix(sample_prefix());
  return {bytes.begin(), bytes.end()};
}

}  // namespace

std::vector<FormatSample> wire_formats() {
  return {
      {"frame-prefix", false, prefix_bytes, reads_prefix},
      {"greeting", false, greeting, reads_greeting},
      {"client-greeting", false, client_greeting, reads_client_greeting},
      {"nfs-handle", false, [] { return sample_handle().encode(); }, reads_handle},
      {"record-header", false, [] { return encoded(sample_header()); },
       [](const std::string& bytes) { return reads_as(bytes, sample_header()); }},
      {"record-header-version-1", false, version_1_header,
       [](const std::string& bytes) { return reads_as(bytes, without_fence_and_time()); }},
  };
}

std::vector<FormatSample> all_formats() {
  std::vector<FormatSample> all = wire_formats();
  for (auto& more : {disk_formats(), record_formats()}) all.insert(all.end(), more.begin(), more.end());
  return all;
}

}  // namespace shima
