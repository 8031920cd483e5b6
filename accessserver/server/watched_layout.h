// WatchedLayout: the layout of one volume, and of no other that is given its name later.
//
// The volume's id is that of the first layout. When the volume is not there any more, or another one has its
// name, `on_gone` is told (each time that somebody asks) and the answer is kNotFound, which is final for a
// volume client. Threads: as LayoutSource says; on_gone comes inside fetch() and must not block.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "accessserver/volume/volume_layout.h"

namespace shima {

class WatchedLayout final : public LayoutSource {
 public:
  WatchedLayout(std::unique_ptr<LayoutSource> source, std::function<void(uint64_t volume_id)> on_gone)
      : source_(std::move(source)), on_gone_(std::move(on_gone)) {}

  Result<VolumeLayout> fetch(const std::string& name) override;

 private:
  const std::unique_ptr<LayoutSource> source_;
  const std::function<void(uint64_t)> on_gone_;
  std::atomic<uint64_t> id_{0};  // 0: not known yet
};

}  // namespace shima
