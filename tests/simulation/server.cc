// The life of a simulated server: start, crash, time, messages and the background work on its disk.
#include "tests/simulation/server.h"

#include <utility>

#include "tests/simulation/checkers.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/config_service.h"

namespace shima::simulation {

using namespace replication;

namespace {
constexpr GroupId kGroup{VolumeId(1), GroupIndex(0)};
constexpr uint64_t kTickUs = 50000;
}  // namespace

template <typename Action>
void Server::later(uint64_t delay_us, Action&& action) {
  run_.agenda.after(delay_us, [this, memory = memory_, action = std::forward<Action>(action)] {
    if (memory == memory_) action();
  });
}

void Server::start() {
  if (alive() || retired) return;
  life_++;
  memory_++;
  incarnation_ = incarnation_.next();
  RecoveredGroup found = disk_.recover(role_ == Role::kSecondary);
  applied_ = disk_.checkpoint().applied;
  folded_ = disk_.checkpoint().folded;
  apply_upto_ = visible_ = applied_.sequence;
  visible_blocks_ = disk_.blocks();
  syncing_ = applying_ = checkpointing_ = false;
  receiving_.reset();
  if (!found.damage.empty())
    run_.fail(Check::kNoDamage,
              "found on the disk of server " + std::to_string(id_.value) + ": " + found.damage);
  core_ = std::make_unique<ReplicaGroup>(kGroup, id_, incarnation_, run_.parameters.group, std::move(found));
  run_.note(id_.value, "start", incarnation_.value, core_->log().base().value, core_->log().last().value);
  if (incarnation_.value > 1) run_.statistics.count(Happened::kRestart);
  around_.checkers->restarted(*this);
  around_.config->server_started(id_, incarnation_);
  around_.network->server_started(id_);
  if (disk_full_) feed(SpaceChanged{true});
  run_.agenda.after(run_.random.below(kTickUs), [this, life = life_] {
    if (life == life_) tick();
  });
}

void Server::crash() {
  if (!alive()) return;
  run_.note(id_.value, "crash", core_->log().durable().value, core_->log().last().value, disk_.unsynced());
  run_.statistics.count(Fault::kCrash);
  life_++;
  memory_++;
  core_.reset();
  disk_.crash(run_.random, run_.statistics);
  if (role_ != Role::kRemote) around_.checkers->something_is_durable();  // what reached the disk unnoticed
  around_.network->server_crashed(id_);
}

void Server::crash_for_a_while() {
  if (!alive()) return;
  crash();
  uint64_t away = run_.random.chance(200) ? run_.random.below(2'000'000) : run_.random.below(200'000);
  run_.agenda.after(1000 + away, [this] { start(); });
}

void Server::tick() {
  feed(Tick{1000 + run_.agenda.now_us() / 1000});
  run_.agenda.after(kTickUs, [this, life = life_] {
    if (life == life_) tick();
  });
}

void Server::feed(const Event& event) {
  if (!alive()) return;
  std::vector<Effect> effects;
  core_->step(event, effects);
  for (Effect& effect : effects) {
    if (run_.failure) return;
    std::visit([this](auto& e) { carry_out(e); }, effect);
  }
  run_.check(Check::kNoDamage, core_->damage().empty(),
             [&] { return "server " + std::to_string(id_.value) + " says: " + core_->damage(); });
}

void Server::peer_changed(ServerId peer, bool up) {
  run_.note(id_.value, up ? "peer-up" : "peer-down", peer.value);
  if (up)
    feed(PeerUp{peer});
  else
    feed(PeerDown{peer});
}

void Server::receive(ServerId from, const Parcel& parcel) {
  if (const Piece* piece = std::get_if<Piece>(&parcel)) return take_piece(*piece);
  const Message& message = std::get<Message>(parcel);
  run_.note(id_.value, "message", from.value, message.index());
  bool was_resyncing = core_->resyncing();
  if (auto* begin = std::get_if<ResyncBegin>(&message)) {
    feed(PeerMessage{from, message});
    // Only a ResyncBegin that was accepted has made the core forget, which ended the Receiving of before.
    if (alive() && core_->accepts_resync(from, begin->term, begin->round) && !receiving_) {
      receiving_ = Receiving{from, begin->term, begin->round, {}, {}, false};
    }
    return;
  }
  feed(PeerMessage{from, message});
  auto* end = std::get_if<ResyncEnd>(&message);
  if (end && was_resyncing && receiving_ && receiving_->term == end->term &&
      receiving_->round == end->round) {
    receiving_->end = *end;
    store_resync();
  }
}

void Server::set_disk_full(bool full) {
  if (disk_full_ == full) return;
  disk_full_ = full;
  run_.note(id_.value, full ? "disk-full" : "disk-has-space");
  if (full) run_.statistics.count(Fault::kFullDisk);
  feed(SpaceChanged{full});
}

// Group commit: all entries that wait become durable together, after a while.
void Server::pump_sync() {
  if (syncing_ || !disk_.unsynced()) return;
  syncing_ = true;
  later(run_.random.below(300), [this] {
    size_t batch = disk_.unsynced();
    uint64_t delay = run_.random.between(50, run_.parameters.sync_us_max);
    if (run_.chaos && run_.random.chance(run_.parameters.slow_sync_per_mille)) {
      run_.statistics.count(Fault::kSlowSync);
      delay += run_.random.below(400000);
    }
    later(delay, [this, batch] {
      Position upto = disk_.synced(batch);
      syncing_ = false;
      run_.note(id_.value, "synced", batch, upto.term.value, upto.sequence.value);
      if (role_ != Role::kRemote) around_.checkers->something_is_durable();
      if (upto.sequence) feed(LocalDurable{upto});
      pump_sync();
    });
  });
}

void Server::pump_apply() {
  if (applying_ || applied_.sequence >= apply_upto_) return;
  applying_ = true;
  later(run_.random.below(run_.parameters.apply_us_max), [this] {
    applying_ = false;
    for (uint64_t n = run_.random.between(1, 8); n > 0 && applied_.sequence < apply_upto_; n--) {
      const RecordPtr* record = disk_.read(applied_.sequence.next());
      if (!record) {
        return run_.fail(Check::kRelease, "server " + std::to_string(id_.value) + " must apply record " +
                                              std::to_string(applied_.sequence.value + 1) +
                                              ", which its journal no longer has");
      }
      disk_.apply(*record);
      applied_ = (*record)->header.position;
      if (role_ == Role::kSecondary) folded_ = applied_.sequence;
    }
    pump_apply();
    pump_checkpoint();
  });
}

void Server::pump_checkpoint() {
  if (checkpointing_ || applied_.sequence <= disk_.checkpoint().applied.sequence) return;
  checkpointing_ = true;
  later(run_.random.below(run_.parameters.checkpoint_us_max), [this] {
    Checkpoint c;
    c.applied = applied_;
    c.history = core_->log().history().starts();
    c.window = core_->window().save(applied_.sequence);
    c.folded = folded_;
    c.blocks = disk_.blocks();
    size_t covered = disk_.applied_since_checkpoint();
    later(run_.random.between(500, 20000), [this, c, covered] {
      disk_.checkpointed(c, covered);
      checkpointing_ = false;
      run_.statistics.count(Happened::kCheckpoint);
      run_.note(id_.value, "checkpointed", c.applied.sequence.value);
      feed(Checkpointed{c.applied.sequence});
      pump_checkpoint();
    });
  });
}

// ---- resync ----

void Server::send_piece(ServerId to, uint64_t round, uint64_t number, uint64_t after_block) {
  later(run_.random.between(500, 20000), [this, to, round, number, after_block] {
    if (resync_jobs_[to] != round) return;
    feed(ResyncProgress{to, round});
    Piece piece{core_->term(), round, number, false, 0, {}};
    auto block = disk_.blocks().upper_bound(after_block);
    if (block == disk_.blocks().end()) {
      piece.last = true;
      around_.network->send(id_, to, piece);
      return feed(ResyncSent{to, round});
    }
    piece.block = block->first;
    piece.content = block->second;
    around_.network->send(id_, to, piece);
    send_piece(to, round, number + 1, block->first);
  });
}

void Server::take_piece(const Piece& piece) {
  if (!receiving_ || receiving_->term != piece.term || receiving_->round != piece.round) return;
  receiving_->pieces[piece.number] = piece;
  store_resync();
}

void Server::store_resync() {
  Receiving& r = *receiving_;
  bool complete = r.end && !r.storing && !r.pieces.empty() && r.pieces.rbegin()->second.last &&
                  r.pieces.size() == r.pieces.rbegin()->first + 1;
  if (!complete) return;
  r.storing = true;
  later(run_.random.between(500, 30000), [this] {
    Checkpoint c;
    c.applied = receiving_->end->position;
    if (c.applied.sequence) c.history = {{c.applied.term, c.applied.sequence}};
    c.window = receiving_->end->window;
    for (const auto& [number, piece] : receiving_->pieces) {
      if (!piece.last) c.blocks[piece.block] = piece.content;
    }
    const Receiving done = *std::exchange(receiving_, std::nullopt);
    disk_.store_resync(c);
    // The primary may have greeted anew meanwhile: then this is not the end of what it sends now.
    if (!core_->accepts_resync(done.from, done.term, done.round)) return;
    applied_ = c.applied;
    apply_upto_ = visible_ = c.applied.sequence;
    visible_blocks_ = c.blocks;
    run_.statistics.count(Happened::kResyncStored);
    run_.note(id_.value, "resync-stored", c.applied.sequence.value);
    feed(ResyncStored{c.applied});
  });
}

}  // namespace shima::simulation
