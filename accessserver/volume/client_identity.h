// ClientIdentity: who a volume client says that it is, in the greeting of each of its connections
// (api/shima/data/v1/data.proto, Greeting). Core servers refuse (kFenced) an identity that may not use the
// volume (any more), R20.
//
// It never changes: whoever gets another one opens the volume anew. So nothing that was asked for under the
// old identity can be carried out under the new one.
#pragma once

#include <cstdint>
#include <string>

namespace shima {

struct ClientIdentity {
  std::string node;           // that it works for; empty: none
  uint64_t publication = 0;   // of the volume on that node; 0: none
  std::string access_server;  // SITE/access-N, if that is registered in etcd
  uint64_t access_incarnation = 0;
  int64_t access_revision = 0;  // etcd's, that has the registration

  bool operator==(const ClientIdentity&) const = default;
};

}  // namespace shima
