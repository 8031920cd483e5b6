#include "tests/unit/accessserver/volume/fake_core_server.h"

#include <algorithm>
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

void change_block(FakeVolume& volume, const pb::WriteRequest& write, const Buffer& payload) {
  std::tuple key(write.group(), write.inode(), write.block());
  volume.versions[key] = volume.sequences[write.group()];
  auto& block = volume.blocks.try_emplace(key, volume.block_size).first->second;
  if (!write.punch()) {
    std::memcpy(block.data() + write.offset(), payload.data(), payload.size());
  } else if (write.length() < volume.block_size) {
    std::memset(block.data() + write.offset(), 0, write.length());
  } else {
    volume.blocks.erase(key);
    volume.versions.erase(key);
  }
}

void truncate(FakeVolume& volume, const pb::WriteRequest& write) {
  auto& blocks = volume.blocks;
  auto block = blocks.lower_bound({write.group(), write.inode(), write.block()});
  auto beyond = blocks.lower_bound({write.group(), write.inode() + 1, 0});
  if (block != beyond && std::get<2>(block->first) == write.block() && write.offset() > 0) {
    std::fill(block->second.begin() + write.offset(), block->second.end(), 0);
    volume.versions[block->first] = volume.sequences[write.group()];
    ++block;
  }
  for (auto gone = block; gone != beyond; ++gone) volume.versions.erase(gone->first);
  blocks.erase(block, beyond);
}

}  // namespace

void FakeVolume::apply(const pb::WriteRequest& write, const Buffer& payload) {
  uint64_t sequence = ++sequences[write.group()];
  records[write.group()].push_back({write, payload});
  FakeInode& inode = inodes[{write.group(), write.inode()}];
  if (!write.truncate()) {
    change_block(*this, write, payload);
    inode.changes++;
  } else if (write.fence() > inode.fence) {
    truncate(*this, write);
    inode.truncated_at = sequence;
  }
  inode.fence = write.fence();
  inode.mtime_ns = std::max(inode.mtime_ns, write.time_ns());
}

void FakeVolume::ship(FakeVolume& replica, uint32_t group, size_t most) {
  std::vector<FakeRecord> next;
  {
    std::scoped_lock lock(mutex, replica.mutex);
    const std::vector<FakeRecord>& all = records[group];
    auto first = all.begin() + static_cast<ptrdiff_t>(replica.sequences[group]);
    next.assign(first, first + static_cast<ptrdiff_t>(std::min<size_t>(most, all.end() - first)));
  }
  std::lock_guard lock(replica.mutex);
  for (const FakeRecord& record : next) replica.apply(record.write, record.payload);
}

void FakeVolume::ship_all(FakeVolume& replica) {
  for (uint32_t group = 0; group < 8; group++) ship(replica, group, ~size_t{0});
}

