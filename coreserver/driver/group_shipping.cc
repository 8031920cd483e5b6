// Records on their way to members: from memory while they are new, from the journal when a member lags. Only
// ranges wait here; bytes are fetched when the link has room, so a slow or cut WAN costs no memory (I10).
#include <algorithm>
#include <atomic>

#include "common/observe/log.h"
#include "coreserver/driver/group_driver.h"
#include "coreserver/driver/wire_messages.h"

namespace shima {

using namespace replication;

namespace {
constexpr uint64_t kRememberGroupBytes = 16u << 20;
constexpr uint64_t kRememberProcessBytes = 256u << 20;
constexpr uint64_t kReadBytes = 2u << 20;
std::atomic<uint64_t> remembered_by_process{0};
}  // namespace

void GroupDriver::remember(const RecordPtr& record) {
  uint64_t cost = record_cost(record->header);
  remembered_.push_back(record);
  remembered_bytes_ += cost;
  remembered_by_process += cost;
  while (remembered_.size() > 1 &&
         (remembered_bytes_ > kRememberGroupBytes || remembered_by_process > kRememberProcessBytes)) {
    forget_remembered(remembered_.front()->header.position.sequence);
  }
}

void GroupDriver::forget_remembered(Sequence upto) {
  while (!remembered_.empty() && remembered_.front()->header.position.sequence <= upto) {
    uint64_t cost = record_cost(remembered_.front()->header);
    remembered_bytes_ -= cost;
    remembered_by_process -= cost;
    remembered_.pop_front();
  }
}

void GroupDriver::carry_out(SendRecords& effect) {
  ServerId to = effect.to;
  outgoing_[to].queue.push_back(std::move(effect));
  pump(to);
}

void GroupDriver::link_drained(ServerId peer) {
  if (outgoing_.contains(peer)) pump(peer);
  if (auto job = resyncs_.find(peer); job != resyncs_.end()) resync_next(ResyncJobPtr(job->second));
}

void GroupDriver::pump(ServerId peer) {
  Outgoing& out = outgoing_[peer];
  while (!out.queue.empty() && !out.reading && env_.links->has_room(peer)) {
    if (!send_from_memory(peer, out.queue.front())) return read_for(peer, out);
    out.queue.pop_front();
  }
}

void GroupDriver::send_append(ServerId peer, Append append) {
  for (Frame& frame : frames_of(id(), std::move(append))) env_.links->send(peer, std::move(frame));
}

bool GroupDriver::send_from_memory(ServerId peer, SendRecords& range) {
  if (remembered_.empty() || remembered_.front()->header.position.sequence > range.first) return false;
  uint64_t first = remembered_.front()->header.position.sequence.value;
  for (uint64_t s = range.first.value; s <= range.last.value; s++)
    range.append.records.push_back(remembered_[s - first]);
  send_append(peer, std::move(range.append));
  return true;
}

void GroupDriver::read_for(ServerId peer, Outgoing& out) {
  out.reading = true;
  const SendRecords& range = out.queue.front();
  env_.readers->post(
      [self = shared_from_this(), peer, first = range.first, last = range.last, generation = out.generation] {
        auto records = self->env_.disk->journal().read(self->id(), first, last, kReadBytes);
        self->env_.loop->post([self, peer, generation, records = std::move(records)]() mutable {
          Outgoing& o = self->outgoing_[peer];
          if (o.generation != generation || o.queue.empty()) return;
          o.reading = false;
          if (!records.is_ok()) {  // the core sends again, from wherever the member then is
            log(LogLevel::kWarning, "shipping",
                "group " + to_string(self->id()) + ": " + records.status().to_string());
            o.queue.clear();
            return;
          }
          SendRecords& range = o.queue.front();
          Append append = range.append;
          append.records = std::move(*records);
          range.first = append.records.back()->header.position.sequence.next();
          if (range.first > range.last) o.queue.pop_front();
          self->send_append(peer, std::move(append));
          self->pump(peer);
        });
      });
}

}  // namespace shima
