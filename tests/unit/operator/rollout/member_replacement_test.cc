#include "operator/rollout/member_replacement.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

using Phase = MemberMark::Phase;
using Kind = ReplacementStep::Kind;

MemberView member(const std::string& name, const std::string& claim, bool ready = true) {
  return {
      .name = name, .peer_url = "http://" + name + ":2380", .claim = claim, .ready = ready, .runs = ready};
}

// Three members, all begun on claims A, B, C; m1 is down with a new claim.
struct Lost {
  EtcdBegun begun{true,
                  {{"m0", {Phase::kBegun, "A"}}, {"m1", {Phase::kBegun, "B"}}, {"m2", {Phase::kBegun, "C"}}}};
  std::vector<MemberView> members{member("m0", "A"), member("m1", "new", false), member("m2", "C")};

  ReplacementStep next() const { return next_replacement(begun, members); }
  std::string why_not() const {
    EXPECT_EQ(next().kind, Kind::kWait);
    return next().reason;
  }
};

TEST(ReadyMembers, HaveBegunOnTheirClaims) {
  const EtcdBegun begun = with_ready_members({}, {member("m0", "A"), member("m1", "B", false)});
  EXPECT_EQ(begun.of("m0"), (MemberMark{Phase::kBegun, "A"}));
  EXPECT_EQ(begun.of("m1").phase, Phase::kNever);
  EXPECT_FALSE(begun.existing) << "m1 may still have to begin a new etcd together with m0";
}

TEST(ReadyMembers, EtcdExistsOnceAllHaveBegun) {
  EXPECT_TRUE(with_ready_members({}, {member("m0", "A"), member("m1", "B")}).existing);
  EXPECT_FALSE(with_ready_members({}, {}).existing);
}

TEST(ReadyMembers, OneThatIsDownKeepsItsMarkAndEtcdExistsOn) {
  const Lost lost;
  EXPECT_EQ(with_ready_members(lost.begun, lost.members), lost.begun);
}

TEST(ReadyMembers, AJoinedOneHasBegunAndSoHasOneWhoseDiskGotAnotherClaim) {
  Lost lost;
  lost.begun.members["m1"] = {Phase::kJoining, "new"};
  lost.members[1].ready = true;
  lost.members[2].claim = "other";
  const EtcdBegun begun = with_ready_members(lost.begun, lost.members);
  EXPECT_EQ(begun.of("m1"), (MemberMark{Phase::kBegun, "new"}));
  EXPECT_EQ(begun.of("m2"), (MemberMark{Phase::kBegun, "other"}));
}

TEST(Replacement, NobodyWhileClaimsAreTheSame) {
  Lost lost;
  lost.members[1].claim = "B";
  EXPECT_EQ(lost.next().kind, Kind::kNothing) << "it is down, not lost";
  lost.members[1].claim = "";
  EXPECT_EQ(lost.next().kind, Kind::kNothing) << "its claim is going, or not known";
}

TEST(Replacement, ANewClaimBeginsIt) {
  const ReplacementStep step = Lost().next();
  EXPECT_EQ(step.kind, Kind::kMark);
  EXPECT_EQ(step.member, "m1");
  EXPECT_EQ(step.mark, (MemberMark{Phase::kLeaving, "new"}));
}

TEST(Replacement, OfOneThatNobodyNotedOnlyWithAClaimOfAfterTheRecord) {
  Lost lost;
  lost.begun.members.erase("m1");
  EXPECT_EQ(lost.next().kind, Kind::kNothing) << "its pod may just restart";
  lost.members[1].claim_is_new = true;
  EXPECT_EQ(lost.next().kind, Kind::kMark);
}

TEST(Replacement, WaitsInWordsForThePodThatKeepsTheClaim) {
  Lost lost;
  lost.members[1].claim = "";
  lost.members[1].claim_is_ending = true;
  EXPECT_NE(lost.why_not().find("its claim waits for its pod"), std::string::npos);
  lost.members[1].ready = true;
  EXPECT_EQ(lost.next().kind, Kind::kNothing) << "nobody has to do anything while it serves";
}

TEST(Replacement, NotOfAMemberThatAnswers) {
  Lost lost;
  lost.members[1].ready = true;
  EXPECT_EQ(lost.next().kind, Kind::kNothing);
  lost.members[1].ready = false;
  lost.members[1].runs = true;
  EXPECT_NE(lost.why_not().find("still runs"), std::string::npos);
}

