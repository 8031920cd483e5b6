#include "operator/desired/names.h"

#include <openssl/sha.h>

#include <string_view>

namespace shima {
namespace {

constexpr size_t kHashDigits = 10;

bool looks_hashed(std::string_view site) {
  if (site.size() <= kHashDigits || site[site.size() - kHashDigits - 1] != '-') return false;
  return site.find_first_not_of("0123456789abcdef", site.size() - kHashDigits) == std::string_view::npos;
}

}  // namespace

std::string content_hash(const std::string& text, size_t digits) {
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < digits && i < 2 * sizeof(sum); ++i)
    out += kDigits[i % 2 == 0 ? sum[i / 2] >> 4 : sum[i / 2] & 15];
  return out;
}

std::string object_name(const std::string& component, const std::string& site) {
  const std::string prefix = "shima-" + component + "-";
  // A name that looks as if it were cut is treated as if it were, or it could be that of a longer one.
  if (prefix.size() + site.size() <= kMaxObjectNameBytes && !looks_hashed(site)) return prefix + site;
  const size_t room = kMaxObjectNameBytes - prefix.size() - kHashDigits - 1;
  std::string head = site.substr(0, room);
  while (head.ends_with('-')) head.pop_back();
  return prefix + head + "-" + content_hash(site, kHashDigits);
}

std::string pod_address(const std::string& name, uint32_t ordinal, const std::string& name_space) {
  return name + "-" + std::to_string(ordinal) + "." + service_address(name, name_space);
}

std::string service_address(const std::string& name, const std::string& name_space) {
  return name + "." + name_space + ".svc";
}

std::string cluster_wide_name(const std::string& name_space, const std::string& what) {
  return "shima:" + name_space + ":" + what;
}

}  // namespace shima