FakeCoreServer::FakeCoreServer(std::shared_ptr<FakeVolume> volume, uint64_t server_id)
    : volume_(std::move(volume)), server_id_(server_id) {
  loop_.start();
  ListenerOptions patient;
  patient.connection.dead_after_ms = 60'000;  // no stall of a machine is so long
  auto listener = Listener::open({&loop_}, patient, [this](ConnectionPtr connection) {
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
  pb::Header reply;
  Frame frame;
  switch (header.body_case()) {
    case pb::Header::kRead:
      frame = answer_read(header.read(), behaviour);
      break;
    case pb::Header::kWrite:
      *reply.mutable_write_reply() = answer_write(header.write(), request.payload, behaviour);
      frame = frame_of(0, reply);
      break;
    case pb::Header::kJob:
      frame = answer_job(header.job(), request.payload, behaviour);
      break;
    case pb::Header::kInode:
      *reply.mutable_inode_reply() = answer_inode_query(header.inode(), behaviour);
      frame = frame_of(0, reply);
      break;
    case pb::Header::kSeek:
      *reply.mutable_seek_reply() = answer_seek(header.seek(), behaviour);
      frame = frame_of(0, reply);
      break;
    default:
      check_failed("body_case()", "the client sent a frame that is no request", __FILE__, __LINE__);
  }
  frame.id = request.id;
  return frame;
}

// All but code, bytes and checksums.
pb::ReadReply FakeCoreServer::describe_read(const pb::ReadRequest& read) {
  pb::ReadReply reply;
  const FakeInode& inode = volume_->inodes[{read.group(), read.inode()}];
  auto version = volume_->versions.find({read.group(), read.inode(), read.block()});
  bool is_there = version != volume_->versions.end();
  reply.set_term(is_there ? 1 : 0);
  reply.set_sequence(is_there ? version->second : 0);
  if (!read.own_replica()) reply.set_fence(inode.fence);
  if (read.version_only()) reply.set_sequence(std::max(reply.sequence(), inode.truncated_at));
  reply.set_visible(volume_->sequences[read.group()]);
  reply.set_all_zero(!is_there || read.version_only());
  return reply;
}

Frame FakeCoreServer::answer_read(const pb::ReadRequest& read, const Behaviour& behaviour) {
  volume_->reads.push_back(read);
  SHIMA_CHECK(read.offset() % kChunkSize == 0 && read.length() % kChunkSize == 0,
              "a read is not of whole chunks");
  pb::Header header;
  pb::ReadReply& reply = *header.mutable_read_reply();
  reply = describe_read(read);
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  auto found = volume_->blocks.find({read.group(), read.inode(), read.block()});
  if (behaviour.code != Code::kOk || reply.all_zero()) return frame_of(0, header);
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
  if (!write.punch() && !write.truncate()) {
    Status intact =
        verify_payload(payload.span(), {write.checksums().data(), size_t(write.checksums_size())});
    SHIMA_CHECK(intact.is_ok(), "a write's checksums are wrong");
    SHIMA_CHECK(payload.size() == write.length(), "a write's length is wrong");
  }
  auto [known, is_new] = volume_->results.try_emplace({write.group(), write.client(), write.request()});
  if (is_new) known->second = execute(write, payload);
  return known->second;
}

pb::WriteReply FakeCoreServer::execute(const pb::WriteRequest& write, const Buffer& payload) {
  pb::WriteReply reply;
  if (write.fence() < volume_->inodes[{write.group(), write.inode()}].fence) {
    if (!write.truncate()) reply.set_code(static_cast<uint32_t>(Code::kStaleFence));
    return reply;
  }
  volume_->apply(write, payload);
  volume_->executed++;
  reply.set_sequence(volume_->sequences[write.group()]);
  return reply;
}

Frame FakeCoreServer::answer_job(const pb::JobRequest& job, const Buffer& payload,
                                 const Behaviour& behaviour) {
  metadata::v1::JobRequest body;
  SHIMA_CHECK(crc32c(payload.span()) == job.checksum(), "a job's checksum is wrong");
  SHIMA_CHECK(body.ParseFromArray(payload.data(), static_cast<int>(payload.size())), "a job is none");
  volume_->jobs.push_back(job);
  volume_->job_bodies.push_back(body);
  pb::Header header;
  pb::JobReply& reply = *header.mutable_job_reply();
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  if (behaviour.code != Code::kOk || behaviour.how == Misbehave::kIgnore) return frame_of(0, header);
  std::string bytes = execute_job(job);
  reply.set_sequence(volume_->sequences[job.group()]);
  Frame frame;
  frame.payload = Buffer::copy_of(bytes);
  reply.set_checksum(crc32c(frame.payload.span()));
  if (behaviour.how == Misbehave::kFlipBit) frame.payload = with_a_flipped_bit(frame.payload);
  header.SerializeToString(&frame.header);
  return frame;
}

std::string FakeCoreServer::execute_job(const pb::JobRequest& job) {
  std::string bytes;
  metadata::v1::JobReply reply;
  if (job.request() == 0) {  // one that only reads
    reply.mutable_attributes()->set_inode(volume_->jobs_executed);
    reply.SerializeToString(&bytes);
    return bytes;
  }
  auto [known, is_new] = volume_->job_results.try_emplace({job.client(), job.request()});
  if (!is_new) return known->second;
  ++volume_->sequences[job.group()];
  reply.mutable_attributes()->set_inode(++volume_->jobs_executed);
  reply.SerializeToString(&known->second);
  return known->second;
}

pb::InodeReply FakeCoreServer::answer_inode_query(const pb::InodeRequest& query, const Behaviour& behaviour) {
  volume_->inode_queries.push_back(query);
  const FakeInode& inode = volume_->inodes[{query.group(), query.inode()}];
  pb::InodeReply reply;
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  reply.set_fence(inode.fence);
  reply.set_mtime_ns(inode.mtime_ns);
  reply.set_changes(inode.changes);
  uint64_t own = 0, all = 0;
  for (const auto& [key, bytes] : volume_->blocks) {
    if (std::get<0>(key) != query.group()) continue;
    all += bytes.size();
    if (std::get<1>(key) == query.inode()) own += bytes.size();
  }
  reply.set_used_bytes(own);
  reply.set_group_used_bytes(all);
  return reply;
}

// Chunks of zeros are holes here.
pb::SeekReply FakeCoreServer::answer_seek(const pb::SeekRequest& seek, const Behaviour& behaviour) {
  volume_->seeks.push_back(seek);
  pb::SeekReply reply;
  reply.set_code(static_cast<uint32_t>(behaviour.code));
  const uint64_t last = seek.hole() ? seek.block() : ~uint64_t{0};
  auto block = volume_->blocks.lower_bound({seek.group(), seek.inode(), seek.block()});
  bool is_absent =
      block == volume_->blocks.end() || block->first != std::tuple(seek.group(), seek.inode(), seek.block());
  if (seek.hole() && is_absent) {
    reply.set_found(true);
    reply.set_block(seek.block());
    reply.set_offset(seek.offset());
    return reply;
  }
  for (; block != volume_->blocks.end() && !reply.found(); ++block) {
    auto [group, inode, index] = block->first;
    if (group != seek.group() || inode != seek.inode() || index > last) break;
    uint32_t from = index == seek.block() ? seek.offset() : 0;
    for (uint32_t at = from; at < volume_->block_size && !reply.found(); at = (at / 4096 + 1) * 4096) {
      auto chunk = std::span(block->second).subspan(at / 4096 * 4096, 4096);
      bool is_hole = std::ranges::all_of(chunk, [](uint8_t byte) { return byte == 0; });
      if (is_hole != seek.hole()) continue;
      reply.set_found(true);
      reply.set_block(index);
      reply.set_offset(at);
    }
  }
  return reply;
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
  layout.has_metadata = true;
  layout.metadata = {Term(1), {primaries[0]}};
  return layout;
}

}  // namespace shima
