// Step 2 of a write: may it have a place in the log? Term, duplicates, space; then it gets (term, sequence).
#include "coreserver/replication/replica_group.h"

namespace shima::replication {

Status ReplicaGroup::refusal(const ClientWrite& write) const {
  if (role_ != Role::kPrimary)
    return {Code::kNotPrimary, "this server is not the primary of group " + to_string(id_)};
  if (!serving())
    return {Code::kUnavailable, "group " + to_string(id_) + " is not serving yet: " + state_in_words()};
  if (!write.client || !write.request || write.settled_below > write.request) {
    return {Code::kInvalidArgument,
            "a write needs a client id, a request id and settled_below <= request id"};
  }
  return Status::ok();
}

void ReplicaGroup::on_write(const ClientWrite& write, Effects& out) {
  if (Status why = refusal(write); !why.is_ok()) {
    out.push_back(Acknowledge{write.token, why, {}});
    return;
  }
  RequestWindow::Answer known = window_.find(write.client, write.request, write.known_sequence);
  if (options_.bugs.duplicate_executed_twice) known = {};
  if (known.verdict == RequestWindow::Verdict::kTooOld) {
    out.push_back(Acknowledge{
        write.token,
        Status(Code::kRequestTooOld, "request " + std::to_string(write.request.value) +
                                         " left the window of remembered results; send it as a new one"),
        {Term(), log_.last()}});
    return;
  }
  if (known.verdict == RequestWindow::Verdict::kExecuted) {  // R20: the record's fate is the answer
    duplicates_[known.position].push_back(write.token);
    acknowledge_committed(out);
    return;
  }
  auto second = peers_.find(config_.server_with(Role::kSecondary));
  if (disk_full_ || (second != peers_.end() && second->second.no_space)) {
    out.push_back(Acknowledge{
        write.token,
        Status(Code::kNoSpace, std::string("the disk of the ") + (disk_full_ ? "primary" : "secondary") +
                                   " of group " + to_string(id_) +
                                   " is full; free or add space at the home site"),
        {}});
    return;
  }
  if (!admits()) {
    out.push_back(Acknowledge{
        write.token, Status(Code::kUnavailable, "too many writes wait for the second copy; retry"), {}});
    return;
  }
  auto record = std::make_shared<Record>();
  RecordHeader& h = record->header;
  h.group = id_;
  h.position = {term_, log_.last().next()};
  h.previous_term = log_.term_at(log_.last());
  h.committed = committed_;
  h.kind = write.kind;
  h.client = write.client;
  h.request = write.request;
  h.settled_below = write.settled_below;
  h.inode = write.inode;
  h.block = write.block;
  h.offset = write.offset;
  h.length = write.length;
  h.checksums = write.checksums;
  h.fence = write.fence;
  h.time_ns = write.time_ns;
  record->payload = write.payload;
  waiting_.push_back({write.token, h.position});
  append_locally(std::move(record), out);
  send_second_copy(out);
}

}  // namespace shima::replication
