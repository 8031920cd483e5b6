#include "coreserver/replication/request_window.h"

#include <algorithm>

#include "common/types/byte_order.h"

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

std::string RequestWindow::save(Sequence upto) const {
  std::string out;
  append_little_endian<uint64_t>(out, evicted_.value);
  append_little_endian<uint64_t>(out, clients_.size());
  for (const auto& [id, client] : clients_) {
    append_little_endian<uint64_t>(out, id.value);
    append_little_endian<uint64_t>(out, client.floor.value);
    append_little_endian<uint64_t>(out, std::min(client.newest, upto).value);
    auto covered = [&](const auto& r) { return r.second.sequence <= upto; };
    append_little_endian<uint64_t>(
        out, static_cast<uint64_t>(std::count_if(client.requests.begin(), client.requests.end(), covered)));
    for (const auto& [request, position] : client.requests) {
      if (position.sequence > upto) continue;
      append_little_endian<uint64_t>(out, request.value);
      append_little_endian<uint64_t>(out, position.term.value);
      append_little_endian<uint64_t>(out, position.sequence.value);
    }
  }
  return out;
}

Result<RequestWindow> RequestWindow::load(const std::string& bytes) {
  Status bad(Code::kCorrupt, "a saved request window is cut short or has impossible counts");
  RequestWindow w;
  std::string_view in = bytes;
  uint64_t clients = 0, evicted = 0;
  if (!take_little_endian(in, evicted) || !take_little_endian(in, clients) || clients > kMaxClients)
    return bad;
  w.evicted_ = Sequence(evicted);
  for (uint64_t i = 0; i < clients; i++) {
    uint64_t id, floor, newest, count;
    if (!take_little_endian(in, id) || !take_little_endian(in, floor) || !take_little_endian(in, newest) ||
        !take_little_endian(in, count))
      return bad;
    if (count > kMaxRequests) return bad;
    Client& c = w.clients_[ClientId(id)];
    c.floor = RequestId(floor);
    c.newest = Sequence(newest);
    for (uint64_t k = 0; k < count; k++) {
      uint64_t request, term, sequence;
      if (!take_little_endian(in, request) || !take_little_endian(in, term) ||
          !take_little_endian(in, sequence))
        return bad;
      c.requests[RequestId(request)] = {Term(term), Sequence(sequence)};
    }
  }
  return in.empty() ? Result<RequestWindow>(std::move(w)) : Result<RequestWindow>(bad);
}

}  // namespace shima::replication
