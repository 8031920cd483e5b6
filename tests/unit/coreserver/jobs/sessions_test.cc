#include <gtest/gtest.h>

#include <cerrno>

#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/stored_session.h"
#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

struct Sessions : testing::Test {
  JobVolume volume;

  uint64_t make_orphan(const std::string& name) {
    const uint64_t file = volume.make_file(kRootInode, name);
    EXPECT_EQ(volume.unlink(kRootInode, name).error(), 0);
    return file;
  }
  std::vector<uint64_t> droppable() {
    std::vector<uint64_t> inodes;
    const pb::JobReply reply = volume.list_orphans();
    for (const pb::Orphan& orphan : reply.orphans()) inodes.push_back(orphan.inode());
    return inodes;
  }
  size_t keys(char kind) {
    return std::ranges::count_if(volume.kv.entries(),
                                 [&](const auto& entry) { return entry.first[0] == kind; });
  }
};

TEST_F(Sessions, OpenKeepAliveAndClose) {
  EXPECT_EQ(volume.open_session(0).error(), EINVAL);
  EXPECT_EQ(volume.keep_alive(5).error(), ESTALE);
  EXPECT_EQ(volume.open_session(5).error(), 0);
  EXPECT_EQ(volume.open_session(5).error(), 0);
  EXPECT_TRUE(volume.last_batch.empty()) << "it is open already";
  EXPECT_EQ(volume.keep_alive(5).error(), 0);
  EXPECT_TRUE(volume.last_batch.empty()) << "nothing new: nothing to replicate";
  EXPECT_EQ(volume.close_session(5).error(), 0);
  EXPECT_EQ(volume.keep_alive(5).error(), ESTALE);
  EXPECT_EQ(volume.close_session(5).error(), 0);
  EXPECT_TRUE(volume.last_batch.empty());
}

TEST_F(Sessions, SilentOnesExpireAfterTheirGrace) {
  volume.open_session(1);
  volume.open_session(2);
  int64_t clock = 5 * kSecond;  // not the jobs' clock
  EXPECT_TRUE(volume.sessions.expired(volume.kv, clock).empty());
  for (int i = 0; i < 20; i++) {
    clock += kSecond;
    volume.keep_alive(2);
    EXPECT_TRUE(volume.sessions.expired(volume.kv, clock).empty());
  }
  clock += kSecond;
  volume.keep_alive(2);
  EXPECT_EQ(volume.sessions.expired(volume.kv, clock), std::vector<uint64_t>{1});
  volume.kv.apply(end_session(volume.kv, 1));
  volume.sessions.forget(1);
  EXPECT_TRUE(volume.sessions.expired(volume.kv, clock).empty());
  EXPECT_EQ(volume.keep_alive(1).error(), ESTALE);
}

TEST_F(Sessions, OneThatWasJustHeardOfIsAliveHoweverLateItIsAsked) {
  volume.open_session(1);
  EXPECT_TRUE(volume.sessions.expired(volume.kv, 0).empty());
  volume.keep_alive(1);
  EXPECT_TRUE(volume.sessions.expired(volume.kv, 1000 * kSecond).empty());
  EXPECT_EQ(volume.sessions.expired(volume.kv, 1021 * kSecond), std::vector<uint64_t>{1});
}

TEST_F(Sessions, ANewPrimaryGivesEverybodyTheFullGrace) {
  volume.open_session(1);
  SessionTable fresh;
  EXPECT_TRUE(fresh.expired(volume.kv, 1'000'000 * kSecond).empty());
  EXPECT_TRUE(fresh.expired(volume.kv, 1'000'020 * kSecond).empty());
  EXPECT_EQ(fresh.expired(volume.kv, 1'000'021 * kSecond), std::vector<uint64_t>{1});
}

TEST_F(Sessions, SilenceWhileThePrimaryWasDeafDoesNotCount) {
  volume.open_session(1);
  volume.sessions.expired(volume.kv, 0);
  volume.sessions.expired(volume.kv, 19 * kSecond);
  volume.sessions.deaf();
  EXPECT_TRUE(volume.sessions.expired(volume.kv, 100 * kSecond).empty());
  EXPECT_TRUE(volume.sessions.expired(volume.kv, 119 * kSecond).empty());
  EXPECT_EQ(volume.sessions.expired(volume.kv, 121 * kSecond), std::vector<uint64_t>{1});
}

TEST_F(Sessions, AreTooManyAtSomePoint) {
  for (uint64_t session = 1; session <= 16384; session++) {
    JobVolume& v = volume;
    if (session < 16384) {
      std::string key = "n";
      for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(session >> shift));
      v.kv.apply({{key, std::string("\1\0\0\0\0\0\0\0\0\0", 10)}});
    } else {
      EXPECT_EQ(v.open_session(session).error(), 0);
    }
  }
  EXPECT_EQ(volume.open_session(99999).error(), EUSERS);
  EXPECT_EQ(volume.open_session(5).error(), 0);
}

