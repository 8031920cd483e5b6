// Which release of Shima this program is, and which it may run together with (docs/explanation/upgrades.md).
//
// Raised by hand at a release; tests/compatibility compares them with the version and with what was recorded.
#pragma once

#include <cstdint>
#include <string>

namespace shima {

// Of the project, as people know it: "0.1.0".
std::string software_version();

// Counts minor releases, over major ones too: 0.1 is 1. Programs of the same and of neighbouring releases run
// together.
inline constexpr uint32_t kRelease = 1;

// Counts changes that a reader before them cannot pass over: of what lies on disks, goes over data streams or
// stands in etcd. A program reads all levels up to its own, and writes none above the cluster's.
inline constexpr uint32_t kFormatsLevel = 1;

}  // namespace shima
