// Clients: they write and read at the primary, some requests at a time, and ask again with the same request
// id until answered.
#pragma once

#include <map>
#include <vector>

#include "coreserver/replication/events.h"
#include "tests/simulation/run.h"

namespace shima::simulation {

class Server;
class Checkers;

class Clients {
 public:
  Clients(Run& run, std::vector<Server*> servers, Checkers& checkers);

  void begin();
  // The primary's answer to a token; lost if no client waits for it.
  void answered(uint64_t token, const Status& status, Position position);
  bool idle() const;
  std::string busy_in_words() const;

 private:
  struct Request {
    replication::ClientWrite write;
    Sequence after;  // what was known to be ordered when it was issued
    uint64_t attempts = 0;
  };
  struct Client {
    ClientId id;
    RequestId next{1};
    Sequence known;
    std::map<RequestId, Request> open;
  };
  struct Asked {
    size_t client;
    RequestId request;
  };
  void issue(size_t client);
  void attempt(size_t client, RequestId request);
  void arrive(const replication::ClientWrite& write);
  void settle(size_t client, RequestId request, const Status& status, Position position);
  void read();

  Run& run_;
  std::vector<Server*> servers_;
  Checkers& checkers_;
  std::vector<Client> clients_;
  std::map<uint64_t, Asked> asked_;  // by token
  uint64_t next_token_ = 1, issued_ = 0;
};

}  // namespace shima::simulation
