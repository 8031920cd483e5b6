#include "accessserver/nfs/portmap_program.h"

namespace shima {
namespace {

enum Procedure : uint32_t { kNull = 0, kSet = 1, kUnset = 2, kGetPort = 3, kDump = 4 };
constexpr uint32_t kTcp = 6;

}  // namespace

void PortmapProgram::call(RpcRequestPtr request) {
  uint32_t procedure = request->call().procedure;
  XdrWriter out;
  if (procedure == kDump) out = dump();
  if (procedure == kSet || procedure == kUnset || procedure == kGetPort) {
    XdrReader& in = request->arguments();
    uint32_t program = in.u32();
    in.u32();  // version
    uint32_t protocol = in.u32();
    in.u32();  // port
    if (!in.good()) return RpcRequest::fail(std::move(request), RpcAcceptStatus::kGarbageArguments);
    if (procedure == kGetPort) {
      out = get_port(program, protocol);
    } else {
      out.boolean(false);
    }
  }
  RpcRequest::reply(std::move(request), std::move(out));
}

// 0: not registered. Whatever version is asked for, as rpcbind does: the program itself says which there are.
XdrWriter PortmapProgram::get_port(uint32_t program, uint32_t protocol) const {
  bool found = false;
  for (const Mapping& mapping : mappings_) found |= mapping.program == program;
  XdrWriter out;
  out.u32(found && protocol == kTcp ? port_ : 0);
  return out;
}

XdrWriter PortmapProgram::dump() const {
  XdrWriter out;
  for (const Mapping& mapping : mappings_) {
    out.boolean(true);
    for (uint32_t word : {mapping.program, mapping.version, kTcp, uint32_t{port_}}) out.u32(word);
  }
  out.boolean(false);
  return out;
}

}  // namespace shima
