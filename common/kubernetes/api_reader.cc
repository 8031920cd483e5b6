#include "common/kubernetes/api_reader.h"

#include <cpprest/http_client.h>

#include <boost/asio/ssl.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace shima {
namespace {

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount/";
constexpr size_t kShownBytes = 500;  // of an answer that is an error

Result<std::string> read_token(const std::string& path) {
  std::ifstream file(path);
  std::string token{std::istreambuf_iterator<char>(file), {}};
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back()))) token.pop_back();
  if (token.empty())
    return {Code::kFailedPrecondition, "wanted the pod's bearer token in " + path +
                                           ", found nothing there; does the pod have a service account?"};
  return token;
}

Code code_of(int http) {
  if (http == 401 || http == 403) return Code::kPermissionDenied;
  if (http == 404) return Code::kNotFound;
  if (http == 429 || http >= 500) return Code::kUnavailable;
  return Code::kInvalidArgument;
}

// The server's own words, from a Status object if it is one.
std::string words_of(const std::string& body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("message") && json["message"].is_string())
    return json["message"].get<std::string>().substr(0, kShownBytes);
  return body.substr(0, kShownBytes);
}

Result<nlohmann::json> ask(const ApiAccess& access, const std::string& path, const std::string& token) {
  namespace http = web::http;
  http::client::http_client_config config;
  config.set_timeout(std::chrono::milliseconds(access.timeout_ms));
  config.set_ssl_context_callback([&access](boost::asio::ssl::context& context) {
    context.set_verify_mode(boost::asio::ssl::verify_peer);
    context.load_verify_file(access.ca_file);
  });
  http::client::http_client client(access.url, config);
  http::http_request request(http::methods::GET);
  request.set_request_uri(path);
  request.headers().add("Accept", "application/json");
  if (!token.empty()) request.headers().add("Authorization", "Bearer " + token);
  const http::http_response response = client.request(request).get();
  const std::string body = response.extract_utf8string(true).get();
  const int code = response.status_code();
  if (code != 200)
    return {code_of(code),
            "the API server answered " + std::to_string(code) + " to GET " + path + ": " + words_of(body)};
  nlohmann::json object = nlohmann::json::parse(body, nullptr, false);
  if (!object.is_object())
    return {Code::kCorrupt, "the API server's answer to GET " + path +
                                " is no JSON object, but: " + body.substr(0, kShownBytes)};
  return object;
}

}  // namespace

Result<ApiAccess> access_from_pod() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (!host || !port || !*host || !*port)
    return {Code::kFailedPrecondition,
            "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this process does not run in a "
            "pod"};
  ApiAccess access;
  const std::string name = host;
  access.url = "https://" + (name.find(':') == std::string::npos ? name : "[" + name + "]") + ":" + port;
  access.ca_file = std::string(kServiceAccount) + "ca.crt";
  access.token_file = std::string(kServiceAccount) + "token";
  return access;
}

Result<nlohmann::json> ApiReader::get(const std::string& path) const {
  if (!std::ifstream(access_.ca_file))
    return {Code::kFailedPrecondition, "wanted the certificate of the API server's authority in " +
                                           access_.ca_file + ", cannot read it"};
  std::string token;
  if (!access_.token_file.empty()) {
    Result<std::string> read = read_token(access_.token_file);
    if (!read) return read.status();
    token = *read;
  }
  try {
    return ask(access_, path, token);
  } catch (const std::exception& error) {
    return {Code::kUnavailable, "GET " + path + " of " + access_.url + ": " + error.what()};
  }
}

Result<std::string> ApiReader::node_label(const std::string& node, const std::string& key) const {
  Result<nlohmann::json> object = get("/api/v1/nodes/" + web::uri::encode_data_string(node));
  if (!object) return object.status();
  const auto labels = object->value("/metadata/labels"_json_pointer, nlohmann::json::object());
  if (labels.contains(key) && labels[key].is_string() && !labels[key].get<std::string>().empty())
    return labels[key].get<std::string>();
  std::string has;
  for (const auto& [name, value] : labels.items()) has += (has.empty() ? "" : ", ") + name;
  return {Code::kNotFound, "node " + node + " has no label " + key +
                               ", which says the site it is in; it has: " + (has.empty() ? "none" : has) +
                               ". Set it by: kubectl label node " + node + " " + key + "=SITE"};
}

}  // namespace shima
