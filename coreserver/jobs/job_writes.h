// JobWrites: the changes of one job, over the view that it runs on: point reads see the job's own writes.
//
// Scans are of the view alone: no job scans what it has written itself. Changes come out in the order of
// their keys, so the same job over the same view yields the same batch.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "coreserver/jobs/kv_view.h"

namespace shima {

class JobWrites {
 public:
  explicit JobWrites(const KvView& view) : view_(view) {}

  const KvView& before() const { return view_; }
  std::optional<std::string> get(std::string_view key) const;
  void put(std::string key, std::string value);
  void erase(std::string key);
  // About the size of the encoded batch, in bytes.
  uint64_t bytes() const { return bytes_; }
  KvBatch batch() const;

 private:
  const KvView& view_;
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
  uint64_t bytes_ = 0;
};

}  // namespace shima
