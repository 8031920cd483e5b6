#include "coreserver/driver/membership_queue.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

MembershipChange wish(uint64_t group, uint64_t server, uint64_t based_on, bool in_sync = false) {
  return {GroupIndex(static_cast<uint32_t>(group)),
          Term(1),
          ConfigVersion(based_on),
          ServerId(server),
          true,
          in_sync};
}

TEST(MembershipQueue, ASiteThatIsLostWhileEtcdIsAwayLeavesOneWishAGroup) {
  MembershipQueue queue;
  int sent_for = 0;
  for (uint64_t again = 1; again <= 1000; again++) {
    for (uint64_t group = 0; group < 9; group++)
      sent_for += queue.add("db", wish(group, 3, again, again % 2));
  }
  EXPECT_EQ(sent_for, 1);
  const std::vector<MembershipChange> taken = queue.take("db");
  ASSERT_EQ(taken.size(), 9u);
  for (const MembershipChange& change : taken) {
    EXPECT_EQ(change.based_on, ConfigVersion(1000)) << "the newest";
    EXPECT_FALSE(change.in_sync);
  }
}

TEST(MembershipQueue, EachVolumeAndEachMemberWaitsForItself) {
  MembershipQueue queue;
  EXPECT_TRUE(queue.add("db", wish(1, 3, 5)));
  EXPECT_FALSE(queue.add("db", wish(1, 4, 5)));
  EXPECT_TRUE(queue.add("web", wish(1, 3, 5)));
  EXPECT_EQ(queue.take("db").size(), 2u);
  EXPECT_TRUE(queue.take("db").empty());
  EXPECT_TRUE(queue.add("db", wish(1, 3, 6))) << "what was taken is not waited for any more";
  EXPECT_EQ(queue.take("web").size(), 1u);
}

}  // namespace
}  // namespace shima
