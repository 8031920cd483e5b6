// PURE: the status of a ShimaVolume (charts/shima-operator/crds/shimavolumes.yaml): what core servers tell,
// and where they do not tell any more, what they told last, and as of when.
//
// Health, home and nodes come from etcd's records, which any core server tells; connections, lag and usage
// from the primaries at the home. So each of the two may be old alone: then its condition, Healthy or
// Connected, is Unknown, and its time, observedTime or lagObservedTime, is that of the last answer. While all
// is told a time is that of the last write, so that nothing is written for its sake.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "operator/core_view/core_snapshot.h"

namespace shima {

// What a status depends on beside the volume.
struct VolumeLook {
  nlohmann::json previous;  // the object's status; may be null
  int64_t generation = 0;   // metadata.generation of the object
  uint64_t now_ms = 0;      // of the clock that the other times are of
  uint64_t wall_us = 0;     // the same moment, since 1970
  uint64_t health_told_ms =
      0;  // when a server that reaches etcd answered last; 0: not since this process began
  std::string
      silence;  // why nobody has told of health for long, as a condition's reason; empty: somebody has
};

// Rounded: lag and usage change with every byte that is written.
nlohmann::json volume_status(const VolumeView& volume, const VolumeLook& look);
// Of a volume that nobody tells of: the previous one, called old. `lag_told_ms`: as health_told_ms.
nlohmann::json silent_volume_status(uint64_t lag_told_ms, const VolumeLook& look);

// Without times: what makes it worth writing.
nlohmann::json news_of(nlohmann::json status);
// What a reader must not wait for: all but times, and numbers that drift.
nlohmann::json urgent_news_of(const nlohmann::json& status);

}  // namespace shima
