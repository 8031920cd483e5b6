// What an access server exports: volumes as FileSystems, by name or id, and who may use them how.
//
// Threads: as said at each method; `done` is called on a thread of the provider's and must not block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/fileops/file_system.h"
#include "common/status/status.h"

namespace shima {

enum class Squash : uint8_t { kNone, kRoot, kAll };

// What a client at an address may do with a volume.
struct Access {
  bool allowed = false;
  bool try_later = false;  // with !allowed: it is not known at the moment
  bool read_only = false;
  Squash squash = Squash::kNone;  // whose requests are those of the anonymous user
  uint32_t anonymous_uid = 65534, anonymous_gid = 65534;
};

class Exports {
 public:
  using Done = std::function<void(Result<std::shared_ptr<FileSystem>>)>;

  virtual ~Exports() = default;
  // Opens the volume if it is not open yet; takes as long as the cluster needs. kNotFound: there is no such
  // volume.
  virtual void by_name(const std::string& volume, Done done) = 0;  // any thread
  virtual void by_id(uint64_t volume_id, Done done) = 0;           // any thread
  // The open volume of this id, at once; null: not open: use by_id().
  virtual std::shared_ptr<FileSystem> open_now(uint64_t volume_id) const = 0;  // any thread
  // Names of all volumes.
  virtual void list(std::function<void(Result<std::vector<std::string>>)> done) = 0;  // any thread
  // `client`: IPv4 or IPv6 literal without port.
  virtual Access access(const std::string& volume, const std::string& client) const = 0;  // any thread
};

}  // namespace shima
