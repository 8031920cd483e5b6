// PURE: what the controller remembers of a volume in its record's labels (VolumeRecord.labels).
//
// - csi.shima.io/protocol: how nodes mount it; volume_context tells it to nodes, at creation and ever after.
// - csi.shima.io/ack, home, copies, max-inodes: parameters that the volume was made with, as far as the
//   record may show something else later (`shimactl volume set-quota`; a home that moves).
// - csi.storage.k8s.io/pvc/name, pvc/namespace, pv/name: whose it is, for people; nothing is decided by them.
// Volumes that were made by hand have none of them.
#pragma once

#include <google/protobuf/map.h>
#include <google/protobuf/repeated_field.h>

#include <string>

#include "csi/controller/class_parameters.h"
#include "shima/cluster/v1/records.pb.h"

namespace shima {

using VolumeLabels = google::protobuf::RepeatedPtrField<cluster::v1::Label>;

// Those of a volume that is made with these parameters, by key.
VolumeLabels labels_for(const ClassParameters& parameters);

// Of a volume's labels: "fuse" or "nfs"; empty: it is not said.
std::string protocol_of(const VolumeLabels& labels);

// What nodes are told of the volume (CSI 1.12, Volume.volume_context): the same as at its creation.
void fill_volume_context(const VolumeLabels& labels,
                         google::protobuf::Map<std::string, std::string>& context);

// What the volume has, and the parameters want otherwise: "has ack local, not all"; empty: nothing.
std::string why_other_parameters(const cluster::v1::VolumeRecord& found, const ClassParameters& wanted);

}  // namespace shima
