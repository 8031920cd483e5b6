#include "common/status/status.h"

#include <cstdio>
#include <cstdlib>

namespace shima {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kInvalidArgument:
      return "invalid-argument";
    case Code::kNotFound:
      return "not-found";
    case Code::kAlreadyExists:
      return "already-exists";
    case Code::kPermissionDenied:
      return "permission-denied";
    case Code::kNoSpace:
      return "no-space";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kDeadlineExceeded:
      return "deadline-exceeded";
    case Code::kNotPrimary:
      return "not-primary";
    case Code::kStaleTerm:
      return "stale-term";
    case Code::kRequestTooOld:
      return "request-too-old";
    case Code::kConflict:
      return "conflict";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kFailedPrecondition:
      return "failed-precondition";
    case Code::kInternal:
      return "internal";
    case Code::kIo:
      return "io";
    case Code::kStaleFence:
      return "stale-fence";
    case Code::kFenced:
      return "fenced";
  }
  return "unknown";
}

std::string Status::to_string() const {
  return is_ok() ? "ok" : std::string(code_name(code_)) + ": " + message_;
}

Status Status::with_context(std::string_view context) const {
  return is_ok() ? *this : Status(code_, std::string(context) + ": " + message_);
}

namespace {
void (*check_handler)(const std::string&) = nullptr;
}  // namespace

void set_check_handler(void (*handler)(const std::string& what)) { check_handler = handler; }

void check_failed(const char* condition, std::string_view what, const char* file, int line) {
  if (check_handler) {
    check_handler(std::string(file) + ":" + std::to_string(line) + ": " + condition + " (" +
                  std::string(what) + ")");
  }
  fprintf(stderr, "shima: %s:%d: check failed: %s (%.*s)\n", file, line, condition,
          static_cast<int>(what.size()), what.data());
  std::abort();
}

}  // namespace shima
