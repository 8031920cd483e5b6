#include "coreserver/driver/group_driver.h"

#include <cstdlib>

#include "common/observe/log.h"
#include "coreserver/driver/wire_messages.h"

namespace shima {

using namespace replication;  // the core's events and effects

namespace {
constexpr uint64_t kBusyTickMs = 50;  // the shard's
constexpr uint64_t kQuietAfterMs = 2000;
constexpr uint64_t kQuietTickMs = 1000;
}  // namespace

void send_on(const ConnectionPtr& connection, Frame frame) {
  if (connection->loop().on_loop_thread()) return connection->send(std::move(frame));
  connection->loop().post(
      [connection, frame = std::move(frame)]() mutable { connection->send(std::move(frame)); });
}

GroupDriver::GroupDriver(GroupEnvironment environment, GroupId id, GroupCheckpoint checkpoint,
                         RecoveredGroup recovered)
    : env_(std::move(environment)),
      core_(id, env_.self, env_.incarnation, env_.protocol, std::move(recovered)),
      volume_(std::move(checkpoint.volume)),
      block_size_(checkpoint.block_size),
      metadata_(checkpoint.metadata),
      applied_(checkpoint.position.sequence),
      replay_until_(core_.log().last()),
      checkpoint_asked_(checkpoint.position.sequence) {}

GroupDriver::~GroupDriver() { forget_remembered(core_.log().last()); }

void GroupDriver::set_config(const GroupConfig& config, uint64_t max_inodes,
                             std::shared_ptr<const VolumeAdmission> access) {
  if (dropped_) return;
  max_inodes_ = max_inodes;
  access_ = std::move(access);
  fenced_sessions_due_ = true;
  Role before = core_.role();
  Term term_before = core_.term();
  // The overlay must hold what the journal has and the blocks lack before anything can be read or ordered.
  Role role = config.role_of(env_.self);
  if (!overlay_loaded_ && (role == Role::kPrimary || role == Role::kRemote)) load_unapplied();
  if (before == Role::kNone && role == Role::kSecondary) drop_leftover_blocks();
  step(ConfigChanged{config});
  if (before == Role::kPrimary && core_.role() != Role::kPrimary) give_up_after_commit();
  std::erase_if(resyncs_, [&](const auto& r) {
    return core_.role() != Role::kPrimary || core_.term() != term_before || !config.find(r.first);
  });
  if (before != Role::kPrimary && core_.role() == Role::kPrimary) {
    for (const Member& m : config.members) {
      if (m.server != env_.self && env_.links->is_up(m.server)) peer_up(m.server);
    }
  }
  if (metadata_) close_fenced_sessions();
}

Status GroupDriver::refusal_of(const SessionIdentity& who, bool changes) const {
  if (!access_) return {Code::kUnavailable, "group " + to_string(id()) + " does not know its volume yet"};
  return access_->check(who, changes);
}

void GroupDriver::load_unapplied() {
  overlay_loaded_ = true;
  Sequence at = std::max(applied_, core_.log().base());
  while (at < core_.log().last()) {
    auto records = env_.disk->journal().read(id(), at.next(), core_.log().last(), 16u << 20);
    if (!records.is_ok()) {
      log(LogLevel::kError, "group",
          "group " + to_string(id()) + ": cannot read its journal at start: " + records.status().to_string());
      std::_Exit(1);  // crash-only: nothing may be served without these records
    }
    for (const RecordPtr& r : *records) unapplied([&](auto& u) { u.add(r); });
    at = records->back()->header.position.sequence;
  }
  count_backlog();
}

void GroupDriver::count_backlog() {
  uint64_t bytes = unapplied([](const auto& u) { return u.bytes(); });
  env_.disk->backlog_bytes() += static_cast<int64_t>(bytes) - static_cast<int64_t>(counted_bytes_);
  counted_bytes_ = bytes;
}

// A fold that a crash cut off before its first checkpoint left blocks that nobody counts with.
void GroupDriver::drop_leftover_blocks() {
  if (core_.folded() || metadata_) return;
  env_.disk->worker().post([self = shared_from_this()] {
    auto present = self->env_.disk->blocks().present_bytes(self->id());
    if (!present.is_ok() || *present == 0) return;
    Status status = self->env_.disk->blocks().delete_blocks(self->id());
    if (!status.is_ok()) log(LogLevel::kError, "fold", status.to_string());
  });
}

void GroupDriver::tick_core() {
  last_tick_ms_ = env_.loop->now_ms();
  feed(Tick{last_tick_ms_});
}

void GroupDriver::step(const Event& event) {
  last_event_ms_ = env_.loop->now_ms();
  if (last_event_ms_ - last_tick_ms_ > 2 * kBusyTickMs) tick_core();  // the core's clock stood still
  feed(event);
}

// Nothing that is carried out feeds the core again before it returns.
void GroupDriver::feed(const Event& event) {
  std::vector<Effect> effects;
  core_.step(event, effects);
  for (Effect& effect : effects) {
    std::visit([&](auto& e) { carry_out(e); }, effect);
  }
}

void GroupDriver::carry_out(AppendToJournal& effect) {
  const RecordPtr& record = effect.record;
  if (core_.role() != Role::kSecondary) {
    unapplied([&](auto& u) { u.add(record); });
    count_backlog();
  }
  if (core_.role() == Role::kPrimary) remember(record);
  Position position = record->header.position;
  env_.disk->journal().append(
      record, [weak = weak_from_this(), durable = durable_, loop = env_.loop, position](Status status) {
        if (!status.is_ok()) {  // a gap in the log cannot be mended: start again from what is on the disk
          log(LogLevel::kError, "journal",
              "cannot append, the server ends and starts from its disk: " + status.to_string());
          std::_Exit(1);
        }
        std::lock_guard lock(durable->mutex);
        durable->newest = position;
        if (durable->posted) return;
        durable->posted = true;
        loop->post([weak, durable] {
          Position newest;
          {
            std::lock_guard inner(durable->mutex);
            newest = durable->newest;
            durable->posted = false;
          }
          auto group = weak.lock();
          // Of a log that was forgotten meanwhile (ForgetEverything) nothing counts any more.
          if (group && !group->dropped_ && group->durable_ == durable) group->step(LocalDurable{newest});
        });
      });
}

void GroupDriver::carry_out(TruncateJournal& effect) {
  unapplied([&](auto& u) { u.truncate(effect.after); });
  fences_.clear();
  count_backlog();
  replay_until_ = std::min(replay_until_, effect.after);
  env_.disk->journal().truncate(id(), effect.after, [](Status) {});
}

void GroupDriver::carry_out(SendMessage& effect) {
  if (core_.role() == Role::kPrimary) {
    if (std::holds_alternative<ResyncBegin>(effect.message)) return;  // see resync_begin()
    const uint32_t protocol = env_.links->protocol(effect.to);
    const auto* end = std::get_if<ResyncEnd>(&effect.message);
    if (end && !resync_window_fits(effect.to, end->window.size())) return;
    for (Frame& frame : frames_of(id(), effect.message, protocol))
      env_.links->send(effect.to, std::move(frame));
    return;
  }
  const auto* welcome = std::get_if<Welcome>(&effect.message);
  if (welcome && !welcome->accepted) {  // it is not our primary: what is for that one goes on as before
    for (Frame& frame : frames_of(id(), effect.message)) send_on(hello_via_, std::move(frame));
    return;
  }
  if (welcome) reply_via_[effect.to] = hello_via_;
  auto via = reply_via_.find(effect.to);
  if (via == reply_via_.end()) return;
  for (Frame& frame : frames_of(id(), effect.message)) send_on(via->second, std::move(frame));
}

void GroupDriver::carry_out(Acknowledge& effect) {
  auto it = waiting_.find(effect.token);
  if (it == waiting_.end()) return;
  auto done = std::move(it->second);
  waiting_.erase(it);
  done(effect.status, effect.position);
}

void GroupDriver::carry_out(ReleaseJournal& effect) {
  env_.disk->journal().release(id(), effect.upto);
  forget_remembered(effect.upto);
}

void GroupDriver::carry_out(ProposeMembership& effect) { env_.propose(id(), core_.term(), effect); }

void GroupDriver::peer_up(ServerId peer) {
  if (dropped_ || core_.role() != Role::kPrimary) return;
  Outgoing& out = outgoing_[peer];
  out.generation++;
  out.queue.clear();
  out.reading = false;
  step(PeerUp{peer});
}

void GroupDriver::peer_down(ServerId peer) {
  if (dropped_ || core_.role() != Role::kPrimary) return;
  outgoing_[peer].generation++;
  outgoing_[peer].queue.clear();
  outgoing_[peer].reading = false;
  resyncs_.erase(peer);
  step(PeerDown{peer});
}

void GroupDriver::peer_message(ServerId from, Message message, const ConnectionPtr& via) {
  if (dropped_) return;
  if (std::holds_alternative<Hello>(message) && core_.role() == Role::kPrimary) return;
  auto* end = std::get_if<ResyncEnd>(&message);
  bool ends = end && core_.accepts_resync(from, end->term, end->round);
  if (ends && end->window.empty()) end->window = std::move(resync_window_);
  const ResyncEnd stored = ends ? *end : ResyncEnd();
  hello_via_ = via;
  step(PeerMessage{from, std::move(message)});
  hello_via_.reset();
  if (ends) resync_stored(from, stored);
  tell_space();
  admit_parked();
}

void GroupDriver::tick() {
  if (dropped_) return;
  uint64_t now = env_.loop->now_ms();
  bool quiet = now - last_event_ms_ > kQuietAfterMs;
  tell_space();  // also of a quiet group: its next write shall not be refused for a disk that was full
  if (quiet && now - last_tick_ms_ < kQuietTickMs) return;
  tick_core();
  if (metadata_) {
    close_fenced_sessions();
    end_silent_sessions();
  }
  pump_apply(true);
  pump_checkpoint(false);
  admit_parked();
}

// A member that cannot apply as fast as records come holds the primary back as if its disk were full: memory
// stays bounded (I10). The primary itself holds its clients back (has_room).
void GroupDriver::tell_space() {
  if (core_.role() == Role::kRemote) {
    uint64_t limit = congested_ ? env_.unapplied_bytes / 2 : env_.unapplied_bytes;
    congested_ = unapplied([](const auto& u) { return u.bytes(); }) > limit;
  }
  bool full = env_.disk->full() || congested_;
  if (full == told_full_) return;
  told_full_ = full;
  step(SpaceChanged{full});
}

void GroupDriver::drop(std::function<void(Status)> done) {
  dropped_ = true;
  for (auto& [token, waiter] : waiting_) waiter(Status(Code::kNotFound, "the volume is being deleted"), {});
  for (auto& [deadline, call] : parked_)
    call->done(Status(Code::kNotFound, "the volume is being deleted"), {});
  waiting_.clear();
  parked_.clear();
  give_up_after_commit();
  unapplied([](auto& u) { u.clear(); });
  count_backlog();
  env_.disk->journal().drop_group(id());
  env_.disk->worker().post([disk = env_.disk, id = id(), metadata = metadata_, done = std::move(done)] {
    Status status = metadata ? disk->blocks().kv().delete_group(id) : disk->blocks().delete_blocks(id);
    if (!status.is_ok()) return done(status);
    disk->checkpoint(id, "", done);
  });
}

GroupSnapshot GroupDriver::snapshot() const {
  GroupSnapshot s;
  const GroupLog& log = core_.log();
  auto at = [&](Sequence sequence) { return Position{log.term_at(sequence), sequence}; };
  s.id = id();
  s.role = core_.role();
  s.term = core_.term();
  s.serving = core_.serving();
  s.state = core_.state_in_words();
  s.last = log.last_position();
  s.committed = at(core_.committed());
  s.durable = at(log.durable());
  s.applied = at(core_.role() == Role::kSecondary && !core_.folded() ? Sequence() : applied_);
  s.trimmed = at(core_.trimmed());
  s.journal_bytes = log.bytes_between(log.base(), log.last());
  s.peers = core_.peers();
  for (const auto& peer : s.peers) s.peer_durable.push_back(at(peer.durable));
  return s;
}

}  // namespace shima