TEST(Replacement, NotWithoutAMajorityOfOthers) {
  Lost lost;
  lost.members[0].ready = false;
  EXPECT_NE(lost.why_not().find("1 of 3 members are ready"), std::string::npos);
}

TEST(Replacement, NotOfTheOnlyMember) {
  const EtcdBegun begun{true, {{"m0", {Phase::kBegun, "A"}}}};
  EXPECT_EQ(next_replacement(begun, {member("m0", "new", false)}).kind, Kind::kWait);
}

TEST(Replacement, OneAtATime) {
  Lost lost;
  for (const char* name : {"m3", "m4"}) {
    lost.begun.members[name] = {Phase::kBegun, "X"};
    lost.members.push_back(member(name, "X"));
  }
  lost.members[3] = member("m3", "newer", false);
  EXPECT_EQ(lost.next().member, "m1") << "the first by name";
  lost.begun.members["m3"] = {Phase::kAdding, "newer"};
  EXPECT_EQ(lost.next().member, "m3") << "the one that is under way";
  lost.begun.members["m3"] = {Phase::kJoining, "newer"};
  EXPECT_NE(lost.why_not().find("one at a time: m3 has not joined"), std::string::npos);
  lost.members[3].ready = true;
  EXPECT_EQ(lost.next().kind, Kind::kMark);
}

TEST(Replacement, GoesOnWhereItWas) {
  Lost lost;
  for (const Phase phase : {Phase::kLeaving, Phase::kAdding}) {
    lost.begun.members["m1"] = {phase, "new"};
    EXPECT_EQ(lost.next().kind, Kind::kList);
    EXPECT_EQ(lost.next().mark.phase, phase);
  }
  lost.begun.members["m1"] = {Phase::kJoining, "new"};
  EXPECT_EQ(lost.next().kind, Kind::kNothing);
}

TEST(Replacement, BeginsAnewWhenTheClaimIsYetAnotherOne) {
  Lost lost;
  for (const Phase phase : {Phase::kLeaving, Phase::kAdding, Phase::kJoining}) {
    lost.begun.members["m1"] = {phase, "in between"};
    EXPECT_EQ(lost.next().kind, Kind::kMark);
    EXPECT_EQ(lost.next().mark, (MemberMark{Phase::kLeaving, "new"}));
  }
}

TEST(Replacement, OfAMemberThatNobodySawReadyWhereEtcdExists) {
  Lost lost;
  lost.begun.members.erase("m1");
  lost.members[1].claim_is_new = true;
  EXPECT_EQ(lost.next().kind, Kind::kMark);
  lost.begun.existing = false;
  EXPECT_EQ(lost.next().kind, Kind::kNothing) << "it may begin with the others";
}

const std::vector<EtcdMember> kOthers = {{1, "m0", {"http://m0:2380"}}, {3, "m2", {"http://m2:2380"}}};

std::vector<EtcdMember> with(const EtcdMember& one) {
  std::vector<EtcdMember> list = kOthers;
  list.push_back(one);
  return list;
}

TEST(StepByList, LeavingTakesOutWhoeverHasTheNameOrTheUrl) {
  const MemberMark leaving{Phase::kLeaving, "new"};
  const MemberView m1 = member("m1", "new", false);
  for (const EtcdMember& one :
       {EtcdMember{2, "m1", {"http://elsewhere:2380"}}, EtcdMember{2, "", {"http://m1:2380"}}}) {
    const ListStep step = step_by_list(leaving, m1, with(one));
    EXPECT_EQ(step.kind, ListStep::Kind::kRemove);
    EXPECT_EQ(step.id, 2u);
  }
  const ListStep gone = step_by_list(leaving, m1, kOthers);
  EXPECT_EQ(gone.kind, ListStep::Kind::kMark);
  EXPECT_EQ(gone.mark, (MemberMark{Phase::kAdding, "new"}));
}

TEST(StepByList, AddingAddsOnceAndNotesIt) {
  const MemberMark adding{Phase::kAdding, "new"};
  const MemberView m1 = member("m1", "new", false);
  EXPECT_EQ(step_by_list(adding, m1, kOthers).kind, ListStep::Kind::kAdd);
  EXPECT_EQ(step_by_list(adding, m1, with({9, "", {"http://m1:2380"}})).mark,
            (MemberMark{Phase::kJoining, "new"}));
  EXPECT_EQ(step_by_list(adding, m1, with({9, "m1", {"http://m1:2380"}})).mark,
            (MemberMark{Phase::kLeaving, "new"}))
      << "one that has started is not the one that was added";
}

}  // namespace
}  // namespace shima
