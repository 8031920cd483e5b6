// PURE: a volume of ours as CSI describes it: CSI 1.12, Volume, VolumeStatus, VolumeCondition.
#pragma once

#include <string>

#include "csi/controller/topology.h"
#include "csi/controller/volume_labels.h"
#include "csi/controller/volume_names.h"
#include "csi/server/node_identity.h"
#include "csi/v1/csi.pb.h"
#include "shima/cluster/v1/cluster.pb.h"

namespace shima {

// Id, size, where it is accessible from, and the volume_context. `Record`: VolumeRecord or VolumeSummary.
template <typename Record>
void describe_volume(const Record& record, const std::string& topology_key, ::csi::v1::Volume& out) {
  out.set_volume_id(record.name());
  out.set_capacity_bytes(static_cast<int64_t>(record.size_bytes()));
  add_topologies({record.sites().begin(), record.sites().end()}, topology_key,
                 *out.mutable_accessible_topology());
  fill_volume_context(record.labels(), *out.mutable_volume_context());
}

// The id that the node plug-in gave; the node's name alone if a publication that was made by hand has none.
std::string node_id_of(const cluster::v1::Publication& publication);

// Cut to what CSI allows a text.
void describe_condition(const cluster::v1::VolumeHealth& health, ::csi::v1::VolumeCondition& out);

// "node-1, node-2": no more than a few, and how many others.
std::string names_of_nodes(const google::protobuf::RepeatedPtrField<cluster::v1::Publication>& publications);

}  // namespace shima