TEST_F(Sessions, OfWhoIsNotAdmittedAnyMoreEndWithTheirLocks) {
  const uint64_t file = volume.make_file(kRootInode, "f");
  auto lock = [&](uint64_t session, uint64_t start) {
    volume.session = session;
    pb::JobRequest request;
    pb::LockRange& range = *request.mutable_set_lock()->mutable_lock();
    range.set_inode(file);
    range.set_kind(pb::LOCK_KIND_POSIX);
    range.set_type(pb::LOCK_TYPE_WRITE);
    range.set_start(start);
    range.set_end(start);
    range.set_session(session);
    range.set_owner(1);
    return volume.run(request).error();
  };
  ASSERT_EQ(volume.open_session(1, 10, 0).error(), 0);
  ASSERT_EQ(volume.open_session(2, 11, 0).error(), 0);
  ASSERT_EQ(volume.open_session(3, 0, 20).error(), 0);
  ASSERT_EQ(volume.open_session(4, 0, 21).error(), 0);
  ASSERT_EQ(volume.open_session(5).error(), 0);
  for (uint64_t session = 1; session <= 5; session++) EXPECT_EQ(lock(session, session), 0);
  EXPECT_EQ(volume.close_fenced({10, 11, 12}, {20, 21}), 0) << "all are admitted";
  EXPECT_EQ(volume.close_fenced({11}, {21}), 1);
  EXPECT_EQ(volume.keep_alive(1).error(), ESTALE);
  EXPECT_EQ(volume.keep_alive(3).error(), ESTALE);
  for (uint64_t session : {2, 4, 5}) EXPECT_EQ(volume.keep_alive(session).error(), 0) << session;
  EXPECT_EQ(lock(5, 1), 0) << "its lock is free at once";
  EXPECT_EQ(lock(5, 3), 0);
  EXPECT_EQ(lock(5, 2), EAGAIN);
  EXPECT_EQ(volume.close_fenced({}, {}), 1);
  EXPECT_EQ(volume.keep_alive(5).error(), 0) << "bound to nobody: nobody's publication ends it";
  EXPECT_EQ(keys('n'), 1u);
}

TEST_F(Sessions, ANumberBelongsToWhoOpenedIt) {
  ASSERT_EQ(volume.open_session(1, 10, 0).error(), 0);
  EXPECT_EQ(volume.open_session(1, 10, 0).error(), 0);
  EXPECT_EQ(volume.open_session(1, 11, 0).error(), ESTALE);
  EXPECT_EQ(volume.open_session(1, 0, 10).error(), ESTALE);
  EXPECT_EQ(volume.open_session(1).error(), ESTALE);
}

TEST_F(Sessions, AreFencedByThePrimaryItselfOnly) {
  ASSERT_EQ(volume.open_session(1, 10, 0).error(), 0);
  pb::JobRequest request;
  request.mutable_close_fenced();
  EXPECT_TRUE(job_changes(request));
  EXPECT_EQ(volume.run(request).error(), EPERM);
  EXPECT_EQ(volume.keep_alive(1).error(), 0);
}

TEST_F(Sessions, OfBeforeTheyWereBoundAreReadAsTheyWereWritten) {
  const std::string old("\1\0\7\0\0\0\0\0\0\0site-a/access-0", 25);
  auto session = decode_session(old);
  ASSERT_TRUE(session);
  EXPECT_EQ(session->orphans_at_opening, 7u);
  EXPECT_EQ(session->publication, 0u);
  EXPECT_EQ(session->name, "site-a/access-0");
  EXPECT_EQ(encode_session(*session), old);
  session->publication = 5;
  session->access_incarnation = 6;
  session->closing = true;
  auto back = decode_session(encode_session(*session));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->publication, 5u);
  EXPECT_EQ(back->access_incarnation, 6u);
  EXPECT_TRUE(back->closing);
  EXPECT_EQ(back->name, session->name);
  const std::string bound = encode_session(*session);
  for (size_t cut = 0; cut < 26; cut++) EXPECT_FALSE(decode_session(bound.substr(0, cut))) << cut;
  EXPECT_FALSE(decode_session("\3" + bound.substr(1)));
}

