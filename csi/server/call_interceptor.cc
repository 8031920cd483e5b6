#include "csi/server/call_interceptor.h"

#include <google/protobuf/message.h>

#include <chrono>

#include "csi/server/loggable_message.h"

namespace shima {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  CallInterceptor(CallRecords& records, bool with_text, const char* method)
      : records_(records), with_text_(with_text), began_(std::chrono::steady_clock::now()) {
    call_.method = method;
    call_.request = records_.next_request();
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      take_request(methods->GetRecvMessage());
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      finish(methods->GetSendStatus());
    }
    methods->Proceed();
  }

 private:
  // gRPC hands out the request as the handler's type, which of every method here is a protobuf Message.
  void take_request(const void* request) {
    if (!request) return;  // not well-formed: gRPC refuses it
    const auto& message = *static_cast<const google::protobuf::Message*>(request);
    call_.subject = subject_of(message);
    call_.path = path_of(message);
    if (with_text_) call_.text = loggable_text(message);
  }

  void finish(const grpc::Status& status) {
    const auto took = std::chrono::steady_clock::now() - began_;
    call_.duration_us =
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    call_.code = status.error_code();
    call_.message = status.error_message();
    records_.finished(call_);
  }

  CallRecords& records_;
  const bool with_text_;
  const std::chrono::steady_clock::time_point began_;
  FinishedCall call_;
};

class CallInterceptorFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallInterceptorFactory(CallRecords& records, bool with_text) : records_(records), with_text_(with_text) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new CallInterceptor(records_, with_text_, info->method());  // gRPC's to delete
  }

 private:
  CallRecords& records_;
  const bool with_text_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> make_call_interceptor(
    CallRecords& records, bool with_text) {
  return std::make_unique<CallInterceptorFactory>(records, with_text);
}

}  // namespace shima
