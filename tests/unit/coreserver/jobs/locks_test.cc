#include <gtest/gtest.h>

#include <cerrno>
#include <random>

#include "coreserver/jobs/lock_table.h"
#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

constexpr auto kRead = pb::LOCK_TYPE_READ;
constexpr auto kWrite = pb::LOCK_TYPE_WRITE;
constexpr auto kUnlock = pb::LOCK_TYPE_UNLOCK;
constexpr auto kPosix = pb::LOCK_KIND_POSIX;
constexpr auto kFlock = pb::LOCK_KIND_FLOCK;

struct Locks : testing::Test {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f");
  void SetUp() override {
    ASSERT_EQ(volume.open_session(1).error(), 0);
    ASSERT_EQ(volume.open_session(2).error(), 0);
  }

  pb::LockRange range(uint64_t session, uint64_t owner, pb::LockType type, uint64_t start, uint64_t end,
                      pb::LockKind kind = kPosix) {
    pb::LockRange lock;
    lock.set_inode(file);
    lock.set_kind(kind);
    lock.set_type(type);
    lock.set_start(start);
    lock.set_end(end);
    lock.set_session(session);
    lock.set_owner(owner);
    lock.set_pid(static_cast<uint32_t>(owner));
    return lock;
  }
  pb::JobReply set_reply(const pb::LockRange& lock) {
    pb::JobRequest request;
    *request.mutable_set_lock()->mutable_lock() = lock;
    return volume.run(request);
  }
  int set(uint64_t session, uint64_t owner, pb::LockType type, uint64_t start, uint64_t end,
          pb::LockKind kind = kPosix) {
    return set_reply(range(session, owner, type, start, end, kind)).error();
  }
  pb::JobReply test(const pb::LockRange& lock) {
    pb::JobRequest request;
    *request.mutable_test_lock()->mutable_lock() = lock;
    return volume.run(request);
  }
  int release(uint64_t session, uint64_t owner, pb::LockKind kind) {
    pb::JobRequest request;
    request.mutable_release_locks()->set_inode(file);
    request.mutable_release_locks()->set_session(session);
    request.mutable_release_locks()->set_owner(owner);
    request.mutable_release_locks()->set_kind(kind);
    return volume.run(request).error();
  }
  size_t keys(char kind) {
    return std::ranges::count_if(volume.kv.entries(),
                                 [&](const auto& entry) { return entry.first[0] == kind; });
  }
};

TEST_F(Locks, ReadersShareAndWritersExclude) {
  EXPECT_EQ(set(1, 1, kRead, 0, 99), 0);
  EXPECT_EQ(set(2, 1, kRead, 50, 149), 0) << "the same number in another session is another owner";
  EXPECT_EQ(set(1, 2, kWrite, 120, 120), EAGAIN);
  EXPECT_EQ(set(1, 2, kWrite, 150, kLastByte), 0);
  EXPECT_EQ(set(1, 1, kWrite, 0, 49), 0) << "only its own lock there";
  EXPECT_EQ(set(1, 1, kWrite, 0, 50), EAGAIN);
}

TEST_F(Locks, TheOneInTheWayIsNamed) {
  ASSERT_EQ(set(1, 7, kWrite, 10, 19), 0);
  const pb::JobReply refused = set_reply(range(2, 8, kRead, 0, kLastByte));
  EXPECT_EQ(refused.error(), EAGAIN);
  for (const pb::LockRange& conflict :
       {refused.conflict(), test(range(2, 8, kRead, 0, kLastByte)).conflict()}) {
    EXPECT_EQ(conflict.session(), 1u);
    EXPECT_EQ(conflict.owner(), 7u);
    EXPECT_EQ(conflict.pid(), 7u);
    EXPECT_EQ(conflict.type(), kWrite);
    EXPECT_EQ(conflict.start(), 10u);
    EXPECT_EQ(conflict.end(), 19u);
    EXPECT_EQ(conflict.inode(), file);
  }
  EXPECT_FALSE(test(range(2, 8, kRead, 20, 30)).has_conflict());
  EXPECT_FALSE(test(range(1, 7, kWrite, 0, 30)).has_conflict()) << "its own";
}

TEST_F(Locks, UnlockingTheMiddleLeavesTwo) {
  ASSERT_EQ(set(1, 1, kWrite, 0, 99), 0);
  ASSERT_EQ(set(1, 1, kUnlock, 40, 59), 0);
  EXPECT_EQ(set(2, 2, kWrite, 40, 59), 0);
  EXPECT_EQ(set(2, 2, kWrite, 39, 39), EAGAIN);
  EXPECT_EQ(set(2, 2, kWrite, 60, 60), EAGAIN);
}

