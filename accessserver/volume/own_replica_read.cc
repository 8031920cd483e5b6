#include "accessserver/volume/own_replica_read.h"

namespace shima {

ReplicaVerdict compare_versions(const PieceReply& version, const PieceReply& bytes) {
  if (bytes.visible < version.sequence) return ReplicaVerdict::kBehind;
  // Every change of the block after the primary's answer has a higher sequence than that answer...
  if (bytes.sequence > version.sequence) return ReplicaVerdict::kOther;
  // ...but for one that took the block away: then the member knows no version of it any more.
  if (!bytes.sequence) return ReplicaVerdict::kOther;
  bool same_record_in_other_terms = bytes.sequence == version.sequence && bytes.term != version.term;
  return same_record_in_other_terms ? ReplicaVerdict::kOther : ReplicaVerdict::kCurrent;
}

bool is_hole(const PieceReply& version) { return !version.term; }

}  // namespace shima
