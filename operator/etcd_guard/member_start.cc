#include "operator/etcd_guard/member_start.h"

#include "operator/desired/member_mark.h"

namespace shima {
namespace {

using Phase = MemberMark::Phase;

Status refused(const MemberStart& start, const std::string& why) {
  return {Code::kFailedPrecondition, "member " + start.member + " of etcd may not start: " + why};
}

Status being_replaced(const MemberStart& start) {
  return refused(start, "it is being replaced; it starts once the operator has added it to etcd again");
}

// What comes before the blank of member_marker(), and what comes after it.
std::string member_of(const std::string& marker) { return marker.substr(0, marker.find(' ')); }
std::string claim_of(const std::string& marker) {
  const size_t blank = marker.find(' ');
  return blank == std::string::npos ? "" : marker.substr(blank + 1);
}

Status with_data(const MemberStart& start, const MemberMark& mark) {
  if (mark.phase == Phase::kLeaving || mark.phase == Phase::kAdding) return being_replaced(start);
  if (mark.phase != Phase::kJoining || claim_of(start.marker) == mark.claim) return Status::ok();
  return refused(
      start,
      "it was added to etcd anew and has to start empty, but its directory has the data of before; "
      "wipe the directory (all that is in it), or give the member another disk");
}

Status without_data(const MemberStart& start, const MemberMark& mark) {
  switch (mark.phase) {
    case Phase::kNever:
      if (start.state == "new") return Status::ok();
      return refused(start,
                     "its data directory is empty, etcd exists, and ConfigMap shima-etcd-begun does not name "
                     "the member; the operator adds it to etcd while a majority of the others is ready");
    case Phase::kBegun:
      return refused(start, "its data directory is empty, but it has begun on claim " + mark.claim +
                                ". Is the right disk mounted? Nothing was written. If that disk is lost for "
                                "ever, delete the claim and this pod: the operator then replaces the member");
    case Phase::kLeaving:
    case Phase::kAdding:
      return being_replaced(start);
    case Phase::kJoining:
      if (start.state == "existing") return Status::ok();
      return refused(start, "it was added to an etcd that exists, and " + std::string(kEtcdStateKey) +
                                " is \"" + start.state + "\", wanted \"existing\"; it is tried again");
  }
  return refused(start, "its mark is not known");
}

}  // namespace

Status may_start(const MemberStart& start) {
  if (start.state != "new" && start.state != "existing")
    return refused(start, std::string("ConfigMap shima-etcd-begun has ") + kEtcdStateKey + " \"" +
                              start.state.substr(0, 32) + "\", wanted \"new\" or \"existing\"");
  if (!start.marker.empty() && member_of(start.marker) != start.member)
    return refused(start, "its data directory is that of member " + member_of(start.marker).substr(0, 253) +
                              "; give each member its own disk back");
  const Result<MemberMark> mark = mark_from(start.mark);
  if (!mark) return refused(start, "ConfigMap shima-etcd-begun: " + mark.status().message());
  return start.has_data ? with_data(start, *mark) : without_data(start, *mark);
}

std::string member_marker(const MemberStart& start) {
  const Result<MemberMark> mark = mark_from(start.mark);
  return mark && !mark->claim.empty() ? start.member + " " + mark->claim : start.member;
}

}  // namespace shima
