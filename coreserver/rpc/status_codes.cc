#include "coreserver/rpc/status_codes.h"

#include <charconv>

namespace shima {
namespace {

struct Row {
  Code ours;
  grpc::StatusCode theirs;
};

// Our codes, each with what it becomes.
constexpr Row kOutward[] = {
    {Code::kOk, grpc::StatusCode::OK},
    {Code::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
    {Code::kNotFound, grpc::StatusCode::NOT_FOUND},
    {Code::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
    {Code::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
    {Code::kNoSpace, grpc::StatusCode::RESOURCE_EXHAUSTED},
    {Code::kUnavailable, grpc::StatusCode::UNAVAILABLE},
    {Code::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
    {Code::kNotPrimary, grpc::StatusCode::FAILED_PRECONDITION},
    {Code::kStaleTerm, grpc::StatusCode::ABORTED},
    {Code::kRequestTooOld, grpc::StatusCode::OUT_OF_RANGE},
    {Code::kConflict, grpc::StatusCode::ABORTED},
    {Code::kCorrupt, grpc::StatusCode::DATA_LOSS},
    {Code::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
    {Code::kInternal, grpc::StatusCode::INTERNAL},
    {Code::kIo, grpc::StatusCode::UNKNOWN},
    {Code::kStaleFence, grpc::StatusCode::ABORTED},
    {Code::kFenced, grpc::StatusCode::PERMISSION_DENIED},
};

// gRPC's codes without `shima-code`: gRPC itself, or a proxy, has spoken.
constexpr Row kInward[] = {
    {Code::kOk, grpc::StatusCode::OK},
    {Code::kUnavailable, grpc::StatusCode::CANCELLED},
    {Code::kInternal, grpc::StatusCode::UNKNOWN},
    {Code::kInvalidArgument, grpc::StatusCode::INVALID_ARGUMENT},
    {Code::kDeadlineExceeded, grpc::StatusCode::DEADLINE_EXCEEDED},
    {Code::kNotFound, grpc::StatusCode::NOT_FOUND},
    {Code::kAlreadyExists, grpc::StatusCode::ALREADY_EXISTS},
    {Code::kPermissionDenied, grpc::StatusCode::PERMISSION_DENIED},
    {Code::kPermissionDenied, grpc::StatusCode::UNAUTHENTICATED},
    {Code::kInvalidArgument, grpc::StatusCode::RESOURCE_EXHAUSTED},  // a message above the limit
    {Code::kFailedPrecondition, grpc::StatusCode::FAILED_PRECONDITION},
    {Code::kConflict, grpc::StatusCode::ABORTED},
    {Code::kInvalidArgument, grpc::StatusCode::OUT_OF_RANGE},
    {Code::kFailedPrecondition, grpc::StatusCode::UNIMPLEMENTED},  // an older server
    {Code::kInternal, grpc::StatusCode::INTERNAL},
    {Code::kUnavailable, grpc::StatusCode::UNAVAILABLE},
    {Code::kCorrupt, grpc::StatusCode::DATA_LOSS},
};

std::optional<Code> parse_code(std::string_view text) {
  unsigned number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  for (const Row& row : kOutward) {
    if (static_cast<unsigned>(row.ours) == number) return row.ours;
  }
  return std::nullopt;
}

}  // namespace

grpc::StatusCode to_grpc_code(Code code) {
  for (const Row& row : kOutward) {
    if (row.ours == code) return row.theirs;
  }
  return grpc::StatusCode::INTERNAL;
}

grpc::Status to_grpc_status(const Status& status) {
  if (status.is_ok()) return grpc::Status::OK;
  return {to_grpc_code(status.code()), status.message()};
}

Status from_grpc_status(const grpc::Status& status, std::optional<std::string_view> shima_code) {
  if (status.ok()) return Status::ok();
  if (shima_code) {
    // A newer server may know codes that we do not; then gRPC's own has to do.
    if (auto code = parse_code(*shima_code); code && *code != Code::kOk)
      return {*code, status.error_message()};
  }
  for (const Row& row : kInward) {
    if (row.theirs == status.error_code()) return {row.ours, status.error_message()};
  }
  return {Code::kInternal, status.error_message()};
}

}  // namespace shima
