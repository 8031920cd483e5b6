#include "common/kubernetes/http_exchange.h"

#include <cpprest/http_client.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ssl.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>

#include "common/kubernetes/credential_files.h"

namespace shima {
namespace {

namespace http = web::http;
namespace ssl = boost::asio::ssl;
using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kMaxAnswerBytes = 64u << 20;
constexpr size_t kPieceBytes = 256 * 1024;
constexpr auto kNever = SteadyTime::max();
// How long a cancelled request may take to notice; after that nobody waits for it.
constexpr auto kGrace = std::chrono::milliseconds(90);

// Ends the way out of cpprestsdk's callbacks, which know only exceptions.
struct Refused : std::runtime_error {
  explicit Refused(Status why) : std::runtime_error(why.message()), status(std::move(why)) {}
  Status status;
};

// One request in progress.
class Call {
 public:
  pplx::cancellation_token token() const { return source_.get_token(); }
  void cancel() { source_.cancel(); }

  // The task's value, or its exception; at the deadline, and if it is cancelled, the wait ends, also if a
  // resolver or a connect that hangs does not heed the token.
  template <typename T>
  T wait_for(pplx::task<T> task, SteadyTime deadline) {
    if (task.is_done()) return task.get();
    const auto signal = std::make_shared<Signal>();
    task.then(
        [signal](pplx::task<T> finished) {
          try {
            finished.wait();
          } catch (...) {  // seen here, so that nobody has to; reported below
          }
          signal->set(&Signal::done);
        },
        pplx::cancellation_token::none());
    const auto token = source_.get_token();
    const auto registration = token.register_callback([signal] { signal->set(&Signal::cancelled); });
    const bool in_time = signal->wait_until(deadline);
    token.deregister_callback(registration);
    if (!in_time) {
      source_.cancel();
      signal->wait_until_done(kGrace);
      throw std::runtime_error("no whole answer in time");
    }
    if (!signal->wait_until_done(kGrace)) throw std::runtime_error("cancelled");
    return task.get();
  }

 private:
  struct Signal {
    void set(bool Signal::*what) {
      std::lock_guard lock(mutex);
      this->*what = true;
      changed.notify_all();
    }
    bool wait_until(SteadyTime deadline) {
      std::unique_lock lock(mutex);
      const auto is_over = [this] { return done || cancelled; };
      if (deadline != kNever) return changed.wait_until(lock, deadline, is_over);
      changed.wait(lock, is_over);
      return true;
    }
    bool wait_until_done(std::chrono::milliseconds longest) {
      std::unique_lock lock(mutex);
      return changed.wait_for(lock, longest, [this] { return done; });
    }
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
    bool cancelled = false;
  };
  pplx::cancellation_token_source source_;
};

std::string pem_of(const std::string& pem, const std::string& file) {
  if (!pem.empty() || file.empty()) return pem;
  Result<std::string> text = read_credential_file(file);
  if (!text) throw Refused(text.status());
  return *text;
}

// Called for each new connection, so that renewed files are taken up.
void prepare_tls(const ApiAccess& access, ssl::context& context) {
  context.set_options(ssl::context::no_sslv2 | ssl::context::no_sslv3 | ssl::context::no_tlsv1 |
                      ssl::context::no_tlsv1_1);
  context.set_verify_mode(ssl::verify_peer);
  const std::string authorities = pem_of(access.ca_pem, access.ca_file);
  const std::string certificate = pem_of(access.client_certificate_pem, access.client_certificate_file);
  const std::string key = pem_of(access.client_key_pem, access.client_key_file);
  const char* what = "certificate-authority";
  const std::string* where = &access.ca_file;
  try {
    if (!authorities.empty()) {
      // Only those, and none of the machine's, which cpprestsdk has added.
      SSL_CTX_set_cert_store(context.native_handle(), X509_STORE_new());
      context.add_certificate_authority(boost::asio::buffer(authorities));
    }
    if (certificate.empty()) return;
    what = "client certificate";
    where = &access.client_certificate_file;
    context.use_certificate_chain(boost::asio::buffer(certificate));
    what = "client key";
    where = &access.client_key_file;
    context.use_private_key(boost::asio::buffer(key), ssl::context::pem);
  } catch (const std::exception& error) {
    throw Refused({Code::kFailedPrecondition, std::string("wanted a ") + what + " in PEM in " +
                                                  (where->empty() ? "the kubeconfig" : *where) +
                                                  ", found: " + error.what()});
  }
}

// A peer that is gone without a word is noticed after half a minute also while a watch is quiet. What fails
// here costs only that.
void keep_alive(int socket) {
  const int on = 1, idle_s = 15, between_s = 5, probes = 3;
  const unsigned unacknowledged_ms = 30'000;
  setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between_s, sizeof between_s);
  setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof unacknowledged_ms);
}

