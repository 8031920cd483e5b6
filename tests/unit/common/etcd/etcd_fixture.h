// EtcdServer: a real etcd of one member on free loopback ports, with its data in a directory of its own under
// /tmp.
//
// Threads: none. The process ends with this object, and with the test's process in any case.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "common/etcd/etcd_client.h"

namespace shima {

// A port of 127.0.0.1 that nobody else is given while this lives: a socket that never listens is bound to it.
// A server that sets SO_REUSEADDR, as most do, can listen there, end, and listen again.
class LoopbackPort {
 public:
  LoopbackPort();
  ~LoopbackPort();
  LoopbackPort(const LoopbackPort&) = delete;
  operator uint16_t() const { return port_; }

 private:
  int fd_ = -1;
  uint16_t port_ = 0;
};

class EtcdServer {
 public:
  EtcdServer();   // started and serving; ends the process with a message if etcd is not installed
  ~EtcdServer();  // stopped, data removed
  EtcdServer(const EtcdServer&) = delete;

  std::string endpoint() const;  // 127.0.0.1:PORT
  void kill();                   // as kill -9
  void start();                  // again, with the same data and ports; waits until it serves
  void freeze();                 // it neither answers nor closes connections
  void thaw();
  void compact(int64_t revision);

 private:
  LoopbackPort client_port_;
  LoopbackPort peer_port_;
  std::string directory_;
  pid_t pid_ = 0;
};

// A client's, whose calls outlast any stall of etcd or of the machine.
inline EtcdOptions patient_etcd() { return {.call_timeout_ms = 60'000}; }

// Polls until `condition` holds; false if it does not within timeout_ms.
bool eventually(const std::function<bool()>& condition, int timeout_ms = 60'000);

}  // namespace shima
