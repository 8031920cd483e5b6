#include "coreserver/replication/request_window.h"

#include <algorithm>

namespace shima::replication {

RequestWindow::Answer RequestWindow::find(ClientId client, RequestId request, Sequence known_sequence) const {
  auto c = clients_.find(client);
  if (c == clients_.end()) {
    return {evicted_ && known_sequence < evicted_ ? Verdict::kTooOld : Verdict::kNew, Position()};
  }
  auto r = c->second.requests.find(request);
  if (r != c->second.requests.end()) return {Verdict::kExecuted, r->second};
  return {request < c->second.floor ? Verdict::kTooOld : Verdict::kNew, Position()};
}

void RequestWindow::executed(const RecordHeader& record) {
  if (!record.client) return;
  bool fresh = !clients_.contains(record.client);
  if (fresh && clients_.size() >= kMaxClients) evict_oldest_client();
  Client& c = clients_[record.client];
  // It may be one that was evicted, with requests that nobody remembers: only what comes after this one is
  // surely new.
  if (fresh && evicted_) c.floor = record.request;
  c.newest = std::max(c.newest, record.position.sequence);
  c.requests[record.request] = record.position;
  c.floor = std::max(c.floor, record.settled_below);
  c.requests.erase(c.requests.begin(), c.requests.lower_bound(c.floor));
  while (c.requests.size() > kMaxRequests) {
    c.floor = c.requests.begin()->first.next();
    c.requests.erase(c.requests.begin());
  }
}

void RequestWindow::evict_oldest_client() {
  auto oldest = std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
    return a.second.newest < b.second.newest;
  });
  evicted_ = std::max(evicted_, oldest->second.newest);
  clients_.erase(oldest);
}

void RequestWindow::truncate(Sequence after) {
  for (auto& [id, client] : clients_) {
    std::erase_if(client.requests, [&](const auto& r) { return r.second.sequence > after; });
  }
}

namespace {
void put(std::string& out, uint64_t v) {
  for (int i = 0; i < 8; i++) out.push_back(static_cast<char>(v >> (8 * i)));
}
bool take(const std::string& in, size_t& at, uint64_t& v) {
  if (in.size() - at < 8) return false;
  v = 0;
  for (int i = 0; i < 8; i++) v |= uint64_t{static_cast<uint8_t>(in[at + i])} << (8 * i);
  at += 8;
  return true;
}
}  // namespace

std::string RequestWindow::save(Sequence upto) const {
  std::string out;
  put(out, evicted_.value);
  put(out, clients_.size());
  for (const auto& [id, client] : clients_) {
    put(out, id.value);
    put(out, client.floor.value);
    put(out, std::min(client.newest, upto).value);
    auto covered = [&](const auto& r) { return r.second.sequence <= upto; };
    put(out, static_cast<uint64_t>(std::count_if(client.requests.begin(), client.requests.end(), covered)));
    for (const auto& [request, position] : client.requests) {
      if (position.sequence > upto) continue;
      put(out, request.value);
      put(out, position.term.value);
      put(out, position.sequence.value);
    }
  }
  return out;
}

Result<RequestWindow> RequestWindow::load(const std::string& bytes) {
  Status bad(Code::kCorrupt, "a saved request window is cut short or has impossible counts");
  RequestWindow w;
  size_t at = 0;
  uint64_t clients = 0, evicted = 0;
  if (!take(bytes, at, evicted) || !take(bytes, at, clients) || clients > kMaxClients) return bad;
  w.evicted_ = Sequence(evicted);
  for (uint64_t i = 0; i < clients; i++) {
    uint64_t id, floor, newest, count;
    if (!take(bytes, at, id) || !take(bytes, at, floor) || !take(bytes, at, newest) ||
        !take(bytes, at, count))
      return bad;
    if (count > kMaxRequests) return bad;
    Client& c = w.clients_[ClientId(id)];
    c.floor = RequestId(floor);
    c.newest = Sequence(newest);
    for (uint64_t k = 0; k < count; k++) {
      uint64_t request, term, sequence;
      if (!take(bytes, at, request) || !take(bytes, at, term) || !take(bytes, at, sequence)) return bad;
      c.requests[RequestId(request)] = {Term(term), Sequence(sequence)};
    }
  }
  return at == bytes.size() ? Result<RequestWindow>(std::move(w)) : Result<RequestWindow>(bad);
}

}  // namespace shima::replication