TEST_F(Sessions, WithVeryManyLocksEndsInBatchesThatFitARecord) {
  ASSERT_EQ(volume.open_session(1).error(), 0);
  const int files = 6;
  for (int i = 0; i < files; i++) {
    const uint64_t file = volume.make_file(kRootInode, std::to_string(i));
    std::string key = "l", value = "\1";
    for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(file >> shift));
    for (uint64_t n = 0; n < 30000; n++) {
      LockTable single;  // others' locks, which have to be written anew
      single.set({pb::LOCK_KIND_POSIX, pb::LOCK_TYPE_READ, 2 * n, 2 * n, n == 0 ? 1ull : 2ull, 1, 0});
      value += single.encode().substr(1);
    }
    volume.kv.apply({{key, value}, {"L" + std::string("\0\0\0\0\0\0\0\1", 8) + key.substr(1), "\1"}});
  }
  ASSERT_EQ(keys('L'), 6u);
  ASSERT_EQ(volume.close_session(1).error(), 0);
  EXPECT_GT(keys('L'), 0u) << "this test wants more than one batch";
  EXPECT_EQ(volume.keep_alive(1).error(), ESTALE);
  EXPECT_EQ(volume.open_session(1).error(), ESTALE);
  int batches = 0;
  while (!volume.sessions.expired(volume.kv, 0).empty()) {
    const KvBatch batch = end_session(volume.kv, 1);
    EXPECT_LT(encode_kv_batch(batch).size(), 4u << 20);
    volume.kv.apply(batch);
    ASSERT_LT(++batches, 20);
  }
  EXPECT_EQ(keys('L') + keys('n'), 0u);
  EXPECT_EQ(keys('l'), 6u) << "others' locks stay";
}

TEST_F(Sessions, HearOfOrphansUntilTheyHaveSeenThem) {
  volume.open_session(1);
  const uint64_t first = make_orphan("a"), second = make_orphan("b");
  const pb::JobReply told = volume.keep_alive(1);
  ASSERT_EQ(told.orphans_size(), 2);
  EXPECT_EQ(told.orphans(0).inode(), first);
  EXPECT_EQ(told.orphans(1).inode(), second);
  EXPECT_GT(told.orphans(1).number(), told.orphans(0).number());
  EXPECT_EQ(volume.keep_alive(1, told.orphans(0).number()).orphans_size(), 1);
  EXPECT_EQ(volume.keep_alive(1, told.orphans(1).number()).orphans_size(), 0);
  EXPECT_EQ(volume.keep_alive(1, ~0ull).orphans_size(), 0);
}

TEST_F(Sessions, AttributesOfAnOrphanSayWhenNobodyHasItOpen) {
  volume.open_session(1);
  volume.open_session(2);
  const uint64_t named = volume.make_file(kRootInode, "named"), orphan = make_orphan("a");
  const auto nobody_has = [&](uint64_t inode) {
    pb::JobRequest request;
    request.mutable_get_attributes()->set_inode(inode);
    const pb::JobReply reply = volume.run(request);
    EXPECT_EQ(reply.error(), 0);
    EXPECT_EQ(reply.attributes().inode(), inode);
    if (reply.orphans_size() == 1) EXPECT_EQ(reply.orphans(0).inode(), inode);
    return reply.orphans_size() > 0;
  };
  EXPECT_FALSE(nobody_has(orphan)) << "no session has answered";
  volume.keep_alive(1, 1);
  EXPECT_FALSE(nobody_has(orphan)) << "session 2 has not";
  volume.keep_alive(2, 1, {orphan});
  EXPECT_FALSE(nobody_has(orphan)) << "session 2 has it open";
  volume.keep_alive(2, 1);
  EXPECT_TRUE(nobody_has(orphan));
  EXPECT_FALSE(nobody_has(named));
  EXPECT_FALSE(nobody_has(kRootInode));
  volume.open_session(3);
  EXPECT_TRUE(nobody_has(orphan)) << "a session that is younger cannot have it open";
}

TEST_F(Sessions, AnOrphanGoesWhenAllHaveAnswered) {
  volume.open_session(1);
  volume.open_session(2);
  const uint64_t orphan = make_orphan("a");
  EXPECT_TRUE(droppable().empty());
  volume.keep_alive(1, 1);
  EXPECT_TRUE(droppable().empty()) << "session 2 has said nothing";
  volume.keep_alive(2, 1);
  EXPECT_EQ(droppable(), std::vector<uint64_t>{orphan});
  EXPECT_EQ(volume.orphan_dropped(orphan).error(), 0);
  EXPECT_EQ(volume.attributes_reply(orphan).error(), ESTALE);
  EXPECT_EQ(volume.orphan_dropped(orphan).error(), 0) << "two droppers at once";
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(keys('o'), 0u);
}

