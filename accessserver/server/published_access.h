// What a volume's publications let an NFS client do (api/shima/cluster/v1/records.proto, Publication).
#pragma once

#include <cstdint>

namespace shima {

enum class PublishedAccess : uint8_t {
  kReadWrite,  // the client's node has a publication, or the volume needs none
  kReadOnly,
  kNone,
  kUnknown,  // etcd was not heard of lately: ask again
};

}  // namespace shima
