// Plain structs <-> protobuf records, for gRPC handlers, records.cc and disk_store.cc.
//
// The ..._from functions check the content; magic, version and key are records.h's matter. Errors: kCorrupt,
// kInvalidArgument.
#pragma once

#include "api/shima/cluster/v1/disks.pb.h"
#include "api/shima/cluster/v1/records.pb.h"
#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"
#include "coreserver/cluster/server_disks.h"

namespace shima {

cluster::v1::SiteRecord to_record(const SiteInfo& site);
cluster::v1::ServerRecord to_record(const ServerInfo& server);
cluster::v1::VolumeRecord to_record(const VolumeInfo& volume);
cluster::v1::Publication to_record(const PublicationInfo& publication);
cluster::v1::DisksRecord to_record(const ServerDisks& disks);
// By key.
void add_labels(const std::map<std::string, std::string>& labels,
                google::protobuf::RepeatedPtrField<cluster::v1::Label>& out);

Result<SiteInfo> site_from(const cluster::v1::SiteRecord& record);
Result<ServerInfo> server_from(const cluster::v1::ServerRecord& record);
Result<VolumeInfo> volume_from(const cluster::v1::VolumeRecord& record);
PublicationInfo publication_from(const cluster::v1::Publication& record);  // as it is: nothing is checked
// Checked. In any order: a request's.
Result<std::map<std::string, std::string>> labels_from(
    const google::protobuf::RepeatedPtrField<cluster::v1::Label>& labels);

}  // namespace shima
