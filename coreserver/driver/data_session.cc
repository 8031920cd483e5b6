#include "coreserver/driver/data_session.h"

#include <algorithm>

#include "common/observe/log.h"
#include "common/transport/protocol_range.h"
#include "common/types/crc32c.h"
#include "coreserver/driver/peer_frames.h"
#include "coreserver/driver/wire_messages.h"
#include "shima/data/v1/data.pb.h"

namespace shima {

namespace wire = data::v1;

SessionCounters& session_counters() {
  static SessionCounters counters;
  return counters;
}

namespace {

constexpr uint64_t kDisagreementMs = 2000;

LogLimit& malformed_lines() {
  static LogLimit limit(60000);
  return limit;
}

class DataSession : public std::enable_shared_from_this<DataSession> {
 public:
  DataSession(const SessionEnvironment& environment, ConnectionPtr connection)
      : env_(environment), connection_(std::move(connection)) {}

  void start() {
    ConnectionHandlers handlers;
    handlers.on_frame = [self = shared_from_this()](Frame frame) { self->on_frame(std::move(frame)); };
    handlers.on_closed = [self = shared_from_this()](Status) {};
    connection_->start(std::move(handlers));
  }

 private:
  void on_frame(Frame frame) {
    if (!greeted_) return greet(frame);
    if (peer_) {
      Status status =
          deliver_peer_frame(peer_, connection_, std::move(frame),
                             [this](GroupId id, const auto& use) { env_.shards->with_group(id, use); });
      if (!status.is_ok()) malformed(status);
      return;
    }
    wire::Header header;
    if (!header.ParseFromString(frame.header)) {
      return malformed(Status(Code::kCorrupt, "a frame's header is no shima.data.v1.Header"));
    }
    if (header.has_write()) return write(frame.id, header.write(), std::move(frame.payload));
    if (header.has_read()) return read(frame.id, header.read());
    if (header.has_job()) return job(frame.id, header.job(), frame.payload);
    if (header.has_inode()) return inode(frame.id, header.inode());
    if (header.has_seek()) return seek(frame.id, header.seek());
    malformed(Status(Code::kCorrupt, "a volume client may send reads, writes and jobs only"));
  }

  void greet(const Frame& frame) {
    wire::Header header;
    auto [self, incarnation] = env_.identity();
    if (disagreed_) return;
    if (!header.ParseFromString(frame.header) || !header.has_greeting()) {
      return malformed(Status(Code::kCorrupt, "the first frame must be a Greeting"));
    }
    uint64_t expected = header.greeting().expected_server_id();
    if (!self || (expected && expected != self.value)) {
      connection_->close(Status(Code::kUnavailable, "wanted server " + std::to_string(expected) +
                                                        ", this is server " + std::to_string(self.value)));
      return;
    }
    if (!take_identity(header.greeting())) {
      return malformed(
          Status(Code::kInvalidArgument, "a Greeting's node or access server has too long a name"));
    }
    answer_greeting(frame.id, self, incarnation);
    if (Status common = check_protocols(header.greeting()); !common) return disagree(common);
    greeted_ = true;
    peer_ = ServerId(header.greeting().server_id());
  }

  void answer_greeting(uint64_t id, ServerId self, Incarnation incarnation) {
    connection_->send(Frame{id, encode_greeting({self, incarnation, ServerId(), own_software()}), {}, {}});
  }

  Status check_protocols(const wire::Greeting& greeting) const {
    Result<ProtocolRange> others = protocol_range_from(greeting.protocol_min(), greeting.protocol_max());
    if (!others) return others.status();
    const std::string who = greeting.server_id() ? "server " + std::to_string(greeting.server_id())
                                                 : "the volume client at " + connection_->peer();
    return agree_on_protocol(kDataProtocols, *others, who).status();
  }

  // The other side reads our range in the greeting, can say what is wrong, and closes. If we closed at once,
  // our greeting might never arrive.
  void disagree(const Status& why) {
    disagreed_ = true;
    connection_->loop().after(kDisagreementMs, [self = weak_from_this(), why] {
      if (auto session = self.lock()) session->malformed(why);
    });
  }

  bool take_identity(const wire::Greeting& greeting) {
    if (greeting.node().size() > kMaxNodeNameBytes || greeting.access_server().size() > kMaxNodeNameBytes) {
      return false;
    }
    who_ = std::make_shared<const SessionIdentity>(
        SessionIdentity{greeting.node(), greeting.publication(), greeting.access_server(),
                        greeting.access_incarnation(), greeting.access_revision()});
    return true;
  }

