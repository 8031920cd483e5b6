#include "coreserver/metadata/pending_batches.h"

#include <algorithm>

namespace shima {

void PendingBatches::add(const RecordPtr& record) {
  Pending pending{record, {}};
  bytes_ += record_cost(record->header);
  if (record->header.kind == RecordKind::kBatch) {
    auto batch =
        decode_kv_batch({reinterpret_cast<const char*>(record->payload.data()), record->payload.size()});
    Sequence sequence = record->header.position.sequence;
    if (!batch)
      damaged_[sequence] = batch.status().with_context("record " + to_string(record->header.position));
    for (KvChange& change : batch ? *batch : KvBatch()) {
      auto it = keys_.try_emplace(std::move(change.key)).first;
      Versions& versions = it->second;
      if (!versions.empty() && versions.back().sequence == sequence) {
        versions.back().value = std::move(change.value);
      } else {
        versions.push_back({sequence, std::move(change.value)});
        pending.keys.push_back(it);
      }
    }
  }
  records_.push_back(std::move(pending));
}

void PendingBatches::forget(const Pending& pending, bool newest) {
  for (auto key : pending.keys) {
    newest ? key->second.pop_back() : key->second.pop_front();
    if (key->second.empty()) keys_.erase(key);
  }
  damaged_.erase(sequence_of(pending));
  bytes_ -= record_cost(pending.record->header);
}

void PendingBatches::applied(Sequence upto) {
  while (!records_.empty() && sequence_of(records_.front()) <= upto) {
    forget(records_.front(), false);
    records_.pop_front();
  }
}

void PendingBatches::truncate(Sequence after) {
  while (!records_.empty() && sequence_of(records_.back()) > after) {
    forget(records_.back(), true);
    records_.pop_back();
  }
}

void PendingBatches::clear() {
  records_.clear();
  keys_.clear();
  damaged_.clear();
  bytes_ = 0;
}

std::vector<RecordPtr> PendingBatches::next_to_apply(Sequence from, Sequence upto, uint64_t max_bytes) const {
  std::vector<RecordPtr> found;
  if (records_.empty()) return found;
  uint64_t first = this->first().value;
  uint64_t bytes = 0;
  for (uint64_t s = std::max(from.value + 1, first); s <= upto.value && s - first < records_.size(); s++) {
    found.push_back(records_[s - first].record);
    bytes += record_cost(found.back()->header);
    if (bytes >= max_bytes) break;
  }
  return found;
}

class PendingBatches::View : public KvView {
 public:
  View(const PendingBatches& pending, const KvStore& store, GroupId group, Sequence upto)
      : pending_(pending), store_(store), group_(group), upto_(upto) {
    auto damaged = pending.damaged_.begin();
    if (damaged != pending.damaged_.end() && damaged->first <= upto) status_ = damaged->second;
  }

  std::optional<std::string> get(std::string_view key) const override {
    if (!status_.is_ok()) return std::nullopt;
    auto it = pending_.keys_.find(key);
    const Version* version = it == pending_.keys_.end() ? nullptr : visible(it->second);
    if (version) return version->value;
    auto stored = store_.get(group_, key);
    if (stored) return std::move(*stored);
    status_ = stored.status();
    return std::nullopt;
  }

  void scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) const override {
    if (!status_.is_ok()) return;
    auto it = pending_.keys_.lower_bound(std::max(from, prefix));
    bool go_on = true;
    // Pending keys up to `limit` (all: nullptr); true: `limit` itself was among them.
    auto pass = [&](const std::string_view* limit) {
      for (; go_on && it != pending_.keys_.end() && it->first.starts_with(prefix); ++it) {
        if (limit && it->first > *limit) return false;
        const Version* version = visible(it->second);
        if (!version) continue;
        if (version->value) go_on = visit(it->first, *version->value);
        if (limit && it->first == *limit) {
          ++it;
          return true;
        }
      }
      return false;
    };
    Status scanned = store_.scan(group_, prefix, from, [&](std::string_view key, std::string_view value) {
      bool covered = pass(&key);
      if (!covered && go_on) go_on = visit(key, value);
      return go_on;
    });
    if (scanned.is_ok()) {
      pass(nullptr);
    } else {
      status_ = scanned;
    }
  }

  Status status() const override { return status_; }

 private:
  // The newest change that is not newer than `upto`; null: there is none, so the store's counts.
  const Version* visible(const Versions& versions) const {
    for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
      if (it->sequence <= upto_) return &*it;
    }
    return nullptr;
  }

  const PendingBatches& pending_;
  const KvStore& store_;
  const GroupId group_;
  const Sequence upto_;
  mutable Status status_;
};

std::unique_ptr<KvView> PendingBatches::view(const KvStore& store, GroupId group, Sequence upto) const {
  return std::make_unique<View>(*this, store, group, upto);
}

}  // namespace shima
