// The end of a server's processes that etcd has not heard of for a while: the next incarnation in its record.
//
// A process that is cut off from etcd may still run. Once it looks again it finds an incarnation above its
// own, as if another process had started in its place, and ends itself; builds of before 0.1.0 do so, too.
// Threads: any; blocks. Errors: kCorrupt (the server's record cannot be read), those of etcd.
#pragma once

#include <string>
#include <vector>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"

namespace shima {

struct ServerFence {
  // Nobody of that name is registered, nor was since the fence was made.
  std::vector<EtcdCompare> compares;
  std::vector<EtcdOperation> operations;  // none: the server has never registered
};

// To be put into a transaction of the caller's. The record of what the server runs is carried on to the new
// incarnation: its disks are still as that program left them.
Result<ServerFence> make_server_fence(EtcdClient& etcd, const std::string& server);

}  // namespace shima
