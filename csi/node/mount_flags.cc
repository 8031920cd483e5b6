#include "csi/node/mount_flags.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace shima {
namespace {

struct KnownFlag {
  std::string_view name;
  unsigned long set;
  unsigned long clear;
};

constexpr std::array<KnownFlag, 10> kKnown = {{{"nosuid", MS_NOSUID, 0},
                                               {"suid", 0, MS_NOSUID},
                                               {"nodev", MS_NODEV, 0},
                                               {"dev", 0, MS_NODEV},
                                               {"noexec", MS_NOEXEC, 0},
                                               {"exec", 0, MS_NOEXEC},
                                               {"noatime", MS_NOATIME, MS_RELATIME},
                                               {"nodiratime", MS_NODIRATIME, 0},
                                               {"relatime", MS_RELATIME, MS_NOATIME},
                                               {"defaults", 0, 0}}};
constexpr size_t kMostFlags = 32;
constexpr size_t kMostBytes = 4096;

std::string known_names(FileProtocol protocol) {
  std::string names = "ro, rw";
  for (const KnownFlag& flag : kKnown) names += ", " + std::string(flag.name);
  return names + (protocol == FileProtocol::kNfs ? ", nconnect=1 to nconnect=16" : "");
}

bool is_nconnect(std::string_view flag) {
  constexpr std::string_view kName = "nconnect=";
  if (!flag.starts_with(kName)) return false;
  const std::string_view value = flag.substr(kName.size());
  if (value.size() == 1) return value[0] >= '1' && value[0] <= '9';
  return value.size() == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '6';
}

std::string printable(std::string text) {
  text.resize(std::min<size_t>(text.size(), 64));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  return text;
}

// False: not known.
bool take(const std::string& flag, FileProtocol protocol, MountFlags& to) {
  if (flag == "ro" || flag == "rw") {
    to.read_only = flag == "ro";
    return true;
  }
  if (protocol == FileProtocol::kNfs && is_nconnect(flag)) {
    to.nfs.push_back(flag);
    return true;
  }
  const auto known =
      std::find_if(kKnown.begin(), kKnown.end(), [&](const KnownFlag& k) { return k.name == flag; });
  if (known == kKnown.end()) return false;
  to.flags = (to.flags & ~known->clear) | known->set;
  return true;
}

}  // namespace

Result<MountFlags> parse_mount_flags(const std::vector<std::string>& given, FileProtocol protocol) {
  MountFlags flags;
  size_t bytes = 0;
  for (const std::string& flag : given) {
    bytes += flag.size();
    if (given.size() > kMostFlags || bytes > kMostBytes) {
      return Status(Code::kInvalidArgument, "mount_flags: wanted at most 32 flags of together 4096 bytes");
    }
    if (!take(flag, protocol, flags)) {
      return Status(Code::kInvalidArgument, "mount_flags: \"" + printable(flag) +
                                                "\" is not allowed; known are " + known_names(protocol));
    }
  }
  flags.given = given;
  std::sort(flags.given.begin(), flags.given.end());
  flags.given.erase(std::unique(flags.given.begin(), flags.given.end()), flags.given.end());
  return flags;
}

}  // namespace shima