  void write(uint64_t id, const wire::WriteRequest& w, Buffer payload) {
    session_counters().writes++;
    session_counters().write_bytes += payload.size();
    WriteCall call;
    call.who = who_;
    call.deadline_ms = w.deadline_ms();
    replication::ClientWrite& c = call.write;
    c.client = ClientId(w.client());
    c.request = RequestId(w.request());
    c.settled_below = RequestId(w.settled_below());
    c.known_sequence = Sequence(w.known_sequence());
    c.kind = w.punch() ? RecordKind::kPunch : RecordKind::kWrite;
    c.inode = InodeId(w.inode());
    c.block = BlockIndex(w.block());
    c.offset = w.offset();
    c.length = w.length();
    c.fence = w.remove() ? kRemovedFence : w.fence();
    c.time_ns = w.time_ns();
    if (w.truncate()) c.kind = RecordKind::kTruncate;
    if (c.kind == RecordKind::kWrite) c.checksums.assign(w.checksums().begin(), w.checksums().end());
    uint64_t cost = payload.size() + 256;
    c.payload = std::move(payload);
    begin(cost);
    call.done = [self = shared_from_this(), id, cost](Status status, Position position) {
      wire::Header header;
      auto* reply = header.mutable_write_reply();
      reply->set_code(static_cast<uint32_t>(status.code()));
      if (!status.is_ok()) reply->set_message(status.message());
      reply->set_term(position.term.value);
      reply->set_sequence(position.sequence.value);
      self->answer(Frame{id, header.SerializeAsString(), {}, {}}, cost, status.is_ok());
    };
    GroupId group{VolumeId(w.volume()), GroupIndex(w.group())};
    auto shared = std::make_shared<WriteCall>(std::move(call));
    env_.shards->with_group(group, [shared, group](GroupDriver* g) {
      if (g) return g->write(std::move(*shared));
      shared->done(Status(Code::kNotPrimary, "group " + to_string(group) + " is not on this server"), {});
    });
  }

  void read(uint64_t id, const wire::ReadRequest& r) {
    session_counters().reads++;
    session_counters().read_bytes += r.length();
    uint64_t cost = uint64_t{r.length()} + 256;
    begin(cost);
    ReadCall call;
    call.who = who_;
    call.inode = InodeId(r.inode());
    call.block = BlockIndex(r.block());
    call.offset = r.offset();
    call.length = r.length();
    call.own_replica = r.own_replica();
    call.version_only = r.version_only();
    call.done = [self = shared_from_this(), id, cost](Result<BlockPiece> piece, ReadCall::Seen seen) {
      self->answer(read_reply(id, std::move(piece), seen), cost, true);
    };
    GroupId group{VolumeId(r.volume()), GroupIndex(r.group())};
    auto shared = std::make_shared<ReadCall>(std::move(call));
    env_.shards->with_group(group, [shared, group](GroupDriver* g) {
      if (g) return g->read(std::move(*shared));
      shared->done(Status(Code::kNotPrimary, "group " + to_string(group) + " is not on this server"), {});
    });
  }

