// PortmapProgram: the portmapper, version 2 (RFC 1833 section 3, program 100000), for the one server behind
// it.
//
// For clients that cannot be told the port of NFS: libnfs before version 5 (so Debian's QEMU), showmount. It
// knows NFS and MOUNT over TCP and takes no registrations.
#pragma once

#include "accessserver/nfs/rpc/rpc_programs.h"

namespace shima {

inline constexpr uint32_t kPortmapProgram = 100000;

class PortmapProgram final : public RpcProgram {
 public:
  struct Mapping {
    uint32_t program = 0, version = 0;
  };
  // All of `mappings` are on `port`.
  PortmapProgram(std::vector<Mapping> mappings, uint16_t port)
      : mappings_(std::move(mappings)), port_(port) {}

  uint32_t number() const override { return kPortmapProgram; }
  uint32_t version() const override { return 2; }
  uint32_t procedures() const override { return 5; }  // not CALLIT: it lets strangers call in our name
  bool repeatable(uint32_t) const override { return true; }
  void call(RpcRequestPtr request) override;

 private:
  XdrWriter get_port(uint32_t program, uint32_t protocol) const;
  XdrWriter dump() const;

  const std::vector<Mapping> mappings_;
  const uint16_t port_;
};

}  // namespace shima
