// MounterClient: the node plug-in's calls to the mounter. Each has a deadline. kUnavailable: it does not
// answer; else what the service says. Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "shima/mounter/v1/mounter.grpc.pb.h"

namespace shima {

class MounterClient {
 public:
  explicit MounterClient(const std::string& socket_path);

  Result<mounter::v1::Mount> start(const mounter::v1::StartRequest& request);
  Result<mounter::v1::StopReply> stop(const std::string& path, uint32_t timeout_ms);
  Result<std::vector<mounter::v1::Mount>> list();
  Status ping(int timeout_ms);

 private:
  // Again while the mounter still works on a call of a plug-in that was killed, or starts anew.
  Status until_free(uint32_t limit_ms, const std::function<grpc::Status(grpc::ClientContext&)>& call);
  Status status_of(const grpc::Status& status) const;
  const std::string socket_path_;
  const std::unique_ptr<mounter::v1::MounterService::Stub> stub_;
};

}  // namespace shima