using TlsStream = ssl::stream<boost::asio::ip::tcp::socket&>;

int stream_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// cpprestsdk shows a connection before it has a socket; when the handshake begins there is one.
void at_handshake(const SSL* connection, int where, int) {
  if (!(where & SSL_CB_HANDSHAKE_START)) return;
  if (auto* stream = static_cast<TlsStream*>(SSL_get_ex_data(connection, stream_index())))
    keep_alive(stream->lowest_layer().native_handle());
}

http::client::http_client_config config_of(const ApiAccess& access) {
  http::client::http_client_config config;
  // Its timeout is one for silence; a call's deadline is kept in Call::wait_for.
  config.set_timeout(std::chrono::seconds(access.watch_s + 30) +
                     std::chrono::milliseconds(access.timeout_ms));
  config.set_max_redirects(0);  // a token goes to nobody but the API server
  config.set_ssl_context_callback([access](ssl::context& context) { prepare_tls(access, context); });
  config.set_nativehandle_options([](http::client::native_handle handle) {
    auto* stream = static_cast<TlsStream*>(handle);
    SSL_set_ex_data(stream->native_handle(), stream_index(), stream);
    SSL_set_info_callback(stream->native_handle(), at_handshake);
  });
  return config;
}

uint32_t retry_after_s(const http::http_headers& headers) {
  const auto found = headers.find("Retry-After");
  if (found == headers.end() || found->second.empty() || found->second.size() > 9) return 0;
  if (found->second.find_first_not_of("0123456789") != std::string::npos)
    return 0;  // a date: not used by Kubernetes
  return static_cast<uint32_t>(std::stoul(found->second));
}

// Hands the body to `on_piece` as it comes; false: `on_piece` did not want more.
bool read_body(Call& call, const http::http_response& response, SteadyTime deadline,
               const std::function<bool(std::string_view)>& on_piece) {
  auto buffer = response.body().streambuf();
  std::string piece;
  while (true) {
    if (call.wait_for(buffer.getc(), deadline) == std::char_traits<char>::eof()) break;
    piece.resize(std::clamp<size_t>(buffer.in_avail(), 1, kPieceBytes));
    const size_t got =
        call.wait_for(buffer.getn(reinterpret_cast<uint8_t*>(piece.data()), piece.size()), deadline);
    if (got == 0) break;
    if (!on_piece(std::string_view(piece).substr(0, got))) return false;
  }
  call.wait_for(response.content_ready(), deadline);  // says if the end was a broken connection
  return true;
}

}  // namespace

struct HttpExchange::Impl {
  explicit Impl(ApiAccess given) : access(std::move(given)) {}

  // Connections are made at the first call, so that a constructor cannot fail.
  std::shared_ptr<http::client::http_client> client() {
    if (access.url.rfind("https://", 0) != 0)
      throw Refused({Code::kInvalidArgument, "wanted an API server at https://, found " + access.url});
    std::lock_guard lock(mutex);
    if (!client_) {
      static std::once_flag once;
      std::call_once(once, [] {
        try {
          crossplat::threadpool::initialize_with_threads(8);  // of 40, which only carry bytes here
        } catch (const std::exception&) {                     // somebody else has set it up already
        }
      });
      client_ = std::make_shared<http::client::http_client>(access.url, config_of(access));
    }
    return client_;
  }