  void job(uint64_t id, const wire::JobRequest& j, const Buffer& payload) {
    session_counters().jobs++;
    uint64_t cost = payload.size() + 1024;
    begin(cost);
    auto call = std::make_shared<JobCall>();
    call->who = who_;
    call->client = ClientId(j.client());
    call->request = RequestId(j.request());
    call->settled_below = RequestId(j.settled_below());
    call->known_sequence = Sequence(j.known_sequence());
    call->done = [self = shared_from_this(), id, cost](Status status, std::string reply, Sequence sequence) {
      wire::Header header;
      auto* out = header.mutable_job_reply();
      fill(*out, status);
      out->set_sequence(sequence.value);
      Frame frame{id, {}, Buffer::copy_of(reply), {}};
      out->set_checksum(crc32c(frame.payload.span()));
      frame.header = header.SerializeAsString();
      self->answer(std::move(frame), cost, status.is_ok());
    };
    bool good = crc32c(payload.span()) == j.checksum();
    if (!good) return call->done(Status(Code::kCorrupt, "a job does not match its checksum"), "", {});
    if (!call->job.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
      return call->done(Status(Code::kInvalidArgument, "the payload is no JobRequest"), "", {});
    GroupId group{VolumeId(j.volume()), GroupIndex(j.group())};
    env_.shards->with_group(group, [call, group](GroupDriver* g) {
      if (g) return g->run_job(std::move(*call));
      call->done(not_here(group), "", {});
    });
  }

  void inode(uint64_t id, const wire::InodeRequest& r) {
    uint64_t cost = 256;
    begin(cost);
    auto done = [self = shared_from_this(), id, cost](Result<InodeAnswer> answer) {
      wire::Header header;
      auto* out = header.mutable_inode_reply();
      fill(*out, answer.status());
      if (answer.is_ok()) {
        out->set_fence(answer->state.fence);
        out->set_mtime_ns(answer->state.mtime_ns);
        out->set_changes(answer->state.changes);
        out->set_used_bytes(answer->state.used_bytes);
        out->set_group_used_bytes(answer->group_used_bytes);
      }
      self->answer(Frame{id, header.SerializeAsString(), {}, {}}, cost, answer.is_ok());
    };
    GroupId group{VolumeId(r.volume()), GroupIndex(r.group())};
    env_.shards->with_group(group, [done, group, inode = InodeId(r.inode()), who = who_](GroupDriver* g) {
      g ? g->inode(*who, inode, done) : done(not_here(group));
    });
  }

  void seek(uint64_t id, const wire::SeekRequest& r) {
    uint64_t cost = 256;
    begin(cost);
    SeekCall call;
    call.who = who_;
    call.inode = InodeId(r.inode());
    call.block = BlockIndex(r.block());
    call.offset = r.offset();
    call.hole = r.hole();
    call.deadline_ms = connection_->loop().now_ms() + (r.deadline_ms() ? r.deadline_ms() : 30000);
    call.done = [self = shared_from_this(), id,
                 cost](Result<std::optional<std::pair<BlockIndex, uint32_t>>> found) {
      wire::Header header;
      auto* out = header.mutable_seek_reply();
      fill(*out, found.status());
      if (found.is_ok() && *found) {
        out->set_found(true);
        out->set_block((*found)->first.value);
        out->set_offset((*found)->second);
      }
      self->answer(Frame{id, header.SerializeAsString(), {}, {}}, cost, found.is_ok());
    };
    GroupId group{VolumeId(r.volume()), GroupIndex(r.group())};
    env_.shards->with_group(group, [call = std::move(call), group](GroupDriver* g) mutable {
      g ? g->seek(std::move(call)) : call.done(not_here(group));
    });
  }

  template <typename Reply>
  static void fill(Reply& reply, const Status& status) {
    reply.set_code(static_cast<uint32_t>(status.code()));
    if (!status.is_ok()) reply.set_message(status.message());
  }
  static Status not_here(GroupId group) {
    return {Code::kNotPrimary, "group " + to_string(group) + " is not on this server"};
  }

  static Frame read_reply(uint64_t id, Result<BlockPiece> piece, ReadCall::Seen seen) {
    static const uint32_t zero = crc32c(std::vector<uint8_t>(kChunkSize));
    wire::Header header;
    auto* reply = header.mutable_read_reply();
    Frame frame;
    frame.id = id;
    if (!piece.is_ok()) {
      reply->set_code(static_cast<uint32_t>(piece.status().code()));
      reply->set_message(piece.status().message());
    } else {
      reply->set_term(piece->version.term.value);
      reply->set_sequence(piece->version.sequence.value);
      reply->set_fence(seen.fence);
      reply->set_visible(seen.visible.value);
      bool hole =
          std::all_of(piece->checksums.begin(), piece->checksums.end(), [](uint32_t c) { return c == zero; });
      reply->set_all_zero(hole);
      if (!hole) {
        for (uint32_t c : piece->checksums) reply->add_checksums(c);
        frame.payload = piece->bytes;
      }
    }
    frame.header = header.SerializeAsString();
    return frame;
  }

  void begin(uint64_t cost) {
    inflight_ += cost;
    if (inflight_ <= env_.inflight_bytes || paused_) return;
    paused_ = true;
    connection_->pause_reading();
  }

  void answer(Frame frame, uint64_t cost, bool good) {
    if (!good) session_counters().refused++;
    auto finish = [self = shared_from_this(), cost, frame = std::move(frame)]() mutable {
      self->inflight_ -= cost;
      self->connection_->send(std::move(frame));
      if (!self->paused_ || self->inflight_ > self->env_.inflight_bytes / 2) return;
      self->paused_ = false;
      if (self->connection_->is_open()) self->connection_->resume_reading();
    };
    if (connection_->loop().on_loop_thread()) return finish();
    connection_->loop().post(std::move(finish));
  }

  void malformed(const Status& why) {
    session_counters().malformed++;
    uint64_t suppressed = 0;
    const std::string& peer = connection_->peer();
    std::string host = peer.substr(0, peer.rfind(':'));  // each connection has a port of its own
    if (malformed_lines().allow(host, connection_->loop().now_ms(), suppressed)) {
      std::string more = suppressed ? " (" + std::to_string(suppressed) + " more since the last line)" : "";
      log(LogLevel::kWarning, "session", "closed " + peer + ": " + why.to_string() + more);
    }
    connection_->close(why);
  }

  const SessionEnvironment env_;
  ConnectionPtr connection_;
  bool greeted_ = false;
  bool disagreed_ = false;  // no protocol that both sides speak; what comes is not looked at
  ServerId peer_;
  std::shared_ptr<const SessionIdentity> who_;  // a volume client's; once greeted
  uint64_t inflight_ = 0;
  bool paused_ = false;
};

}  // namespace

void serve_data_connection(const SessionEnvironment& environment, ConnectionPtr connection) {
  std::make_shared<DataSession>(environment, std::move(connection))->start();
}

}  // namespace shima
