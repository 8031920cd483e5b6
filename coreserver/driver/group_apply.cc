// Committed records go into the block store, some time later, in batches; checkpoints let the journal forget
// them.
#include "common/observe/log.h"
#include "coreserver/driver/group_driver.h"

namespace shima {

using namespace replication;

namespace {
constexpr uint64_t kApplyAtBytes = 2u << 20;  // sooner than the next tick
constexpr uint64_t kApplyBatchBytes = 4u << 20;
constexpr uint64_t kCheckpointEveryMs = 1000;

LogLimit& apply_failures() {  // each tick tries again
  static LogLimit limit(5000);
  return limit;
}
}  // namespace

void GroupDriver::carry_out(Commit& effect) {
  applicable_ = effect.upto;
  while (!after_commit_.empty() && after_commit_.begin()->first <= core_.visible()) {
    auto task = std::move(after_commit_.begin()->second);
    after_commit_.erase(after_commit_.begin());
    env_.loop->post([task = std::move(task)] { task(true); });
  }
  // What a secondary has trimmed is safe elsewhere and gone from its journal: folding begins behind it.
  if (core_.role() == Role::kSecondary) applied_ = std::max(applied_, core_.trimmed());
  pump_apply(false);
}

void GroupDriver::pump_apply(bool now) {
  if (applying_ || dropped_ || core_.resyncing() || applied_ >= applicable_) return;
  if (!now && !replaying() && core_.log().bytes_between(applied_, applicable_) < kApplyAtBytes) return;
  applying_ = true;
  bool in_memory = unapplied([&](auto& u) { return !u.empty() && u.first() <= applied_.next(); });
  if (in_memory) {
    return apply_records(
        unapplied([&](auto& u) { return u.next_to_apply(applied_, applicable_, kApplyBatchBytes); }));
  }
  // A folding secondary keeps no overlay: it applies from its journal.
  env_.disk->worker().post(
      [self = shared_from_this(), epoch = apply_epoch_, first = applied_.next(), last = applicable_] {
        auto records = self->env_.disk->journal().read(self->id(), first, last, kApplyBatchBytes);
        self->env_.loop->post([self, epoch, records = std::move(records)]() mutable {
          if (epoch != self->apply_epoch_ || self->dropped_) return;
          if (records.is_ok()) return self->apply_records(std::move(*records));
          self->applied(Sequence(), records.status());
        });
      });
}

void GroupDriver::apply_records(std::vector<RecordPtr> records) {
  env_.disk->worker().post([self = shared_from_this(), epoch = apply_epoch_, records = std::move(records)] {
    BlockStore& blocks = self->env_.disk->blocks();
    Status status = self->metadata_ ? blocks.kv().apply(self->id(), records)
                                    : blocks.apply(self->id(), self->block_size_, records);
    Sequence upto = records.back()->header.position.sequence;
    self->env_.loop->post([self, epoch, upto, status] {
      if (epoch == self->apply_epoch_) self->applied(upto, status);
    });
  });
}

void GroupDriver::applied(Sequence upto, const Status& status) {
  applying_ = false;
  if (dropped_ || core_.resyncing()) return;
  if (!status.is_ok()) {  // the records stay in journal and overlay; the next tick tries again
    uint64_t held_back = 0;
    if (apply_failures().allow(to_string(id()), env_.loop->now_ms(), held_back)) {
      log(LogLevel::kError, "apply",
          "group " + to_string(id()) + ": " + status.to_string() + " (" + std::to_string(held_back) +
              " more since the last such line)");
    }
    return;
  }
  if (unapplied([&](const auto& u) { return !u.empty() && u.first() <= upto; })) {
    for (auto& [block, interest] : partial_) {
      auto touching = overlay_.touching(block.first, block.second, 0, block_size_, upto);
      if (!touching.empty()) interest.applied = touching.back()->header.position.sequence;
    }
    unapplied([&](auto& u) { u.applied(upto); });
    count_backlog();
  }
  applied_ = std::max(applied_, upto);
  pump_apply(false);
  pump_checkpoint(false);
  tell_space();
  admit_parked();
}

std::string GroupDriver::checkpoint_at(Sequence upto) const {
  GroupCheckpoint c;
  c.volume = volume_;
  c.block_size = block_size_;
  c.position = {core_.log().term_at(upto), upto};
  TermHistory history = core_.log().history();
  history.truncate(upto);
  c.history = history.starts();
  c.window = core_.window().save(upto);
  bool folds = core_.role() == Role::kSecondary && applied_ >= upto;
  c.folded = folds ? upto : core_.folded();
  c.metadata = metadata_;
  return encode_checkpoint(c);
}

void GroupDriver::carry_out(DropRecords& effect) { drop_wanted_ = effect.upto; }

void GroupDriver::pump_checkpoint(bool now) {
  Sequence upto = core_.role() == Role::kSecondary ? std::max(drop_wanted_, applied_) : applied_;
  if (dropped_ || checkpointing_ || core_.resyncing() || upto <= checkpoint_asked_) return;
  uint64_t ms = env_.loop->now_ms();
  if (!now && ms - checkpoint_ms_ < kCheckpointEveryMs) return;
  checkpointing_ = true;
  checkpoint_ms_ = ms;
  checkpoint_asked_ = upto;
  env_.disk->checkpoint(id(), checkpoint_at(upto), [self = shared_from_this(), upto](Status status) {
    self->env_.loop->post([self, upto, status] {
      self->checkpointing_ = false;
      if (self->dropped_) return;
      if (!status.is_ok()) {
        self->checkpoint_asked_ = self->core_.checkpointed();
        return;
      }
      if (!self->core_.resyncing()) self->step(Checkpointed{upto});
    });
  });
}

}  // namespace shima
