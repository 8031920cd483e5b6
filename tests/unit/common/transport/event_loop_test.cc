#include "common/runtime/event_loop.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace shima {
namespace {

// Runs `task` on the loop and waits for it.
void on_loop(EventLoop& loop, std::function<void()> task) {
  std::promise<void> done;
  loop.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

TEST(EventLoop, RunsPostedTasksInOrderOnItsOwnThread) {
  EventLoop loop("test");
  loop.start();
  std::vector<int> seen;
  for (int i = 0; i < 1'000; i++) {
    loop.post([&seen, &loop, i] {
      EXPECT_TRUE(loop.on_loop_thread());
      seen.push_back(i);
    });
  }
  on_loop(loop, [] {});
  ASSERT_EQ(seen.size(), 1'000u);
  for (int i = 0; i < 1'000; i++) EXPECT_EQ(seen[i], i);
  EXPECT_FALSE(loop.on_loop_thread());
}

TEST(EventLoop, RunsWhatSeveralThreadsPost) {
  EventLoop loop("test");
  loop.start();
  int sum = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10'000; i++) loop.post([&sum] { sum++; });
    });
  }
  for (auto& thread : threads) thread.join();
  loop.stop();
  EXPECT_EQ(sum, 40'000);
}

TEST(EventLoop, TimersRunInOrderOfTheirDeadlinesAndNotEarly) {
  std::vector<int> order;
  std::promise<void> done;
  std::unique_ptr<EventLoop> loop;
  uint64_t begin = 0;
  do {  // anew if the machine stalled in between: that mixes the deadlines up
    loop = std::make_unique<EventLoop>("test");
    begin = loop->now_ms();
    loop->after(60, [&] { order.push_back(3), done.set_value(); });
    loop->after(5, [&] { order.push_back(1); });
    loop->after(30, [&] { order.push_back(2); });
  } while (loop->now_ms() - begin > 20);
  loop->start();
  done.get_future().wait();
  EXPECT_GE(loop->now_ms() - begin, 59u);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(EventLoop, ACancelledTimerDoesNotRun) {
  EventLoop loop("test");
  loop.start();
  std::promise<void> done;
  bool ran = false;
  loop.post([&] {
    auto id = loop.after(5, [&] { ran = true; });
    loop.after(40, [&] { done.set_value(); });
    loop.cancel(id);
    loop.cancel(id);
    loop.cancel(12'345);
  });
  done.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST(EventLoop, ATimerMayCancelAnotherThatIsDueAtTheSameMoment) {
  EventLoop loop("test");
  loop.start();
  int ran = 0;
  std::promise<void> done;
  loop.post([&] {
    auto ids = std::make_shared<std::vector<EventLoop::TimerId>>();
    for (int i = 0; i < 2; i++) {
      ids->push_back(loop.after(5, [&, ids] {
        ran++;
        for (auto id : *ids) loop.cancel(id);
      }));
    }
    loop.after(50, [&] { done.set_value(); });
  });
  done.get_future().wait();
  EXPECT_EQ(ran, 1);
}

TEST(EventLoop, EndOfTurnTasksRunBeforeTheNextPostedTask) {
  EventLoop loop("test");
  loop.start();
  std::vector<int> order;
  on_loop(loop, [&] {
    loop.post([&] { order.push_back(3); });
    loop.at_end_of_turn([&] {
      order.push_back(1);
      loop.at_end_of_turn([&] { order.push_back(2); });
    });
  });
  on_loop(loop, [] {});
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(EventLoop, DestroysTasksThatComeAfterTheStop) {
  auto owned = std::make_shared<int>(1);
  std::weak_ptr<int> watch = owned;
  EventLoop loop("test");
  loop.start();
  loop.stop();
  loop.post([owned = std::move(owned)] { FAIL() << "ran after stop()"; });
  EXPECT_TRUE(watch.expired());
}

TEST(EventLoop, RunsStopTasksUnlessTheyAreForgotten) {
  int ran = 0;
  EventLoop loop("test");
  loop.at_stop([&] { ran += 1; });
  loop.forget_at_stop(loop.at_stop([&] { ran += 10; }));
  loop.start();
  loop.stop();
  loop.stop();
  EXPECT_EQ(ran, 1);
}

TEST(EventLoop, OneThatNeverStartedLetsGoOfItsTasks) {
  auto owned = std::make_shared<int>(1);
  std::weak_ptr<int> watch = owned;
  {
    EventLoop loop("test");
    loop.post([owned] {});
    loop.after(1, [owned = std::move(owned)] {});
  }
  EXPECT_TRUE(watch.expired());
}

TEST(Task, OwnsWhatCannotBeCopied) {
  struct Large {
    std::unique_ptr<int> value;
    char filler[200];
  };
  int sum = 0;
  Task small([&sum, p = std::make_unique<int>(1)] { sum += *p; });
  Task large([&sum, l = Large{std::make_unique<int>(2), {}}] { sum += *l.value; });
  Task moved = std::move(large);
  small();
  moved();
  EXPECT_FALSE(static_cast<bool>(large));
  EXPECT_EQ(sum, 3);
}

}  // namespace
}  // namespace shima
