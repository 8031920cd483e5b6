// Sees every call of a gRPC server, and tells CallRecords when it is finished.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "csi/server/call_records.h"

namespace shima {

// `records` must outlive the server. `with_text`: keep each request's text without its secrets for the log.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> make_call_interceptor(
    CallRecords& records, bool with_text);

}  // namespace shima
