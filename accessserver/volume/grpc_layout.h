// The layout of volumes from the core servers' control plane (VolumeService.GetVolume).
//
// Endpoints are tried in order, beginning with the one that answered last; a fetch over all of them ends
// within `timeout_ms`. Threads: as LayoutSource says; the source may be used from any number at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "accessserver/volume/volume_layout.h"

namespace shima {

struct GrpcLayoutOptions {
  std::vector<std::string>
      endpoints;  // HOST:PORT or [IPV6]:PORT of core servers' control planes; at least one
  int timeout_ms = 5000;
};

std::unique_ptr<LayoutSource> make_grpc_layout_source(const GrpcLayoutOptions& options);

}  // namespace shima
