#include <gtest/gtest.h>

#include <memory>

#include "common/runtime/event_loop.h"

namespace shima {
namespace {

// What ends late may still set a timer, as a keep-alive does that is told of its connection's end: the timer
// never runs, and the closed timer descriptor is left alone.
TEST(EventLoopStop, ATimerThatIsSetDuringShutDownDoesNoHarm) {
  EventLoop loop("stop");
  bool ran = false;
  struct SetsATimer {
    EventLoop& loop;
    bool& ran;
    ~SetsATimer() {
      loop.after(0, [&ran = ran] { ran = true; });
    }
  };
  loop.at_stop([&] {
    loop.post(
        [late = std::shared_ptr<SetsATimer>(new SetsATimer{loop, ran})] {});  // destroyed without being run
  });
  loop.start();
  loop.stop();
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace shima
