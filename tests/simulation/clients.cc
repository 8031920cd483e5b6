#include "tests/simulation/clients.h"

#include "tests/simulation/checkers.h"
#include "tests/simulation/server.h"

namespace shima::simulation {

using namespace replication;

Clients::Clients(Run& run, std::vector<Server*> servers, Checkers& checkers)
    : run_(run), servers_(std::move(servers)), checkers_(checkers) {
  for (uint64_t i = 0; i < run.parameters.clients; i++) {
    clients_.emplace_back();
    clients_.back().id = ClientId(i + 1);
  }
}

void Clients::begin() {
  for (size_t c = 0; c < clients_.size(); c++) {
    for (uint64_t d = 0; d < run_.parameters.depth; d++) {
      run_.agenda.after(run_.random.below(run_.parameters.think_us_max + 1), [this, c] { issue(c); });
    }
  }
}

void Clients::issue(size_t c) {
  if (issued_ >= run_.parameters.operations) return;
  issued_++;
  Client& client = clients_[c];
  RequestId id = client.next;
  client.next = id.next();
  Request& request = client.open[id];
  request.after = checkers_.newest_answer();
  ClientWrite& w = request.write;
  w.client = client.id;
  w.request = id;
  w.inode = InodeId(1);
  w.block = BlockIndex(run_.random.between(1, run_.parameters.blocks));
  w.kind = run_.random.chance(80)   ? RecordKind::kPunch
           : run_.random.chance(30) ? RecordKind::kNoop
                                    : RecordKind::kWrite;
  uint32_t first = static_cast<uint32_t>(run_.random.below(kChunks));
  uint32_t count = static_cast<uint32_t>(run_.random.between(1, kChunks - first));
  w.offset = first * kChunkSize;
  w.length = count * kChunkSize;
  if (w.kind == RecordKind::kWrite) {
    uint64_t content = client.id.value << 32 | id.value;
    w.payload = Buffer::copy_of(std::span(reinterpret_cast<const uint8_t*>(&content), sizeof(content)));
  }
  attempt(c, id);
}

void Clients::attempt(size_t c, RequestId id) {
  Client& client = clients_[c];
  auto it = client.open.find(id);
  if (it == client.open.end()) return;
  ClientWrite write = it->second.write;
  write.settled_below = client.open.begin()->first;
  write.known_sequence = client.known;
  write.token = next_token_++;
  asked_[write.token] = {c, id};
  it->second.attempts++;
  run_.note(0, "ask", client.id.value, id.value, write.token);
  run_.agenda.after(run_.random.between(50, run_.parameters.lan_us_max), [this, write] { arrive(write); });
  if (run_.chaos && run_.random.chance(run_.parameters.request_doubled_per_mille)) {
    run_.statistics.count(Fault::kDoubledRequest);
    ClientWrite again = write;
    again.token = next_token_++;  // nobody waits for its answer
    run_.agenda.after(run_.random.below(1000000), [this, again] { arrive(again); });
  }
  uint64_t patience = run_.parameters.client_timeout_us * (1 + std::min<uint64_t>(it->second.attempts, 4));
  run_.agenda.after(patience, [this, c, id, token = write.token] {
    if (asked_.erase(token)) attempt(c, id);
  });
}

void Clients::arrive(const ClientWrite& write) {
  if (servers_[0]->alive()) servers_[0]->feed(write);
}

void Clients::answered(uint64_t token, const Status& status, Position position) {
  auto it = asked_.find(token);
  if (it == asked_.end()) return;
  Asked asked = it->second;
  const Request& request = clients_[asked.client].open.at(asked.request);
  if (status.is_ok()) {
    if (request.attempts > 1) run_.statistics.count(Happened::kAckedRetry);
    checkers_.acknowledged(position, clients_[asked.client].id, asked.request, request.after);
  }
  if (run_.chaos && run_.random.chance(run_.parameters.reply_lost_per_mille)) {
    run_.statistics.count(Fault::kLostReply);
    return;  // the time-out asks again
  }
  run_.agenda.after(run_.random.between(50, run_.parameters.lan_us_max),
                    [this, token, asked, status, position] {
                      if (asked_.erase(token)) settle(asked.client, asked.request, status, position);
                    });
}

void Clients::settle(size_t c, RequestId id, const Status& status, Position position) {
  Client& client = clients_[c];
  if (!status.is_ok()) {
    run_.check(Check::kOneExecution, status.code() != Code::kRequestTooOld, [&] {
      return "request " + std::to_string(id.value) + ", still open, was refused: " + status.to_string();
    });
    run_.agenda.after(run_.random.between(5000, 100000), [this, c, id] { attempt(c, id); });
    return;
  }
  client.known = std::max(client.known, position.sequence);
  client.open.erase(id);
  if (run_.random.chance(500)) read();
  run_.agenda.after(run_.random.below(run_.parameters.think_us_max + 1), [this, c] { issue(c); });
}

void Clients::read() {
  uint64_t block = run_.random.between(1, run_.parameters.blocks), chunk = run_.random.below(kChunks);
  const Server& from = *servers_[run_.random.chance(800) ? 0 : run_.random.below(servers_.size())];
  if (!from.alive() || from.role() == Role::kSecondary ||
      (from.role() == Role::kPrimary && !from.core().serving()))
    return;
  auto it = from.visible_blocks().find(block);
  uint64_t content = it == from.visible_blocks().end() ? 0 : it->second[chunk];
  if (from.role() == Role::kPrimary) {
    checkers_.read_at_primary(block, chunk, content, from.core().visible(), checkers_.newest_answer());
  } else {
    checkers_.read_at_remote(content);
  }
}

bool Clients::idle() const {
  if (issued_ < run_.parameters.operations) return false;
  for (const Client& client : clients_) {
    if (!client.open.empty()) return false;
  }
  return true;
}

std::string Clients::busy_in_words() const {
  size_t open = 0;
  for (const Client& client : clients_) open += client.open.size();
  return std::to_string(issued_) + " requests were issued, " + std::to_string(open) + " are open";
}

}  // namespace shima::simulation
