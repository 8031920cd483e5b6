// MemoryKv: a volume's metadata in memory, for tests that run jobs.
//
// Threads: one at a time. fail_reads() makes every later read fail, as a broken disk would.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "coreserver/jobs/kv_view.h"

namespace shima {

class MemoryKv : public KvView {
 public:
  std::optional<std::string> get(std::string_view key) const override {
    if (!status_.is_ok()) return std::nullopt;
    const auto found = entries_.find(key);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }

  void scan(std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& visit) const override {
    if (!status_.is_ok()) return;
    for (auto at = entries_.lower_bound(std::max(prefix, from)); at != entries_.end(); ++at) {
      if (!at->first.starts_with(prefix) || !visit(at->first, at->second)) return;
    }
  }

  Status status() const override { return status_; }

  void apply(const KvBatch& batch) {
    for (const KvChange& change : batch) {
      if (change.value) {
        entries_.insert_or_assign(change.key, *change.value);
      } else {
        entries_.erase(change.key);
      }
    }
  }

  void fail_reads() { status_ = Status(Code::kIo, "a read failed; this test wants it so"); }
  void heal() { status_ = Status(); }
  const std::map<std::string, std::string, std::less<>>& entries() const { return entries_; }

 private:
  std::map<std::string, std::string, std::less<>> entries_;
  Status status_;
};

}  // namespace shima
