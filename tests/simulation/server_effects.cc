// How a simulated server carries out the core's effects, with a check at each that makes a promise.
#include "tests/simulation/checkers.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/config_service.h"
#include "tests/simulation/server.h"

namespace shima::simulation {

using namespace replication;

void Server::carry_out(AppendToJournal& e) {
  run_.note(id_.value, "append", e.record->header.position.term.value,
            e.record->header.position.sequence.value);
  disk_.append(std::move(e.record));
  pump_sync();
  if (run_.chaos && run_.random.chance(run_.parameters.crash_at_append_per_mille)) {
    run_.agenda.after(run_.random.below(run_.parameters.sync_us_max + 1000), [this, life = life_] {
      if (life == life_) crash_for_a_while();
    });
  }
}

void Server::carry_out(TruncateJournal& e) {
  run_.note(id_.value, "truncate", e.after.value);
  run_.statistics.count(Happened::kTruncation);
  disk_.truncate(e.after);
  pump_sync();
}

void Server::carry_out(SendMessage& e) {
  run_.note(id_.value, "send", e.to.value, e.message.index());
  if (auto* m = std::get_if<Welcome>(&e.message); m && m->accepted)
    around_.checkers->claims(*this, m->last, m->durable);
  if (auto* m = std::get_if<Appended>(&e.message)) around_.checkers->claims(*this, m->last, m->durable);
  around_.network->send(id_, e.to, std::move(e.message));
}

void Server::carry_out(SendRecords& e) {
  run_.note(id_.value, "send-records", e.to.value, e.first.value, e.last.value);
  around_.checkers->shipped(*this, e.to, e.last);
  for (Sequence s = e.first; s <= e.last; s = s.next()) {
    const RecordPtr* record = disk_.read(s);
    if (!record) {
      return run_.fail(Check::kRelease, "server " + std::to_string(id_.value) + " must send record " +
                                            std::to_string(s.value) + ", which its journal no longer has");
    }
    e.append.records.push_back(*record);
  }
  around_.network->send(id_, e.to, Message(std::move(e.append)));
}

void Server::carry_out(Acknowledge& e) {
  run_.note(id_.value, e.status.is_ok() ? "acknowledge" : "refuse", e.token,
            static_cast<uint64_t>(e.status.code()), e.position.sequence.value);
  if (e.status.code() == Code::kNoSpace) run_.statistics.count(Happened::kRefusedFull);
  if (e.status.code() == Code::kUnavailable) run_.statistics.count(Happened::kRefusedBusy);
  around_.clients->answered(e.token, e.status, e.position);
}

void Server::carry_out(Commit& e) {
  run_.note(id_.value, "commit", e.upto.value);
  around_.checkers->made_visible(*this, visible_, e.upto);
  if (run_.failure) return;
  for (Sequence s = visible_.next(); s <= e.upto; s = s.next()) {
    if (const RecordPtr* record = disk_.read(s)) apply_record(visible_blocks_, **record);
  }
  visible_ = std::max(visible_, e.upto);
  apply_upto_ = std::max(apply_upto_, e.upto);
  if (role_ == Role::kSecondary) run_.statistics.count(Happened::kFolded);
  pump_apply();
}

void Server::carry_out(DropRecords& e) {
  run_.note(id_.value, "drop-records", e.upto.value);
  run_.statistics.count(Happened::kTrimmed);
  around_.checkers->dropped(*this, e.upto);
  if (e.upto > applied_.sequence) applied_ = {core_->log().term_at(e.upto), e.upto};
  visible_ = std::max(visible_, e.upto);
  pump_checkpoint();
}

void Server::carry_out(ReleaseJournal& e) {
  run_.note(id_.value, "release", e.upto.value);
  run_.statistics.count(Happened::kReleased);
  around_.checkers->released(*this, e.upto);
  disk_.release(e.upto, run_.random);
}

void Server::carry_out(ProposeMembership& e) {
  run_.note(id_.value, "propose", e.member.value, e.whole, e.in_sync);
  around_.config->propose(e);
}

void Server::carry_out(StartResync& e) {
  run_.note(id_.value, "start-resync", e.to.value, e.round);
  run_.statistics.count(Happened::kResyncBegun);
  run_.check(Check::kWholeSet, core_->config().role_of(e.to) == Role::kRemote,
             [] { return std::string("a resync was begun to the secondary, which never lost anything"); });
  resync_jobs_[e.to] = e.round;
  send_piece(e.to, e.round, 0, 0);
}

void Server::carry_out(ForgetEverything&) {
  run_.note(id_.value, "forget-everything");
  memory_++;
  syncing_ = applying_ = checkpointing_ = false;
  receiving_.reset();
  applied_ = Position();
  apply_upto_ = visible_ = folded_ = Sequence();
  visible_blocks_.clear();
  disk_.forget();
  run_.agenda.after(run_.random.below(20000), [this, memory = memory_] {
    if (memory == memory_) disk_.forgotten();
  });
  if (run_.chaos && run_.parameters.crash_at_append_per_mille && run_.random.chance(800)) {
    run_.agenda.after(run_.random.below(10000), [this, life = life_] {
      if (life == life_) crash_for_a_while();
    });
  }
}

void Server::carry_out(DropBlocks&) {
  run_.note(id_.value, "drop-blocks");
  run_.statistics.count(Happened::kBlocksDropped);
  folded_ = Sequence();
  apply_upto_ = Sequence();
  disk_.clear_blocks();
}

}  // namespace shima::simulation
