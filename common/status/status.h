// Status and Result<T>: errors are values.
//
// A new code exists only where a caller can react to it. A message says what was wanted, what was found
// and what to do. Exceptions of libraries end in their adapters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace shima {

enum class Code : uint8_t {
  kOk = 0,
  kInvalidArgument = 1,  // the request itself is wrong; do not retry
  kNotFound = 2,         // no such volume, server, site, file
  kAlreadyExists = 3,
  kPermissionDenied = 4,
  kNoSpace = 5,              // a local disk is full (ENOSPC); nothing was changed
  kUnavailable = 6,          // try again, perhaps elsewhere
  kDeadlineExceeded = 7,     // the outcome is unknown; retry with the same request id
  kNotPrimary = 8,           // this server is not the group's primary (now): read the volume's record again
  kStaleTerm = 9,            // the sender's term is older than the group's: read the volume's record again
  kRequestTooOld = 10,       // the request id left the window of remembered results (R20)
  kConflict = 11,            // a compare-and-swap lost; read and decide again
  kCorrupt = 12,             // checksum, magic or format is wrong
  kFailedPrecondition = 13,  // the system's state forbids it; the message says what to change
  kInternal = 14,            // our own mistake
  kIo = 15,                  // a system call failed
  kStaleFence = 16,  // the file was truncated since the writer looked: read its attributes again (R18)
  kFenced =
      17,  // the sender may not use the volume (any more): no try again helps without a new identity (R20)
};
inline constexpr Code kLastCode = Code::kFenced;

std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  static Status ok() { return {}; }

  bool is_ok() const { return code_ == Code::kOk; }
  explicit operator bool() const { return is_ok(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // "not-found: there is no volume db; shimactl volume list shows those that are"
  std::string to_string() const;
  // The same error with `context: ` in front of its message.
  Status with_context(std::string_view context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// Either a T or an error. value() only after a test of is_ok().
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}          // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {}  // NOLINT
  Result(Code code, std::string message) : status_(code, std::move(message)) {}

  bool is_ok() const { return value_.has_value(); }
  explicit operator bool() const { return is_ok(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

// Returns the error of `expr` from the enclosing function, if it has one.
#define SHIMA_RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                        \
    if (::shima::Status shima_status_ = (expr); !shima_status_.is_ok()) return shima_status_; \
  } while (false)

// An assertion on our own mistakes, never on input; on in release builds. Ends the process with file and
// line.
#define SHIMA_CHECK(condition, what)                                               \
  do {                                                                             \
    if (!(condition)) ::shima::check_failed(#condition, what, __FILE__, __LINE__); \
  } while (false)
[[noreturn]] void check_failed(const char* condition, std::string_view what, const char* file, int line);

// For tests and the simulator only: `handler` is called with the words of a failed check before the process
// would end, and may throw instead. nullptr: none. Set it before threads start.
void set_check_handler(void (*handler)(const std::string& what));

}  // namespace shima
