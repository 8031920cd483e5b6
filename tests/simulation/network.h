// Network: the connections between the primary and each other member. Messages take time, get lost, doubled,
// reordered; connections break and come again, and both ends learn of it late; what an old connection carried
// may still arrive.
//
// A message that is lost or reordered in a connection breaks it some time later, as TCP would.
#pragma once

#include <deque>
#include <map>
#include <variant>
#include <vector>

#include "coreserver/replication/messages.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/run.h"

namespace shima::simulation {

class Server;

// One block on its way in a resync; the last piece holds none and says how many there were.
struct Piece {
  Term term;
  uint64_t round = 0, number = 0;
  bool last = false;
  uint64_t block = 0;
  std::array<uint64_t, kChunks> content{};
};
using Parcel = std::variant<replication::Message, Piece>;

class Network {
 public:
  Network(Run& run, std::vector<Server*> servers);

  void send(ServerId from, ServerId to, Parcel parcel);
  void server_started(ServerId server);
  void server_crashed(ServerId server);
  void break_one();  // any connection
  void partition(ServerId server, uint64_t duration_us);
  void heal();

 private:
  struct Link {
    bool up = false;
    bool broken_soon = false;
    uint64_t epoch = 0;
    uint64_t cut_until_us = 0;
    uint64_t last_notice_us[2] = {0, 0};   // at the primary, at the other end
    uint64_t last_arrival_us[2] = {0, 0};  // of what the primary, the other end sent
    std::deque<Parcel> recent[2];  // what they sent last: it may come once more when the connection is gone
  };
  Link& link(ServerId a, ServerId b) { return links_[std::max(a, b)]; }
  Server& server(ServerId id) { return *servers_[id.value - 1]; }
  uint64_t delay_us(ServerId other);
  void connect_later(ServerId other, uint64_t within_us);
  void connect(ServerId other);
  void disconnect(ServerId other);
  void notify(ServerId end, ServerId peer, Link& link, bool up);
  void break_soon(ServerId other);
  void arrive_late(ServerId from, ServerId to, uint64_t within_us, const Parcel& parcel);
  void deliver(ServerId from, ServerId to, uint64_t epoch, uint64_t life, const Parcel& parcel);

  Run& run_;
  std::vector<Server*> servers_;
  std::map<ServerId, Link> links_;  // by the end that is not the primary
};

}  // namespace shima::simulation