TEST_F(Locks, KindsDoNotSeeEachOther) {
  EXPECT_EQ(set(1, 1, kWrite, 0, kLastByte), 0);
  EXPECT_EQ(set(2, 2, kWrite, 0, 0, kFlock), 0);
  EXPECT_EQ(set(2, 3, kWrite, 0, 0, pb::LOCK_KIND_APPEND), 0);
  EXPECT_EQ(set(1, 1, kRead, 5, 6, kFlock), EAGAIN) << "flock is of the whole file";
  EXPECT_EQ(set(1, 1, kWrite, 0, 0, pb::LOCK_KIND_APPEND), EAGAIN);
  EXPECT_EQ(release(2, 2, kFlock), 0);
  EXPECT_EQ(set(1, 1, kRead, 5, 6, kFlock), 0);
}

TEST_F(Locks, ReleaseIsOfOneOwnerAndOneKindOrAll) {
  set(1, 1, kRead, 0, 9);
  set(1, 1, kRead, 20, 29);
  set(1, 1, kRead, 0, 0, kFlock);
  set(1, 2, kRead, 0, 9);
  EXPECT_EQ(release(1, 1, kPosix), 0);
  EXPECT_EQ(set(2, 3, kWrite, 20, 29), 0);
  EXPECT_EQ(set(2, 3, kWrite, 0, 9), EAGAIN) << "owner 2 is still there";
  EXPECT_EQ(set(2, 3, kWrite, 0, 0, kFlock), EAGAIN);
  EXPECT_EQ(release(1, 1, pb::LOCK_KIND_UNSPECIFIED), 0);
  EXPECT_EQ(set(2, 3, kWrite, 0, 0, kFlock), 0);
  EXPECT_EQ(release(1, 9, kPosix), 0);
  EXPECT_TRUE(volume.last_batch.empty());
}

TEST_F(Locks, WrongRangesAndUnknownSessionsAreRefused) {
  EXPECT_EQ(set(1, 1, kRead, 10, 9), EINVAL);
  EXPECT_EQ(set(1, 1, kRead, 0, 1ull << 63), EINVAL);
  EXPECT_EQ(set(1, 1, kRead, 0, 1, pb::LOCK_KIND_UNSPECIFIED), EINVAL);
  EXPECT_EQ(set(1, 1, static_cast<pb::LockType>(7), 0, 1), EINVAL);
  EXPECT_EQ(set(3, 1, kRead, 0, 1), ENOTCONN);
  EXPECT_EQ(set(3, 1, kUnlock, 0, 1), 0) << "unlocking always succeeds";
  pb::LockRange gone = range(1, 1, kRead, 0, 1);
  gone.set_inode(999);
  EXPECT_EQ(set_reply(gone).error(), ESTALE);
  gone.set_type(kUnlock);
  EXPECT_EQ(set_reply(gone).error(), 0);
}

TEST_F(Locks, TheSameAgainChangesNothing) {
  ASSERT_EQ(set(1, 1, kWrite, 0, 9), 0);
  ASSERT_EQ(set(1, 1, kWrite, 3, 5), 0);
  EXPECT_TRUE(volume.last_batch.empty());
  ASSERT_EQ(set(1, 1, kUnlock, 100, 200), 0);
  EXPECT_TRUE(volume.last_batch.empty());
}

TEST_F(Locks, KeysGoWithTheLastLock) {
  set(1, 1, kRead, 0, 9);
  set(2, 1, kRead, 0, 9);
  EXPECT_EQ(keys('l'), 1u);
  EXPECT_EQ(keys('L'), 2u);
  set(1, 1, kUnlock, 0, kLastByte);
  EXPECT_EQ(keys('L'), 1u);
  release(2, 1, kPosix);
  EXPECT_EQ(keys('l'), 0u);
  EXPECT_EQ(keys('L'), 0u);
}

TEST_F(Locks, GoWithTheSession) {
  const uint64_t first = file;
  set(1, 1, kWrite, 0, 9);
  set(2, 1, kRead, 20, 29);
  volume.kv.apply(end_session(volume.kv, 1));
  EXPECT_EQ(set(2, 1, kWrite, 0, 29), 0);
  EXPECT_EQ(keys('L'), 1u);
  EXPECT_EQ(volume.close_session(2).error(), 0);
  EXPECT_EQ(keys('l') + keys('L') + keys('n'), 0u);
  EXPECT_EQ(volume.attributes(first).nlink(), 1u);
}

