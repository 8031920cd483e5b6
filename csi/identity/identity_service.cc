#include "csi/identity/identity_service.h"

#include "common/observe/log.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;

class IdentityService final : public v1::Identity::Service {
 public:
  IdentityService(const CsiOptions& options, Readiness& readiness)
      : options_(options), readiness_(readiness) {}

  grpc::Status GetPluginInfo(grpc::ServerContext*, const v1::GetPluginInfoRequest*,
                             v1::GetPluginInfoResponse* response) override {
    response->set_name(options_.driver_name);
    response->set_vendor_version(SHIMA_VERSION);
    return grpc::Status::OK;
  }

  grpc::Status GetPluginCapabilities(grpc::ServerContext*, const v1::GetPluginCapabilitiesRequest*,
                                     v1::GetPluginCapabilitiesResponse* response) override {
    using Service = v1::PluginCapability::Service;
    using Expansion = v1::PluginCapability::VolumeExpansion;
    if (options_.controller)
      response->add_capabilities()->mutable_service()->set_type(Service::CONTROLLER_SERVICE);
    response->add_capabilities()->mutable_service()->set_type(Service::VOLUME_ACCESSIBILITY_CONSTRAINTS);
    response->add_capabilities()->mutable_volume_expansion()->set_type(Expansion::ONLINE);
    return grpc::Status::OK;
  }

  grpc::Status Probe(grpc::ServerContext*, const v1::ProbeRequest*, v1::ProbeResponse* response) override {
    Status state = readiness_.look();
    if (!state && readiness_.was_ready()) state = readiness_.look();  // it may only have been slow
    if (!state && readiness_.was_ready())
      return {grpc::StatusCode::FAILED_PRECONDITION, "not ready any more: " + state.message()};
    if (!state) log(LogLevel::kInfo, "csi", "not ready yet: " + state.to_string());
    response->mutable_ready()->set_value(state.is_ok());
    return grpc::Status::OK;
  }

 private:
  const CsiOptions& options_;
  Readiness& readiness_;
};

}  // namespace

std::unique_ptr<v1::Identity::Service> make_identity_service(const CsiOptions& options,
                                                             Readiness& readiness) {
  return std::make_unique<IdentityService>(options, readiness);
}

}  // namespace shima
