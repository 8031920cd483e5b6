// RpcClient: a blocking RPC client over loopback, by hand, so that tests can also say what no good client
// would.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "accessserver/nfs/xdr/xdr_reader.h"
#include "accessserver/nfs/xdr/xdr_writer.h"

namespace shima {

// The call's record, without a mark.
struct TestCall {
  uint32_t xid = 1, rpc_version = 2;
  uint32_t program = 100003, version = 3, procedure = 0;
  uint32_t auth = 1;  // AUTH_SYS
  uint32_t uid = 1000, gid = 1000;
  std::vector<uint32_t> groups;
  std::string machine = "test";
  uint32_t verifier = 0;
  XdrWriter arguments;
  std::string encode() const;
};

struct TestReply {
  uint32_t xid = 0;
  bool accepted = false;
  uint32_t status = 0;  // accept_stat, or reject_stat
  XdrReader results;    // or what follows the status
};
TestReply parse_reply(const std::string& record);

// A record as one last fragment.
std::string marked(const std::string& record);

class RpcClient {
 public:
  explicit RpcClient(uint16_t port, int receive_buffer_bytes = 0);
  ~RpcClient();
  RpcClient(const RpcClient&) = delete;
  RpcClient& operator=(const RpcClient&) = delete;

  bool send_raw(const std::string& bytes);          // false: the server has closed
  size_t send_what_fits(const std::string& bytes);  // without waiting; bytes taken
  void shut_down_sending();
  std::optional<std::string> receive_record();  // nothing: closed, or nothing came for 10 s
  bool closed_by_server();                      // waits for it, at most 60 s

  uint32_t send(TestCall call);  // gives it an xid of its own
  TestReply receive();           // fails the test if there is none
  TestReply run(TestCall call);  // both
  // An NFS procedure with status OK or not; results stand behind the status.
  std::pair<uint32_t, XdrReader> nfs(uint32_t procedure, XdrWriter arguments);
  std::pair<uint32_t, XdrReader> mount(uint32_t procedure, XdrWriter arguments, uint32_t version = 3);

  TestCall defaults;  // of nfs() and mount()

 private:
  bool receive_exactly(char* to, size_t size);
  int socket_;
  uint32_t next_xid_ = 100;
};

}  // namespace shima
