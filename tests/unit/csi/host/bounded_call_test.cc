#include "csi/host/bounded_call.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "common/runtime/clock.h"

namespace shima {
namespace {

TEST(BoundedCall, AnswerAndErrnoComeBack) {
  struct Pair {
    uint64_t a, b;
  };
  const auto pair = run_bounded_for<Pair>("look", 60'000, [](Pair& out) {
    out = {7, 9};
    return 0;
  });
  ASSERT_TRUE(pair.is_ok()) << pair.status().to_string();
  EXPECT_EQ(pair->a + pair->b, 16u);
  const Status status = run_bounded("open it", 60'000, [] { return ENOENT; });
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("cannot open it"), std::string::npos);
}

TEST(BoundedCall, OneThatHangsEndsWithItsDeadline) {
  const uint64_t begin = real_clock().now_ms();
  const Status status = run_bounded("wait for ever", 100, [] {
    while (true) pause();
    return 0;
  });
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_LT(real_clock().now_ms() - begin, 30'000u);
  const uint64_t patient = real_clock().now_ms() + 30'000;
  while (abandoned_calls() != 0 && real_clock().now_ms() < patient) usleep(10'000);
  EXPECT_EQ(abandoned_calls(), 0u);  // SIGKILL has reached this one
}

TEST(BoundedCall, ADeadChildIsNoAnswer) {
  EXPECT_EQ(run_bounded("die", 60'000,
                        [] {
                          _exit(0);
                          return 0;
                        })
                .code(),
            Code::kInternal);
}

TEST(BoundedCall, TheChildHasNoDescriptorsButThoseKept) {
  const int kept = open("/dev/null", O_RDONLY), other = open("/dev/null", O_RDONLY);
  const auto are_open = [&] {
    return (fcntl(kept, F_GETFD) >= 0 ? 0 : 1) + (fcntl(other, F_GETFD) < 0 ? 0 : 2);
  };
  char unused = 0;
  const auto result =
      run_bounded_bytes("look", 60'000, &unused, 0, [&](void*) { return are_open(); }, {kept});
  ASSERT_TRUE(result.is_ok());
  EXPECT_EQ(result->error, 0);
  close(kept);
  close(other);
}

TEST(BoundedCall, ManyThreadsCallAtOnce) {
  std::vector<std::thread> threads;
  std::vector<int> sums(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([i, &sums] {
      for (int n = 0; n < 20; ++n) {
        const auto answer = run_bounded_for<int>("add", 60'000, [&](int& out) {
          out = i;
          return 0;
        });
        if (answer) sums[i] += *answer;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(sums[i], 20 * i);
}

}  // namespace
}  // namespace shima