  void add_headers(http::http_request& request) const {
    request.headers().add("Accept", "application/json");
    request.headers().add("User-Agent", "shima");
    if (!access.server_name.empty())
      request.headers().add("Host", access.server_name);  // cpprestsdk verifies this name
    if (access.token.empty() && access.token_file.empty()) return;
    Result<std::string> text =
        access.token_file.empty() ? access.token : read_credential_file(access.token_file);
    if (!text) throw Refused(text.status());
    text = checked_token(*text, access.token_file.empty() ? "the kubeconfig" : access.token_file);
    if (!text) throw Refused(text.status());
    request.headers().add("Authorization", "Bearer " + *text);
  }

  // `on_piece` none: every body is returned.
  HttpAnswer carry_out(Call& call, const HttpRequest& asked,
                       const std::function<bool(std::string_view)>& on_piece) {
    http::http_request request(asked.method);
    request.set_request_uri(asked.path);
    if (!asked.body.empty()) request.set_body(asked.body, asked.content_type);
    add_headers(request);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(access.timeout_ms);
    const http::http_response response = call.wait_for(client()->request(request, call.token()), deadline);
    HttpAnswer answer{response.status_code(), {}, retry_after_s(response.headers())};
    if (on_piece && answer.code == http::status_codes::OK) {
      if (!on_piece("") || !read_body(call, response, kNever, on_piece)) call.cancel();
      return answer;
    }
    read_body(call, response, deadline, [&](std::string_view piece) {
      if (answer.body.size() + piece.size() > kMaxAnswerBytes) {
        call.cancel();
        throw Refused({Code::kInvalidArgument,
                       "wanted an answer of at most 64 MiB, found a larger one: ask for less at once"});
      }
      answer.body += piece;
      return true;
    });
    return answer;
  }

  Result<HttpAnswer> run(const HttpRequest& asked, const std::function<bool(std::string_view)>& on_piece) {
    const auto call = std::make_shared<Call>();
    {
      std::lock_guard lock(mutex);
      if (cancelled) return {Code::kUnavailable, "this client has been cancelled"};
      calls.insert(call);
    }
    Result<HttpAnswer> answer = run_caught(*call, asked, on_piece);
    std::lock_guard lock(mutex);
    calls.erase(call);
    return answer;
  }

  Result<HttpAnswer> run_caught(Call& call, const HttpRequest& asked,
                                const std::function<bool(std::string_view)>& on_piece) {
    const std::string what = std::string(asked.method) + " " + asked.path + " of " + access.url + ": ";
    try {
      return carry_out(call, asked, on_piece);
    } catch (const Refused& refused) {
      return Status(refused.status.code(), what + refused.status.message());
    } catch (const std::exception& error) {
      return Status(Code::kUnavailable, what + error.what());
    }
  }

  const ApiAccess access;
  mutable std::mutex mutex;
  std::shared_ptr<http::client::http_client> client_;  // under mutex
  std::set<std::shared_ptr<Call>> calls;               // under mutex
  bool cancelled = false;                              // under mutex
};

HttpExchange::HttpExchange(ApiAccess access) : impl_(std::make_shared<Impl>(std::move(access))) {}
HttpExchange::~HttpExchange() = default;

Result<HttpAnswer> HttpExchange::ask(const HttpRequest& request) { return impl_->run(request, nullptr); }

Result<HttpAnswer> HttpExchange::stream(const HttpRequest& request,
                                        const std::function<bool(std::string_view)>& on_piece) {
  return impl_->run(request, on_piece);
}

void HttpExchange::cancel() {
  std::set<std::shared_ptr<Call>> calls;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->cancelled = true;
    calls = impl_->calls;
  }
  for (const auto& call : calls) call->cancel();
}

bool HttpExchange::is_cancelled() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cancelled;
}

}  // namespace shima