TEST_F(Locks, GoWithTheInode) {
  set(1, 1, kWrite, 0, 9);
  volume.unlink(kRootInode, "f");
  ASSERT_EQ(volume.orphan_dropped(file).error(), 0);
  EXPECT_EQ(keys('l') + keys('L'), 0u);
}

TEST_F(Locks, OneFileHasSoManyRanges) {
  LockTable table;
  for (uint64_t i = 0; i < kMaxLocksPerInode; i++) {
    if (i == 2000) break;  // one by one is quadratic: the rest comes decoded
    ASSERT_TRUE(table.set({kPosix, kRead, 2 * i, 2 * i, 1, 1, 0}));
  }
  std::string value = table.encode();
  for (uint64_t i = 2000; i < kMaxLocksPerInode; i++) {
    LockTable single;
    ASSERT_TRUE(single.set({kPosix, kRead, 2 * i, 2 * i, 1, 1, 0}));
    value += single.encode().substr(1);
  }
  std::optional<LockTable> full = LockTable::decode(value);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->locks().size(), kMaxLocksPerInode);
  std::string key = "l";
  for (int shift = 56; shift >= 0; shift -= 8) key.push_back(static_cast<char>(file >> shift));
  volume.kv.apply({{key, value}});
  EXPECT_EQ(set(1, 2, kRead, 0, 0), ENOLCK);
  EXPECT_EQ(set(1, 1, kRead, 0, 10), 0) << "merges into fewer";
  EXPECT_LT(encode_kv_batch(volume.last_batch).size(), 4u << 20) << "fits a record";
}

TEST_F(Locks, DamagedLocksAreAnInputOutputErrorButUnharmedFilesGoOn) {
  set(1, 1, kRead, 0, 9);
  for (const auto& [key, value] : std::map(volume.kv.entries())) {
    if (key[0] == 'l') volume.kv.apply({{key, value + "x"}});
  }
  EXPECT_EQ(set(1, 1, kRead, 0, 9), EIO);
  EXPECT_EQ(volume.attributes_reply(file).error(), 0);
  EXPECT_FALSE(end_session(volume.kv, 1).empty()) << "the session can still go";
}

// Against one owner and type for each byte.
TEST(LockTable, BehavesAsBytesWithOwnersDo) {
  constexpr uint64_t kBytes = 32;
  std::mt19937 random(1);
  for (int round = 0; round < 200; round++) {
    LockTable table;
    std::map<std::pair<uint64_t, uint64_t>, pb::LockType> bytes;  // (owner, byte)
    for (int step = 0; step < 100; step++) {
      const uint64_t start = random() % kBytes, end = start + random() % (kBytes - start);
      const Lock lock{kPosix, static_cast<pb::LockType>(random() % 3), start, end, 1, random() % 3, 0};
      bool conflict = false;
      for (const auto& [at, type] : bytes) {
        const bool other = at.first != lock.owner && at.second >= start && at.second <= end;
        conflict |= other && lock.type != kUnlock && (type == kWrite || lock.type == kWrite);
      }
      ASSERT_EQ(lock.type != kUnlock && table.conflict(lock) != nullptr, conflict);
      if (conflict) continue;
      ASSERT_TRUE(table.set(lock));
      for (uint64_t byte = start; byte <= end; byte++) {
        if (lock.type == kUnlock) {
          bytes.erase({lock.owner, byte});
        } else {
          bytes[{lock.owner, byte}] = lock.type;
        }
      }
      std::map<std::pair<uint64_t, uint64_t>, pb::LockType> found;
      for (const Lock& held : table.locks()) {
        for (uint64_t byte = held.start; byte <= held.end; byte++) {
          ASSERT_TRUE(found.emplace(std::pair(held.owner, byte), held.type).second) << "twice";
        }
        for (const Lock& other : table.locks()) {
          const bool neighbours =
              other.owner == held.owner && other.type == held.type && other.start == held.end + 1;
          ASSERT_FALSE(neighbours) << "not merged";
        }
      }
      ASSERT_EQ(found, bytes);
      ASSERT_EQ(LockTable::decode(table.encode()), table);
    }
  }
}

}  // namespace
}  // namespace shima
