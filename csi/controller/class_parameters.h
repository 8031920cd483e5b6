// PURE: a StorageClass's parameters (CSI 1.12, CreateVolumeRequest.parameters), checked.
//
// clang-format off
//   protocol   fuse | nfs         how nodes mount the volume; default fuse
//   ack        local | all        when a write is acknowledged; default local
//   copies     1 to 16            sites with a copy; default: as many as `sites`, else 3 or all there are
//   sites      SITE,SITE,...      which; default: by the orchestrator's wishes
//   home       SITE               the one that orders the writes; default: the first wish
//   blockSize  65536 to 4194304   a power of two; default 1 MiB; "1MiB" is understood
//   groups     1 to 1024          data groups; default 8
//   maxInodes  a number           quota of files, directories and links; default none
// clang-format on
// external-provisioner adds csi.storage.k8s.io/pvc/name, pvc/namespace and pv/name (--extra-create-metadata):
// they are kept for people. Others that begin with csi.storage.k8s.io/ are for sidecars and left alone. Any
// other is refused by name.
#pragma once

#include <google/protobuf/map.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace shima {

inline constexpr uint32_t kMaxCopies = 16;
inline constexpr char kProtocolKey[] = "protocol";  // also in volume_context

struct ClassParameters {
  std::string protocol = "fuse";
  bool ack_all = false;
  uint32_t copies = 0;             // 0: not said
  std::vector<std::string> sites;  // each once; empty: not said
  std::string home;                // empty: not said; one of `sites`, if those are said
  uint32_t block_size = 1u << 20;
  uint32_t groups = 8;
  uint64_t max_inodes = 0;                   // 0: none
  std::map<std::string, std::string> claim;  // those of csi.storage.k8s.io/ that say whose volume it is
};

inline bool is_protocol(const std::string& text) { return text == "fuse" || text == "nfs"; }

// INVALID_ARGUMENT says which parameter, and what is allowed.
grpc::Status parse_class_parameters(const google::protobuf::Map<std::string, std::string>& given,
                                    ClassParameters& parameters);

}  // namespace shima
