#include "accessserver/volume/grpc_layout.h"

#include <algorithm>

#include "accessserver/volume/record_layout.h"
#include "coreserver/rpc/control_client.h"

namespace shima {
namespace {

class GrpcLayoutSource final : public LayoutSource {
 public:
  explicit GrpcLayoutSource(const GrpcLayoutOptions& options)
      : client_({options.endpoints, options.timeout_ms, std::min(options.timeout_ms, 1500)}) {}

  Result<VolumeLayout> fetch(const std::string& name) override {
    volume::v1::GetVolumeRequest request;
    request.set_name(name);
    auto reply = client_.get_volume(request);
    if (!reply) return reply.status();
    return layout_of_record(name, *reply);
  }

 private:
  ControlClient client_;
};

}  // namespace

std::unique_ptr<LayoutSource> make_grpc_layout_source(const GrpcLayoutOptions& options) {
  return std::make_unique<GrpcLayoutSource>(options);
}

}  // namespace shima
