#include "coreserver/cluster/disk_id.h"

namespace shima {

std::string disk_id_text(uint64_t id) {
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; id >>= 4) text[i] = "0123456789abcdef"[id & 15];
  return text;
}

Result<uint64_t> disk_id_from(const std::string& text) {
  if (text == kUnrecordedDisk) return uint64_t{0};
  const bool good = text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  const uint64_t id = good ? std::stoull(text, nullptr, 16) : 0;
  if (id != 0) return id;
  return Status(Code::kInvalidArgument,
                "wanted a disk's id, 16 digits of 0-9 and a-f as `shimactl server disks` prints it, or `" +
                    std::string(kUnrecordedDisk) + "`, found '" + text.substr(0, 64) + "'");
}

}  // namespace shima
