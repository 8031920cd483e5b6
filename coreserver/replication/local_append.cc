// Step 3, here: the record goes into this server's journal, and its durability comes back.
#include "coreserver/replication/replica_group.h"

namespace shima::replication {

void ReplicaGroup::append_locally(RecordPtr record, Effects& out) {
  log_.append(record->header, now_ms_);
  window_.executed(record->header);
  out.push_back(AppendToJournal{std::move(record)});
}

void ReplicaGroup::on_local_durable(const LocalDurable& event, Effects& out) {
  if (!log_.note_durable(event.upto)) return;
  if (role_ == Role::kPrimary) {
    advance_commit(out);
  } else {
    make_visible(out);
    report(out);
  }
}

}  // namespace shima::replication