TEST_F(Sessions, AnOrphanThatIsHeldStays) {
  volume.open_session(1);
  const uint64_t held = make_orphan("a"), other = make_orphan("b");
  volume.keep_alive(1, 2, {held});
  EXPECT_EQ(droppable(), std::vector<uint64_t>{other});
  EXPECT_EQ(volume.orphan_dropped(held).error(), EBUSY);
  volume.keep_alive(1, 2, {held});
  EXPECT_TRUE(volume.last_batch.empty());
  volume.keep_alive(1, 2, {});
  EXPECT_EQ(droppable(), (std::vector<uint64_t>{held, other}));
  EXPECT_EQ(keys('h') + keys('H'), 0u);
}

// What is committed is what ListOrphans reads: the holds that came with an answer may not be there yet.
TEST_F(Sessions, AHoldCountsFromTheMomentOfTheAnswer) {
  volume.open_session(1);
  const uint64_t held = make_orphan("a");
  const MemoryKv committed = volume.kv;
  volume.keep_alive(1, 1, {held});
  ASSERT_FALSE(volume.last_batch.empty());
  volume.kv = committed;
  EXPECT_TRUE(droppable().empty());
}

TEST_F(Sessions, ANewPrimaryAsksAnew) {
  volume.open_session(1);
  const uint64_t orphan = make_orphan("a");
  volume.keep_alive(1, 1);
  volume.sessions = SessionTable();
  EXPECT_TRUE(droppable().empty());
  volume.keep_alive(1, 1);
  EXPECT_EQ(droppable(), std::vector<uint64_t>{orphan});
}

TEST_F(Sessions, ADeadSessionHoldsNothing) {
  volume.open_session(1);
  volume.open_session(2);
  const uint64_t orphan = make_orphan("a");
  volume.keep_alive(1, 1, {orphan});
  volume.keep_alive(2, 1);
  EXPECT_TRUE(droppable().empty());
  volume.kv.apply(end_session(volume.kv, 1));
  volume.sessions.forget(1);
  EXPECT_EQ(droppable(), std::vector<uint64_t>{orphan});
  EXPECT_EQ(keys('h') + keys('H'), 0u);
}

TEST_F(Sessions, OneThatOpenedLaterCannotHaveItOpen) {
  const uint64_t orphan = make_orphan("a");
  volume.open_session(1);
  EXPECT_EQ(droppable(), std::vector<uint64_t>{orphan});
  const uint64_t later = make_orphan("b");
  EXPECT_EQ(droppable(), std::vector<uint64_t>{orphan});
  volume.keep_alive(1, 2);
  EXPECT_EQ(droppable(), (std::vector<uint64_t>{orphan, later}));
}

TEST_F(Sessions, AnAnswerForOrphansToComeDoesNotCount) {
  volume.open_session(1);
  volume.keep_alive(1, 1000);
  make_orphan("a");
  EXPECT_TRUE(droppable().empty());
}

TEST_F(Sessions, HoldsOfWhatIsNoOrphanAreNotNoted) {
  volume.open_session(1);
  const uint64_t file = volume.make_file(kRootInode, "f");
  volume.keep_alive(1, 0, {file, 999, kRootInode});
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(volume.orphan_dropped(file).error(), EINVAL);
}

TEST_F(Sessions, OrphansOfAllTypesAndRenamedOverOnesAreListed) {
  volume.make_directory(kRootInode, "d");
  volume.make(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0);
  volume.make_file(kRootInode, "a");
  volume.make_file(kRootInode, "b");
  volume.rmdir(kRootInode, "d");
  volume.unlink(kRootInode, "s");
  volume.rename(kRootInode, "a", kRootInode, "b");
  EXPECT_EQ(volume.list_orphans(2).orphans_size(), 2);
  for (uint64_t inode : droppable()) EXPECT_EQ(volume.orphan_dropped(inode).error(), 0);
  EXPECT_EQ(volume.inodes_in_use(), 2u);
  EXPECT_EQ(keys('s') + keys('o'), 0u);
}

TEST_F(Sessions, AnOrphansBytesAreAllThatItMayHave) {
  const uint64_t file = volume.make_file(kRootInode, "f");
  volume.written(file, 50'000, 0, volume.now_ns, false);
  volume.truncate(file, 10);
  volume.unlink(kRootInode, "f");
  EXPECT_EQ(volume.list_orphans().orphans(0).high_water(), 50'000u) << "the truncation was never completed";
}

TEST_F(Sessions, DamagedOrphansDoNotStopTheOthers) {
  volume.open_session(1);
  make_orphan("a");
  const uint64_t good = make_orphan("b");
  volume.kv.apply({{std::string("o\0\0\0\0\0\0\0\1", 9), "rot"}});
  EXPECT_EQ(volume.keep_alive(1, 2).error(), 0);
  EXPECT_EQ(droppable(), std::vector<uint64_t>{good});
}

}  // namespace
}  // namespace shima
