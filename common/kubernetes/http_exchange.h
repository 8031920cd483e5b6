// HttpExchange: one request and its answer over HTTPS, for ApiClient alone.
//
// The one place that includes cpprestsdk (13 s to compile), and where its exceptions end. Threads: all
// methods from any thread. Errors: kUnavailable: no connection, no trust, no whole answer in time, or
// cancelled; kInvalidArgument: an answer over the limit; kFailedPrecondition: credentials that cannot be read
// or used, which file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/kubernetes/api_access.h"
#include "common/status/status.h"

namespace shima {

struct HttpRequest {
  const char* method;  // "GET", ...
  std::string path;    // with the query, percent-encoded
  std::string body = {};
  const char* content_type = "application/json";  // of a body
};

struct HttpAnswer {
  int code = 0;
  std::string body;
  uint32_t retry_after_s = 0;  // header Retry-After (RFC 9110 section 10.2.3), in seconds; 0: none
};

class HttpExchange {
 public:
  explicit HttpExchange(ApiAccess access);
  ~HttpExchange();

  Result<HttpAnswer> ask(const HttpRequest& request);
  // An answer 200 is told by an empty piece; then its body goes to `on_piece` as it comes, until it ends,
  // `on_piece` returns false, or cancel(); an answer of another code comes back whole.
  Result<HttpAnswer> stream(const HttpRequest& request,
                            const std::function<bool(std::string_view)>& on_piece);

  void cancel();  // for ever
  bool is_cancelled() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace shima
