#include <gtest/gtest.h>

#include <cerrno>
#include <limits>

#include "tests/unit/coreserver/jobs/job_volume.h"

namespace shima {
namespace {

struct SetAttributes : testing::Test {
  JobVolume volume;
  const uint64_t file = volume.make_file(kRootInode, "f", 0644);

  void SetUp() override { ASSERT_EQ(volume.chown(file, 10, 20).error(), 0); }
  int chmod_by(pb::Credentials who, uint32_t mode) {
    return by(who, [&] { return volume.chmod(file, mode).error(); });
  }
  template <typename Do>
  int by(pb::Credentials who, Do&& act) {
    volume.who = who;
    const int error = act();
    volume.who = user(0, 0);
    return error;
  }
  pb::NewAttributes times_now() {
    pb::NewAttributes set;
    set.set_atime_now(true);
    set.set_mtime_now(true);
    return set;
  }
  pb::NewAttributes times(int64_t atime_ns, int64_t mtime_ns) {
    pb::NewAttributes set;
    set.set_atime_ns(atime_ns);
    set.set_mtime_ns(mtime_ns);
    return set;
  }
};

TEST_F(SetAttributes, WithNothingToSetChangesNothing) {
  const pb::Attributes before = volume.attributes(file);
  EXPECT_EQ(volume.set(file, {}).error(), 0);
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(volume.attributes(file).ctime_ns(), before.ctime_ns());
}

TEST_F(SetAttributes, EveryChangeShowsEvenIfTheClockStandsOrGoesBack) {
  volume.tick_ns = -5000;
  pb::Attributes before = volume.attributes(file);
  for (int i = 0; i < 3; i++) {
    const pb::JobReply reply = volume.chmod(file, 0600);
    EXPECT_EQ(reply.before().ctime_ns(), before.ctime_ns());
    EXPECT_GT(reply.attributes().ctime_ns(), before.ctime_ns());
    EXPECT_GT(reply.attributes().change(), before.change());
    EXPECT_EQ(reply.attributes().mtime_ns(), before.mtime_ns());
    before = reply.attributes();
  }
}

TEST_F(SetAttributes, ModeIsTheOwnersToChange) {
  EXPECT_EQ(chmod_by(user(10, 20), 0600), 0);
  EXPECT_EQ(chmod_by(user(11, 20), 0600), EPERM);
  EXPECT_EQ(chmod_by(checked_by_kernel(11, 20), 0600), 0);
  EXPECT_EQ(chmod_by(user(10, 20), 0177755), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 07755u);
}

TEST_F(SetAttributes, SetGidGoesUnlessTheCallerIsInTheGroup) {
  EXPECT_EQ(chmod_by(user(10, 99), 02755), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 0755u);
  EXPECT_EQ(chmod_by(user(10, 99, {20}), 02755), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 02755u);
  EXPECT_EQ(chmod_by(user(0, 0), 02700), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 02700u);
}

TEST_F(SetAttributes, TheModeOfASymlinkIsFixed) {
  const uint64_t symlink = volume.make(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0);
  EXPECT_EQ(volume.chmod(symlink, 0600).error(), EOPNOTSUPP);
  EXPECT_EQ(volume.chown(symlink, 1, 1).error(), 0);
}

TEST_F(SetAttributes, OwnersAreRootsToGiveAndGroupsTheOwnersAmongHisOwn) {
  pb::NewAttributes uid, same_uid, gid, foreign_gid, own_gid;
  uid.set_uid(11);
  same_uid.set_uid(10);
  gid.set_gid(20);
  own_gid.set_gid(30);
  foreign_gid.set_gid(99);
  const pb::Credentials owner = user(10, 20, {30}), other = user(11, 20);
  const auto set = [&](const pb::NewAttributes& attributes) { return volume.set(file, attributes).error(); };
  EXPECT_EQ(by(owner, [&] { return set(uid); }), EPERM);
  EXPECT_EQ(by(owner, [&] { return set(same_uid); }), 0);
  EXPECT_EQ(by(other, [&] { return set(same_uid); }), EPERM);
  EXPECT_EQ(by(owner, [&] { return set(foreign_gid); }), EPERM);
  EXPECT_EQ(by(other, [&] { return set(gid); }), EPERM);
  EXPECT_EQ(by(owner, [&] { return set(own_gid); }), 0);
  EXPECT_EQ(by(owner, [&] { return set(own_gid); }), 0) << "the group that it has";
  EXPECT_EQ(volume.attributes(file).gid(), 30u);
  EXPECT_EQ(by(user(0, 0), [&] { return set(uid); }), 0);
}

TEST_F(SetAttributes, AChownTakesSetIdBitsAwayAlsoWhenRootDoesIt) {
  for (const pb::Credentials& who : {user(0, 0), user(10, 20)}) {
    volume.chmod(file, 06755);
    EXPECT_EQ(by(who, [&] { return volume.chown(file, 10, 20).error(); }), 0);
    EXPECT_EQ(volume.attributes(file).mode(), 0755u);
  }
  volume.chmod(file, 06745);
  volume.chown(file, 10, 20);
  EXPECT_EQ(volume.attributes(file).mode(), 02745u) << "not a set-gid program";
  const uint64_t directory = volume.make_directory(kRootInode, "d");
  volume.chmod(directory, 06755);
  volume.chown(directory, 10, 20);
  EXPECT_EQ(volume.attributes(directory).mode(), 06755u) << "directories keep them";
}

TEST_F(SetAttributes, AModeThatComesWithAChownWins) {
  pb::NewAttributes set;
  set.set_uid(10);
  set.set_mode(04711);
  EXPECT_EQ(volume.set(file, set).attributes().mode(), 04711u);
}

TEST_F(SetAttributes, TimesOfChoiceAreTheOwnersAndNowIsAWritersToo) {
  volume.chmod(file, 0646);
  const auto set = [&](const pb::NewAttributes& attributes) { return volume.set(file, attributes).error(); };
  EXPECT_EQ(by(user(10, 20), [&] { return set(times(1, 2)); }), 0);
  EXPECT_EQ(volume.attributes(file).atime_ns(), 1);
  EXPECT_EQ(volume.attributes(file).mtime_ns(), 2);
  EXPECT_EQ(by(user(11, 11), [&] { return set(times(1, 2)); }), EPERM);
  EXPECT_EQ(by(user(11, 11), [&] { return set(times_now()); }), 0);
  EXPECT_EQ(by(user(11, 20), [&] { return set(times_now()); }), EACCES);
  pb::NewAttributes mixed = times_now();
  mixed.clear_mtime_now();
  mixed.set_mtime_ns(5);
  EXPECT_EQ(by(user(11, 11), [&] { return set(mixed); }), EPERM);
  volume.set(file, times_now());
  EXPECT_EQ(volume.attributes(file).mtime_ns(), volume.attributes(file).atime_ns());
  EXPECT_EQ(volume.attributes(file).mtime_ns(), volume.attributes(file).ctime_ns());
}

TEST_F(SetAttributes, OneTimeAloneIsTheOwnersEvenIfItBecomesNow) {
  volume.chmod(file, 0666);
  const auto set = [&](const pb::NewAttributes& attributes) { return volume.set(file, attributes).error(); };
  pb::NewAttributes atime = times_now(), mtime = times_now(), truncation = times_now();
  atime.clear_mtime_now();
  mtime.clear_atime_now();
  EXPECT_EQ(by(user(11, 11), [&] { return set(atime); }), EPERM);
  EXPECT_EQ(by(user(11, 11), [&] { return set(mtime); }), EPERM);
  EXPECT_EQ(by(user(10, 20), [&] { return set(atime); }), 0);
  EXPECT_EQ(by(user(10, 20), [&] { return set(mtime); }), 0);
  // Clients' kernels send the mtime with the new size.
  truncation.clear_atime_now();
  truncation.set_size(volume.attributes(file).size());
  EXPECT_EQ(by(user(11, 11), [&] { return set(truncation); }), 0);
}

TEST_F(SetAttributes, AnyTimeIsKeptToTheNanosecond) {
  for (int64_t time_ns : {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0},
                          int64_t{4102444800123456789}, std::numeric_limits<int64_t>::max()}) {
    const pb::JobReply reply = volume.set(file, times(time_ns, time_ns));
    EXPECT_EQ(reply.attributes().atime_ns(), time_ns);
    EXPECT_EQ(reply.attributes().mtime_ns(), time_ns);
    EXPECT_EQ(reply.attributes().ctime_ns(), volume.now_ns);
  }
}

TEST_F(SetAttributes, TheCtimeIsSetOnlyForAKernelAndNeverBack) {
  pb::NewAttributes set;
  set.set_ctime_ns(volume.now_ns + 1'000'000'000);
  EXPECT_EQ(volume.set(file, set).attributes().ctime_ns(), volume.now_ns);
  volume.who = checked_by_kernel(10, 20);
  EXPECT_EQ(volume.set(file, set).attributes().ctime_ns(), set.ctime_ns());
  const int64_t before = set.ctime_ns();
  set.set_ctime_ns(1);
  EXPECT_GT(volume.set(file, set).attributes().ctime_ns(), before);
  set.set_ctime_ns(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(volume.set(file, set).attributes().ctime_ns(), set.ctime_ns());
  EXPECT_EQ(volume.chmod(file, 0600).error(), 0) << "the end of time is no end";
}

TEST_F(SetAttributes, TheGuardRefusesWhenTheInodeHasChanged) {
  pb::JobRequest request;
  request.mutable_set_attributes()->set_inode(file);
  request.mutable_set_attributes()->set_guard_ctime_ns(volume.attributes(file).ctime_ns());
  request.mutable_set_attributes()->mutable_set()->set_mode(0600);
  EXPECT_EQ(volume.run(request).error(), 0);
  const pb::JobReply reply = volume.run(request);
  EXPECT_EQ(reply.error(), EAGAIN);
  EXPECT_FALSE(reply.attributes().truncating()) << "what tells it from a truncation under way";
}

TEST_F(SetAttributes, LongerJustSetsTheSize) {
  const pb::JobReply reply = volume.truncate(file, 1000);
  EXPECT_EQ(reply.attributes().size(), 1000u);
  EXPECT_FALSE(reply.attributes().truncating());
  EXPECT_EQ(reply.attributes().truncate_sequence(), 0u);
  EXPECT_GT(reply.attributes().mtime_ns(), reply.before().mtime_ns());
  EXPECT_EQ(reply.attributes().ctime_ns(), reply.attributes().mtime_ns());
}

TEST_F(SetAttributes, ShorterBeginsATruncationThatMustBeCompleted) {
  ASSERT_EQ(volume.written(file, 10'000, 0, volume.now_ns, false).error(), 0);
  ASSERT_EQ(volume.truncate(file, 20'000).error(), 0);
  const pb::Attributes a = volume.truncate(file, 100).attributes();
  EXPECT_EQ(a.size(), 100u);
  EXPECT_TRUE(a.truncating());
  EXPECT_EQ(a.truncate_sequence(), 1u);
  EXPECT_EQ(a.truncating_from(), 20'000u) << "all that any writer may have written to";
  EXPECT_EQ(a.high_water(), 100u);
  EXPECT_EQ(volume.truncate(file, 50).error(), EAGAIN);
  EXPECT_EQ(volume.truncate(file, 5000).error(), EAGAIN);
  EXPECT_EQ(volume.written(file, 50, 1, volume.now_ns, false).error(), EAGAIN);
  EXPECT_TRUE(volume.written(file, 50, 1, volume.now_ns, false).attributes().truncating());
  EXPECT_EQ(volume.chmod(file, 0600).error(), 0) << "what has no order against it goes on";
  EXPECT_EQ(volume.truncate_done(file, 0).attributes().truncating(), true) << "another truncation's";
  EXPECT_TRUE(volume.last_batch.empty());
  EXPECT_EQ(volume.truncate_done(file, 1).attributes().truncating(), false);
  EXPECT_EQ(volume.attributes(file).truncating_from(), 0u);
  EXPECT_EQ(volume.truncate_done(file, 1).error(), 0);
  EXPECT_TRUE(volume.last_batch.empty()) << "twice is once";
  EXPECT_EQ(volume.written(file, 50, 0, volume.now_ns, false).error(), EAGAIN)
      << "written before the truncation";
  EXPECT_EQ(volume.written(file, 50, 1, volume.now_ns, false).error(), 0);
}

TEST_F(SetAttributes, SizeIsForRegularFilesUpToTheLargest) {
  EXPECT_EQ(volume.truncate(kRootInode, 0).error(), EISDIR);
  EXPECT_EQ(volume.truncate(volume.make(kRootInode, "p", pb::FILE_TYPE_FIFO, 0600), 0).error(), EINVAL);
  EXPECT_EQ(volume.truncate(volume.make(kRootInode, "s", pb::FILE_TYPE_SYMLINK, 0), 0).error(), EINVAL);
  EXPECT_EQ(volume.truncate(file, kMaxFileBytes + 1).error(), EFBIG);
  EXPECT_EQ(volume.truncate(file, ~0ull).error(), EFBIG);
  EXPECT_EQ(volume.truncate(file, kMaxFileBytes).error(), 0);
  EXPECT_EQ(volume.truncate(999, 0).error(), ESTALE);
}

TEST_F(SetAttributes, SizeNeedsTheWritePermissionOrTheOwner) {
  volume.chmod(file, 0424);
  EXPECT_EQ(by(user(10, 20), [&] { return volume.truncate(file, 1).error(); }), 0) << "RFC 1813 4.4";
  EXPECT_EQ(by(user(11, 20), [&] { return volume.truncate(file, 2).error(); }), 0);
  EXPECT_EQ(by(user(11, 11), [&] { return volume.truncate(file, 3).error(); }), EACCES);
}

TEST_F(SetAttributes, ATruncationTakesSetIdBitsAwayUnlessRootDoesIt) {
  volume.chmod(file, 06777);
  EXPECT_EQ(by(user(0, 0), [&] { return volume.truncate(file, 1).error(); }), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 06777u);
  EXPECT_EQ(by(user(11, 11), [&] { return volume.truncate(file, 2).error(); }), 0);
  EXPECT_EQ(volume.attributes(file).mode(), 0777u);
}

TEST_F(SetAttributes, ATruncationLowersWhatIsShownAsAllocated) {
  volume.open_session(5);
  volume.session = 5;
  volume.written(file, 100'000, 0, volume.now_ns, true);
  volume.paused(file, 5, volume.now_ns, 3, 102'400);
  EXPECT_EQ(volume.attributes(file).used_bytes(), 102'400u);
  EXPECT_EQ(volume.truncate(file, 5000).attributes().used_bytes(), 8192u);
}

}  // namespace
}  // namespace shima
