#include "csi/controller/volume_names.h"

#include <openssl/sha.h>

#include <algorithm>

#include "csi/controller/csi_errors.h"

namespace shima {
namespace {

constexpr std::string_view kHashedPrefix = "csi-";
constexpr size_t kHashedDigits = 40;
constexpr size_t kMaxVolumeNameBytes = 63;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool looks_hashed(std::string_view name) {
  return name.starts_with(kHashedPrefix) && name.size() == kHashedPrefix.size() + kHashedDigits &&
         name.find_first_not_of("0123456789abcdef", kHashedPrefix.size()) == std::string_view::npos;
}

// Control characters but tab, line feed and carriage return; U+007F to U+009F, which UTF-8 writes as 7F and
// as C2 with a byte of 80 to 9F behind it.
bool has_banned_character(std::string_view text) {
  for (size_t i = 0; i < text.size(); i++) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') return true;
    if (byte == 0x7f) return true;
    if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) <= 0x9f) return true;
  }
  return false;
}

std::string sha256_digits(const std::string& text, size_t digits) {
  unsigned char sum[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), sum);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < digits; i++) out += kDigits[i % 2 == 0 ? sum[i / 2] >> 4 : sum[i / 2] & 15];
  return out;
}

}  // namespace

bool can_be_volume_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxVolumeNameBytes && is_lower_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_lower_or_digit(c) || c == '.' || c == '-'; });
}

grpc::Status check_csi_name(const std::string& name) {
  if (name.empty()) return invalid_argument("name is missing; give the new volume's name");
  if (has_banned_character(name))
    return invalid_argument("name has control characters, which CSI bans; leave them out");
  return grpc::Status::OK;
}

std::string volume_name_for(const std::string& csi_name) {
  if (can_be_volume_name(csi_name) && !looks_hashed(csi_name)) return csi_name;
  return std::string(kHashedPrefix) + sha256_digits(csi_name, kHashedDigits);
}

}  // namespace shima
