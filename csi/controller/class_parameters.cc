#include "csi/controller/class_parameters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>

#include "common/config/options.h"
#include "csi/controller/csi_errors.h"
#include "csi/server/loggable_message.h"

namespace shima {
namespace {

constexpr char kSidecarPrefix[] = "csi.storage.k8s.io/";
constexpr std::array<std::string_view, 3> kClaimKeys = {
    "csi.storage.k8s.io/pvc/name", "csi.storage.k8s.io/pvc/namespace", "csi.storage.k8s.io/pv/name"};
constexpr size_t kMaxObjectNameBytes = 253;  // Kubernetes: DNS subdomain names

grpc::Status refuse(const std::string& key, const std::string& value, const std::string& wanted) {
  return invalid_argument("parameter " + key + ": found " + quoted(value) + ", wanted " + wanted);
}

std::optional<uint64_t> parse_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_site_name(const std::string& text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

grpc::Status take_number(const std::string& key, const std::string& value, uint64_t min, uint64_t max,
                         uint64_t& out) {
  const auto number = parse_number(value);
  if (!number || *number < min || *number > max) {
    return refuse(key, value, "a number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  out = *number;
  return grpc::Status::OK;
}

template <typename Number>
grpc::Status take_small(const std::string& key, const std::string& value, uint64_t min, uint64_t max,
                        Number& out) {
  uint64_t number = 0;
  grpc::Status status = take_number(key, value, min, max, number);
  if (status.ok()) out = static_cast<Number>(number);
  return status;
}

grpc::Status take_block_size(const std::string& key, const std::string& value, ClassParameters& p) {
  const Result<uint64_t> bytes = parse_bytes(value);
  if (!bytes || *bytes < (64u << 10) || *bytes > (4u << 20) || (*bytes & (*bytes - 1)) != 0)
    return refuse(key, value, "a power of two from 65536 (64KiB) to 4194304 (4MiB)");
  p.block_size = static_cast<uint32_t>(*bytes);
  return grpc::Status::OK;
}

grpc::Status take_sites(const std::string& key, const std::string& value, ClassParameters& p) {
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    const std::string site = value.substr(begin, end - begin);
    const bool again = std::find(p.sites.begin(), p.sites.end(), site) != p.sites.end();
    if (!is_site_name(site) || again || p.sites.size() == kMaxCopies)
      return refuse(key, value,
                    "names of 1 to 16 sites, each once, with commas between, as in site-a,site-b");
    p.sites.push_back(site);
    begin = end + 1;
  }
  return grpc::Status::OK;
}

grpc::Status take_one_of(const std::string& key, const std::string& value, const std::string& first,
                         const std::string& second) {
  if (value == first || value == second) return grpc::Status::OK;
  return refuse(key, value, first + " or " + second);
}

grpc::Status take(const std::string& key, const std::string& value, ClassParameters& p) {
  if (key == kProtocolKey) {
    p.protocol = value;
    return take_one_of(key, value, "fuse", "nfs");
  }
  if (key == "ack") {
    p.ack_all = value == "all";
    return take_one_of(key, value, "local", "all");
  }
  if (key == "home") {
    p.home = value;
    return is_site_name(value) ? grpc::Status::OK : refuse(key, value, "a site's name");
  }
  if (key == "copies") return take_small(key, value, 1, kMaxCopies, p.copies);
  if (key == "groups") return take_small(key, value, 1, 1024, p.groups);
  if (key == "maxInodes") return take_number(key, value, 0, UINT64_MAX, p.max_inodes);
  if (key == "blockSize") return take_block_size(key, value, p);
  if (key == "sites") return take_sites(key, value, p);
  return invalid_argument("there is no parameter " + quoted(key) +
                          "; known are protocol, ack, copies, sites, home, blockSize, groups and maxInodes");
}

grpc::Status take_claim(const std::string& key, const std::string& value, ClassParameters& p) {
  if (std::find(kClaimKeys.begin(), kClaimKeys.end(), key) == kClaimKeys.end()) return grpc::Status::OK;
  const bool printable = std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (value.empty() || value.size() > kMaxObjectNameBytes || !printable)
    return refuse(key, value, "the name of an object in Kubernetes, of 1 to 253 characters");
  p.claim[key] = value;
  return grpc::Status::OK;
}

grpc::Status check_together(const ClassParameters& p) {
  if (p.sites.empty()) return grpc::Status::OK;
  if (p.copies != 0 && p.copies != p.sites.size()) {
    return invalid_argument("parameter copies is " + std::to_string(p.copies) + ", but sites names " +
                            std::to_string(p.sites.size()) + "; leave copies out, or make them agree");
  }
  if (!p.home.empty() && std::find(p.sites.begin(), p.sites.end(), p.home) == p.sites.end())
    return invalid_argument("parameter home is " + p.home + ", which is not among sites; add it there");
  return grpc::Status::OK;
}

}  // namespace

grpc::Status parse_class_parameters(const google::protobuf::Map<std::string, std::string>& given,
                                    ClassParameters& parameters) {
  // In the order of the keys: the same request gets the same error.
  for (const auto& [key, value] : std::map<std::string, std::string>(given.begin(), given.end())) {
    grpc::Status status =
        key.starts_with(kSidecarPrefix) ? take_claim(key, value, parameters) : take(key, value, parameters);
    if (!status.ok()) return status;
  }
  return check_together(parameters);
}

}  // namespace shima
