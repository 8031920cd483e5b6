// Server: one member: the real ReplicaGroup, its simulated disk, and a driver that carries out effects.
//
// A crash throws away all but the disk. What was under way for an earlier life does nothing when it comes.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "coreserver/replication/replica_group.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/network.h"
#include "tests/simulation/run.h"

namespace shima::simulation {

class Checkers;
class ConfigService;
class Clients;

// What a server needs of the world around it.
struct Surroundings {
  Network* network = nullptr;
  ConfigService* config = nullptr;
  Checkers* checkers = nullptr;
  Clients* clients = nullptr;
};

class Server {
 public:
  Server(Run& run, const Surroundings& around, ServerId id, replication::Role role)
      : run_(run), around_(around), id_(id), role_(role) {}

  void start();
  void crash();
  void crash_for_a_while();
  void feed(const replication::Event& event);
  void receive(ServerId from, const Parcel& parcel);
  void peer_changed(ServerId peer, bool up);
  void set_disk_full(bool full);

  bool alive() const { return core_ != nullptr; }
  uint64_t life() const { return life_; }  // differs after each start and crash
  ServerId id() const { return id_; }
  replication::Role role() const { return role_; }
  const replication::ReplicaGroup& core() const { return *core_; }
  const SimDisk& disk() const { return disk_; }
  const Blocks& visible_blocks() const { return visible_blocks_; }
  bool retired = false;  // never to be started again

 private:
  using Pieces = std::map<uint64_t, Piece>;
  struct Receiving {  // a resync at a remote
    ServerId from;
    Term term;
    uint64_t round = 0;
    Pieces pieces;
    std::optional<replication::ResyncEnd> end;
    bool storing = false;
  };

  void carry_out(replication::AppendToJournal& e);
  void carry_out(replication::TruncateJournal& e);
  void carry_out(replication::SendMessage& e);
  void carry_out(replication::SendRecords& e);
  void carry_out(replication::Acknowledge& e);
  void carry_out(replication::Commit& e);
  void carry_out(replication::DropRecords& e);
  void carry_out(replication::ReleaseJournal& e);
  void carry_out(replication::ProposeMembership& e);
  void carry_out(replication::StartResync& e);
  void carry_out(replication::ForgetEverything& e);
  void carry_out(replication::DropBlocks& e);

  // Does `action` later, unless the server crashed or forgot everything meanwhile.
  template <typename Action>
  void later(uint64_t delay_us, Action&& action);
  void tick();
  void pump_sync();
  void pump_apply();
  void pump_checkpoint();
  void send_piece(ServerId to, uint64_t round, uint64_t number, uint64_t after_block);
  void take_piece(const Piece& piece);
  void store_resync();

  Run& run_;
  const Surroundings& around_;
  const ServerId id_;
  const replication::Role role_;
  SimDisk disk_;
  std::unique_ptr<replication::ReplicaGroup> core_;
  uint64_t life_ = 0, memory_ = 0;  // memory_: differs also after ForgetEverything
  Incarnation incarnation_;
  bool disk_full_ = false;

  bool syncing_ = false, applying_ = false, checkpointing_ = false;
  Position applied_;  // in the block store, or dropped
  Sequence apply_upto_;
  Sequence visible_;  // what visible_blocks_ hold
  Sequence folded_;
  Blocks visible_blocks_;  // contents that a reader sees: the block store under the journal
  std::map<ServerId, uint64_t> resync_jobs_;  // round of the newest StartResync to each remote
  std::optional<Receiving> receiving_;
};

}  // namespace shima::simulation
