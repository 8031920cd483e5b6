// EtcdServer: a real etcd of one member on free loopback ports, with its data in a directory of its own under
// /tmp.
//
// Threads: none. The process ends with this object, and with the test's process in any case.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

namespace shima {

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
  uint16_t client_port_ = 0;
  uint16_t peer_port_ = 0;
  std::string directory_;
  pid_t pid_ = 0;
};

uint16_t free_loopback_port();

// Polls until `condition` holds; false if it does not within timeout_ms.
bool eventually(const std::function<bool()>& condition, int timeout_ms = 10000);

}  // namespace shima
