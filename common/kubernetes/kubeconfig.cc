// access_from_kubeconfig(): see api_access.h.
#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <string>

#include "common/kubernetes/api_access.h"
#include "common/kubernetes/credential_files.h"

namespace shima {
namespace {

// One section (cluster, user, context) of the file, and where it is, for messages.
struct Section {
  YAML::Node node;
  std::string where;   // "PATH: users[admin].user"
  std::string folder;  // that relative file names are relative to

  Status wrong(const std::string& key, const std::string& what) const {
    return {Code::kInvalidArgument, where + "." + key + ": " + what};
  }
};

std::string kind_of(const YAML::Node& node) {
  if (node.IsNull()) return "nothing";
  return node.IsScalar() ? "\"" + node.Scalar().substr(0, 80) + "\"" : node.IsMap() ? "a map" : "a list";
}

// Null if it is not there: yaml-cpp throws when it is asked about a node that is none.
YAML::Node child(const YAML::Node& node, const char* key) {
  const YAML::Node value = node[key];
  return value.IsDefined() ? value : YAML::Node();
}

bool has(const YAML::Node& node, const char* key) {
  const YAML::Node value = child(node, key);
  return !value.IsNull() && !(value.IsScalar() && value.Scalar().empty());
}

// "" if the key is not there.
Result<std::string> text_of(const Section& section, const char* key) {
  if (!has(section.node, key)) return std::string();
  const YAML::Node value = section.node[key];
  if (!value.IsScalar()) return section.wrong(key, "wanted a text, found " + kind_of(value));
  return value.Scalar();
}

Result<std::string> decoded(const Section& section, const char* key, const std::string& base64) {
  std::string bytes(base64.size() / 4 * 3 + 3, '\0');
  EVP_ENCODE_CTX* context = EVP_ENCODE_CTX_new();
  int length = 0, rest = 0;
  EVP_DecodeInit(context);
  const bool good =
      EVP_DecodeUpdate(context, reinterpret_cast<unsigned char*>(bytes.data()), &length,
                       reinterpret_cast<const unsigned char*>(base64.data()),
                       static_cast<int>(base64.size())) >= 0 &&
      EVP_DecodeFinal(context, reinterpret_cast<unsigned char*>(bytes.data()) + length, &rest) > 0;
  EVP_ENCODE_CTX_free(context);
  bytes.resize(good ? static_cast<size_t>(length + rest) : 0);
  if (!good || bytes.find("-----BEGIN ") == std::string::npos)
    return section.wrong(key, "wanted PEM (-----BEGIN ...) in base64, found something else");
  return bytes;
}

// KEY-data wins over KEY, as kubectl has it.
Status take_pem(const Section& section, const std::string& key, std::string& file, std::string& pem) {
  Result<std::string> data = text_of(section, (key + "-data").c_str());
  if (!data) return data.status();
  if (!data->empty()) {
    Result<std::string> bytes = decoded(section, (key + "-data").c_str(), *data);
    if (!bytes) return bytes.status();
    pem = std::move(*bytes);
    return Status::ok();
  }
  Result<std::string> name = text_of(section, key.c_str());
  if (!name) return name.status();
  if (!name->empty()) file = (std::filesystem::path(section.folder) / *name).string();
  return Status::ok();
}

Status refuse(const Section& section, const char* key, const char* advice) {
  return has(section.node, key) ? section.wrong(key, advice) : Status::ok();
}

Status take_cluster(const Section& cluster, ApiAccess& access) {
  const YAML::Node insecure = child(cluster.node, "insecure-skip-tls-verify");
  bool skips = false;
  if (has(cluster.node, "insecure-skip-tls-verify") &&
      (!YAML::convert<bool>::decode(insecure, skips) || skips))
    return cluster.wrong(
        "insecure-skip-tls-verify",
        "found " + kind_of(insecure) +
            "; whoever is in between could take the credentials: give "
            "certificate-authority instead, and tls-server-name if the certificate has another name");
  SHIMA_RETURN_IF_ERROR(
      refuse(cluster, "proxy-url", "proxies are not supported: reach the API server directly"));
  Result<std::string> server = text_of(cluster, "server");
  if (!server) return server.status();
  if (server->rfind("https://", 0) != 0 || server->size() == 8 || server->size() > 2048 ||
      server->find_first_of(" \t\r\n@?#\\") != std::string::npos)
    return cluster.wrong("server",
                         "wanted https://HOST:PORT, found " + kind_of(child(cluster.node, "server")));
  if (server->find('[') != std::string::npos)
    return cluster.wrong(
        "server",
        "found " + kind_of(child(cluster.node, "server")) +
            ", an address of IPv6, which cannot be reached as such: give a name that DNS or /etc/hosts "
            "knows, which the server's certificate is for (or tls-server-name)");
  access.url = *server;
  while (access.url.back() == '/') access.url.pop_back();
  Result<std::string> name = text_of(cluster, "tls-server-name");
  if (!name) return name.status();
  access.server_name = *name;
  return take_pem(cluster, "certificate-authority", access.ca_file, access.ca_pem);
}

Status take_user(const Section& user, ApiAccess& access) {
  for (const char* key : {"exec", "auth-provider"})
    SHIMA_RETURN_IF_ERROR(
        refuse(user, key,
               "plug-ins that make credentials are not supported: use a client certificate or the "
               "token of a service account (kubectl create token)"));
  for (const char* key : {"as", "as-uid", "as-groups", "as-user-extra"})
    SHIMA_RETURN_IF_ERROR(
        refuse(user, key, "impersonation is not supported: use that user's own credentials"));
  for (const char* key : {"username", "password"})
    SHIMA_RETURN_IF_ERROR(
        refuse(user, key, "passwords are not supported, nor are they by Kubernetes since 1.19"));
  SHIMA_RETURN_IF_ERROR(
      take_pem(user, "client-certificate", access.client_certificate_file, access.client_certificate_pem));
  SHIMA_RETURN_IF_ERROR(take_pem(user, "client-key", access.client_key_file, access.client_key_pem));
  const bool has_certificate =
      !access.client_certificate_file.empty() || !access.client_certificate_pem.empty();
  const bool has_key = !access.client_key_file.empty() || !access.client_key_pem.empty();
  if (has_certificate != has_key)
    return user.wrong(has_key ? "client-certificate" : "client-key",
                      "wanted certificate and key, found only one of them");
  Result<std::string> file = text_of(user, "tokenFile");
  if (!file) return file.status();
  if (!file->empty()) {  // wins over token, as kubectl has it
    access.token_file = (std::filesystem::path(user.folder) / *file).string();
    return Status::ok();
  }
  Result<std::string> token = text_of(user, "token");
  if (!token) return token.status();
  if (token->empty()) return Status::ok();
  token = checked_token(*token, user.where + ".token");
  if (!token) return {Code::kInvalidArgument, token.status().message()};
  access.token = *token;
  return Status::ok();
}

// The entry of `list` ("users") that has `name`, and of it the section `key` ("user").
Result<Section> find_section(const YAML::Node& file, const std::string& path, const char* list,
                             const char* key, const std::string& name) {
  const std::string where = path + ": " + list;
  const YAML::Node entries = child(file, list);
  if (!entries.IsSequence())
    return {Code::kInvalidArgument, where + ": wanted a list, found " + kind_of(entries)};
  std::string names;
  for (const YAML::Node& entry : entries) {
    if (!entry.IsMap() || !child(entry, "name").IsScalar())
      return {Code::kInvalidArgument, where + ": wanted entries with a name, found one without"};
    names += (names.empty() ? "" : ", ") + entry["name"].Scalar().substr(0, 80);
    if (entry["name"].Scalar() != name) continue;
    const std::string at = where + "[" + name + "]." + key;
    const YAML::Node section = child(entry, key);
    if (!section.IsMap()) return {Code::kInvalidArgument, at + ": wanted a map, found " + kind_of(section)};
    return Section{section, at, std::filesystem::path(path).parent_path().string()};
  }
  return {Code::kInvalidArgument, where + ": wanted one of the name \"" + name.substr(0, 80) + "\", found " +
                                      (names.empty() ? "none" : names.substr(0, 500))};
}

Result<ApiAccess> access_from(const YAML::Node& file, const std::string& path, const std::string& wanted) {
  if (!file.IsMap())
    return {Code::kInvalidArgument,
            path + ": wanted a kubeconfig file (a map in YAML), found " + kind_of(file)};
  Result<std::string> name =
      wanted.empty() ? text_of({file, path + ": ", ""}, "current-context") : Result<std::string>(wanted);
  if (!name) return name.status();
  if (name->empty())
    return {Code::kInvalidArgument,
            path +
                ": current-context: wanted the name of a context, found nothing; set it by kubectl "
                "config use-context"};
  Result<Section> context = find_section(file, path, "contexts", "context", *name);
  if (!context) return context.status();
  std::string names[3];
  const char* keys[] = {"cluster", "user", "namespace"};
  for (int i = 0; i < 3; ++i) {
    Result<std::string> text = text_of(*context, keys[i]);
    if (!text) return text.status();
    names[i] = *text;
  }
  ApiAccess access;
  access.name_space = names[2];
  Result<Section> cluster = find_section(file, path, "clusters", "cluster", names[0]);
  if (!cluster) return cluster.status();
  SHIMA_RETURN_IF_ERROR(take_cluster(*cluster, access));
  if (names[1].empty()) return access;  // nobody in particular
  Result<Section> user = find_section(file, path, "users", "user", names[1]);
  if (!user) return user.status();
  SHIMA_RETURN_IF_ERROR(take_user(*user, access));
  return access;
}

}  // namespace

Result<ApiAccess> access_from_kubeconfig(const std::string& path, const std::string& context) {
  Result<std::string> text = read_credential_file(path);
  if (!text) return {Code::kInvalidArgument, text.status().message()};
  try {
    return access_from(YAML::Load(*text), path, context);
  } catch (const YAML::Exception& error) {
    return {Code::kInvalidArgument,
            path + ":" + std::to_string(error.mark.is_null() ? 1 : error.mark.line + 1) +
                ": wanted a kubeconfig file, found that this is no YAML: " + error.msg};
  }
}

}  // namespace shima
