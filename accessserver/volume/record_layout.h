// The layout of a volume out of its record, as the core servers' control plane tells it. Pure.
#pragma once

#include <string>

#include "accessserver/volume/volume_layout.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {

// kNotFound: the volume is being deleted. kCorrupt: the record cannot be, or is of a newer version: its data
// groups are not numbered from 0, a group has no members, the metadata group is not the last one, ...
Result<VolumeLayout> layout_of_record(const std::string& name, const volume::v1::GetVolumeReply& reply);

}  // namespace shima
