#include "tests/unit/accessserver/volume/fake_core_server.h"

#include <cstring>
#include <future>

#include "common/types/crc32c.h"

namespace shima {
namespace {

namespace pb = shima::data::v1;

Frame frame_of(uint64_t id, const pb::Header& header) {
  Frame frame;
  frame.id = id;
  header.SerializeToString(&frame.header);
  return frame;
}

Buffer with_a_flipped_bit(const Buffer& bytes) {
  return Buffer::make(bytes.size(), [&](uint8_t* p) {
    std::memcpy(p, bytes.data(), bytes.size());
    p[bytes.size() / 2] ^= 4;
  });
}

}  // namespace

FakeCoreServer::FakeCoreServer(std::shared_ptr<FakeVolume> volume, uint64_t server_id)
    : volume_(std::move(volume)), server_id_(server_id) {
  loop_.start();
  auto listener = Listener::open({&loop_}, {}, [this](ConnectionPtr connection) {
    connections_.push_back(connection);
    Connection* raw = connection.get();
    connection->start({.on_frame = [this, raw](Frame frame) { on_frame(*raw, std::move(frame)); },
                       .on_closed = [](Status) {}});
    pb::Header greeting;
    greeting.mutable_greeting()->set_server_id(server_id_);
    connection->send(frame_of(0, greeting));
  });
  SHIMA_CHECK(listener.is_ok(), "the fake server cannot listen");
  listener_ = std::move(*listener);
}

FakeCoreServer::~FakeCoreServer() {
  listener_.reset();
  loop_.stop();
}

void FakeCoreServer::behave(Choose choose) {
  std::lock_guard lock(mutex_);
  choose_ = std::move(choose);
}

void FakeCoreServer::drop_connections() {
  std::promise<void> done;
  loop_.post([&] {
    for (auto& weak : connections_) {
      if (auto connection = weak.lock())
        connection->close({Code::kUnavailable, "the test drops connections"});
    }
    connections_.clear();
    done.set_value();
  });
  done.get_future().wait();
}

MemberLayout FakeCoreServer::member(MemberKind kind, const std::string& site) const {
  return {
      ServerId(server_id_), site + "/core-" + std::to_string(server_id_), site, kind, "127.0.0.1", port()};
}

void FakeCoreServer::on_frame(Connection& connection, Frame frame) {
  pb::Header header;
  SHIMA_CHECK(header.ParseFromString(frame.header), "the client sent a header that cannot be parsed");
  if (header.has_greeting()) {
    if (header.greeting().expected_server_id() != server_id_)
      connection.close({Code::kUnavailable, "not me"});
    return;
  }
  Behaviour behaviour;
  {
    std::lock_guard lock(mutex_);
    if (choose_) behaviour = choose_(header);
  }
  if (behaviour.how == Misbehave::kClose) return connection.close({Code::kUnavailable, "the test closes"});
  Frame reply = answer(frame, header, behaviour);
  if (behaviour.how == Misbehave::kExecuteThenClose)
    return connection.close({Code::kUnavailable, "the test closes"});
  if (behaviour.how == Misbehave::kIgnore) return;
  if (behaviour.delay_ms == 0) {
    if (behaviour.how == Misbehave::kAnswerTwice) connection.send(reply);
    return connection.send(std::move(reply));
  }
  std::weak_ptr<Connection> weak;
  for (auto& known : connections_) {
    if (known.lock().get() == &connection) weak = known;
  }
  loop_.after(behaviour.delay_ms, [weak, reply = std::move(reply)] {
    if (auto still_there = weak.lock()) still_there->send(reply);
  });
}

Frame FakeCoreServer::answer(const Frame& request, const pb::Header& header, const Behaviour& behaviour) {
  std::lock_guard lock(volume_->mutex);
  if (header.has_read()) {
    Frame reply = answer_read(header.read(), behaviour);
    reply.id = request.id;
    return reply;
  }
  pb::Header reply;
  *reply.mutable_write_reply() = answer_write(header.write(), request.payload, behaviour);
  return frame_of(request.id, reply);
}

Frame FakeCoreServer::answer_read(const pb::ReadRequest& read, const Behaviour& behaviour) {
  volume_->reads.push_back(read);
  SHIMA_CHECK(read.offset() % kChunkSize == 0 && read.length() % kChunkSize == 0,
              "a read is not of whole chunks");
  pb::Header header;
  pb::ReadReply& reply = *header.mutable_read_reply();
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  if (behaviour.code != Code::kOk) return frame_of(0, header);
  auto found = volume_->blocks.find({read.group(), read.block()});
  reply.set_sequence(volume_->sequences[read.group()]);
  reply.set_all_zero(found == volume_->blocks.end());
  if (found == volume_->blocks.end()) return frame_of(0, header);
  Buffer bytes = Buffer::copy_of(std::span(found->second).subspan(read.offset(), read.length()));
  for (uint32_t crc : chunk_checksums(bytes.span())) reply.add_checksums(crc);
  Frame frame = frame_of(0, header);
  frame.payload = behaviour.how == Misbehave::kFlipBit ? with_a_flipped_bit(bytes) : bytes;
  return frame;
}

pb::WriteReply FakeCoreServer::answer_write(const pb::WriteRequest& write, const Buffer& payload,
                                            const Behaviour& behaviour) {
  volume_->writes.push_back(write);
  pb::WriteReply reply;
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  if (behaviour.code != Code::kOk || behaviour.how == Misbehave::kIgnore) return reply;
  if (!write.punch()) {
    Status intact =
        verify_payload(payload.span(), {write.checksums().data(), size_t(write.checksums_size())});
    SHIMA_CHECK(intact.is_ok(), "a write's checksums are wrong");
    SHIMA_CHECK(payload.size() == write.length(), "a write's length is wrong");
  }
  auto [known, is_new] = volume_->results.try_emplace({write.group(), write.client(), write.request()});
  if (!is_new) return known->second;
  volume_->executed++;
  auto& block =
      volume_->blocks.try_emplace({write.group(), write.block()}, volume_->block_size).first->second;
  if (write.punch()) {
    std::memset(block.data() + write.offset(), 0, write.length());
  } else {
    std::memcpy(block.data() + write.offset(), payload.data(), payload.size());
  }
  reply.set_sequence(++volume_->sequences[write.group()]);
  return known->second = reply;
}

Result<VolumeLayout> FakeLayoutSource::fetch(const std::string&) {
  std::lock_guard lock(mutex_);
  fetches_++;
  return layout_;
}

void FakeLayoutSource::set(Result<VolumeLayout> layout) {
  std::lock_guard lock(mutex_);
  layout_ = std::move(layout);
}

int FakeLayoutSource::fetches() {
  std::lock_guard lock(mutex_);
  return fetches_;
}

VolumeLayout make_layout(const std::vector<MemberLayout>& primaries, uint32_t block_size,
                         uint64_t size_bytes) {
  VolumeLayout layout;
  layout.name = "db";
  layout.volume = VolumeId(77);
  layout.config_version = ConfigVersion(1);
  layout.home = "here";
  layout.sites = {"here"};
  layout.block_size = block_size;
  layout.size_bytes = size_bytes;
  for (size_t i = 0; i < 8; i++) layout.groups.push_back({Term(1), {primaries[i % primaries.size()]}});
  return layout;
}

}  // namespace shima
