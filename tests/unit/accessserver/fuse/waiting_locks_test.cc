#include "accessserver/fuse/waiting_locks.h"

#include <gtest/gtest.h>

#include <vector>

namespace shima {
namespace {

// Remembers which tickets were cancelled; nothing else is asked of it.
class CancelRecorder : public FileSystem {
 public:
  void run(metadata::v1::JobRequest, JobDone) override { FAIL(); }
  void read(uint64_t, uint64_t, uint32_t, metadata::v1::Credentials,
            std::function<void(FileBytes)>) override {
    FAIL();
  }
  void write(FileWrite, std::function<void(FileWritten)>) override { FAIL(); }
  void allocate(uint64_t, AllocateKind, uint64_t, uint64_t, bool, metadata::v1::Credentials,
                std::function<void(int)>) override {
    FAIL();
  }
  void seek(uint64_t, uint64_t, bool, std::function<void(int, uint64_t)>) override { FAIL(); }
  uint64_t set_lock(metadata::v1::LockRange, bool, std::function<void(int)>) override { return 0; }
  void cancel(uint64_t ticket) override { cancelled.push_back(ticket); }
  void opened(uint64_t) override { FAIL(); }
  void closed(uint64_t) override { FAIL(); }
  void find_who_has_open(uint64_t, std::function<void(int)>) override { FAIL(); }
  void hold(uint64_t, std::function<void(int)>) override { FAIL(); }
  void statistics(std::function<void(VolumeStatistics)>) override { FAIL(); }
  uint64_t volume_id() const override { return 1; }
  uint64_t life() const override { return 1; }
  std::string volume_name() const override { return "volume"; }
  uint64_t session() const override { return 1; }

  std::vector<uint64_t> cancelled;
};

using Tickets = std::vector<uint64_t>;

TEST(WaitingLock, IsCancelledWhenInterruptedWhileItWaits) {
  CancelRecorder files;
  WaitingLock lock(files);
  lock.started(5);
  EXPECT_EQ(files.cancelled, Tickets{});
  lock.interrupt();
  EXPECT_EQ(files.cancelled, Tickets{5});
}

TEST(WaitingLock, IsCancelledWhenInterruptedBeforeItsTicketIsKnown) {
  CancelRecorder files;
  WaitingLock lock(files);
  lock.interrupt();
  EXPECT_EQ(files.cancelled, Tickets{});
  lock.started(5);
  EXPECT_EQ(files.cancelled, Tickets{5});
}

TEST(WaitingLock, IsCancelledOnce) {
  CancelRecorder files;
  WaitingLock lock(files);
  lock.started(5);
  lock.interrupt();
  lock.interrupt();
  EXPECT_EQ(files.cancelled, Tickets{5});
}

TEST(WaitingLocks, EndInterruptsAllThatWaitAndAllThatComeLater) {
  CancelRecorder files;
  WaitingLocks locks;
  const auto waits = std::make_shared<WaitingLock>(files), done = std::make_shared<WaitingLock>(files),
             late = std::make_shared<WaitingLock>(files);
  waits->started(1);
  done->started(2);
  late->started(3);
  locks.add(waits);
  locks.add(done);
  locks.remove(done);
  locks.end();
  EXPECT_EQ(files.cancelled, Tickets{1});
  locks.add(late);
  EXPECT_EQ(files.cancelled, (Tickets{1, 3}));
}

}  // namespace
}  // namespace shima
