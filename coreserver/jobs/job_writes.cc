#include "coreserver/jobs/job_writes.h"

namespace shima {
namespace {

constexpr uint64_t kChangeOverheadBytes = 9;  // kind and two lengths (kv_view.h)

}  // namespace

std::optional<std::string> JobWrites::get(std::string_view key) const {
  const auto own = changes_.find(key);
  return own != changes_.end() ? own->second : view_.get(key);
}

void JobWrites::put(std::string key, std::string value) {
  bytes_ += key.size() + value.size() + kChangeOverheadBytes;
  changes_.insert_or_assign(std::move(key), std::move(value));
}

void JobWrites::erase(std::string key) {
  bytes_ += key.size() + kChangeOverheadBytes;
  changes_.insert_or_assign(std::move(key), std::nullopt);
}

KvBatch JobWrites::batch() const {
  KvBatch batch;
  batch.reserve(changes_.size());
  for (const auto& [key, value] : changes_) batch.push_back({key, value});
  return batch;
}

}  // namespace shima
