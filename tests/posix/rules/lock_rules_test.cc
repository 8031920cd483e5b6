// Locks: fcntl(2) locks of processes and of open files (OFD), flock(2), between processes.
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <set>
#include <thread>

#include "tests/posix/rules/posix_fixture.h"

namespace shima {
namespace {

class Locks : public PosixRules {
 protected:
  void SetUp() override {
    PosixRules::SetUp();
    name_ = make_file("file", std::string(1000, 'x'));
  }
  static struct flock range(short type, off_t start, off_t length) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = start;
    lock.l_len = length;
    return lock;
  }
  static int lock(int file, short type, off_t start = 0, off_t length = 0, int command = F_SETLK) {
    struct flock wanted = range(type, start, length);
    return error_of(fcntl(file, command, &wanted));
  }
  // Type of the lock that is in the way of another process that wants to write in the range; F_UNLCK: none.
  int seen_by_another(off_t start, off_t length) {
    return in_child([&] {
      const File file(open(name_.c_str(), O_RDWR));
      struct flock wanted = range(F_WRLCK, start, length);
      if (fcntl(file.get(), F_GETLK, &wanted) != 0) return 100 + errno;
      return static_cast<int>(wanted.l_type);
    });
  }
  int locked_by_another(short type, off_t start, off_t length) {
    return in_child([&] {
      const File file(open(name_.c_str(), O_RDWR));
      return lock(file.get(), type, start, length);
    });
  }
  // A process that was killed is gone a moment before what it was about to do is undone.
  static bool soon(const std::function<bool()>& what) {
    for (int i = 0; i < 12'000; ++i) {
      if (what()) return true;
      usleep(5'000);
    }
    return false;
  }

  std::string name_;
};

// Of two processes, 0 and 1: neither goes on before both have come.
class Meeting {
 public:
  Meeting() {
    for (auto& ends : pipes_) EXPECT_EQ(pipe(ends.data()), 0);
  }
  ~Meeting() {
    for (auto& ends : pipes_) {
      close(ends[0]);
      close(ends[1]);
    }
  }
  bool come(int who) {
    char word = 'x';
    return ::write(pipes_[who][1], &word, 1) == 1 && ::read(pipes_[1 - who][0], &word, 1) == 1;
  }

 private:
  std::array<std::array<int, 2>, 2> pipes_{};
};

bool is_refused(int error) { return error == EAGAIN || error == EACCES; }

TEST_F(Locks, WriteLockExcludesOtherProcesses) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 10, 20), 0);
  EXPECT_TRUE(is_refused(locked_by_another(F_WRLCK, 29, 1)));
  EXPECT_TRUE(is_refused(locked_by_another(F_RDLCK, 0, 11)));
  EXPECT_EQ(locked_by_another(F_WRLCK, 30, 5), 0);
  EXPECT_EQ(locked_by_another(F_WRLCK, 0, 10), 0);
}

TEST_F(Locks, ReadLocksAreShared) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_RDLCK, 0, 100), 0);
  EXPECT_EQ(locked_by_another(F_RDLCK, 50, 100), 0);
  EXPECT_TRUE(is_refused(locked_by_another(F_WRLCK, 99, 1)));
}

TEST_F(Locks, AreReportedWithTheirRangeAndProcess) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 10, 20), 0);
  const pid_t self = getpid();
  EXPECT_EQ(
      in_child([&] {
        const File other(open(name_.c_str(), O_RDWR));
        struct flock found = range(F_RDLCK, 0, 0);
        if (fcntl(other.get(), F_GETLK, &found) != 0) return 1;
        return found.l_type == F_WRLCK && found.l_start == 10 && found.l_len == 20 && found.l_pid == self ? 0
                                                                                                          : 2;
      }),
      0);
  EXPECT_EQ(seen_by_another(0, 10), F_UNLCK);
}

TEST_F(Locks, AreSplitAndMerged) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 0, 100), 0);
  ASSERT_EQ(lock(file.get(), F_UNLCK, 40, 20), 0);
  EXPECT_EQ(seen_by_another(0, 40), F_WRLCK);
  EXPECT_EQ(seen_by_another(40, 20), F_UNLCK);
  EXPECT_EQ(seen_by_another(60, 40), F_WRLCK);
  ASSERT_EQ(lock(file.get(), F_RDLCK, 30, 40), 0);
  EXPECT_EQ(seen_by_another(40, 20), F_RDLCK);
  EXPECT_EQ(locked_by_another(F_RDLCK, 30, 40), 0);
  EXPECT_TRUE(is_refused(locked_by_another(F_RDLCK, 29, 1)));
  ASSERT_EQ(lock(file.get(), F_UNLCK), 0);
  EXPECT_EQ(seen_by_another(0, 0), F_UNLCK);
}

TEST_F(Locks, ToTheEndMeansHoweverLongTheFileGets) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 500, 0), 0);
  EXPECT_TRUE(is_refused(locked_by_another(F_WRLCK, int64_t{1} << 40, 1)));
  EXPECT_EQ(locked_by_another(F_WRLCK, 0, 500), 0);
}

TEST_F(Locks, GoWithTheProcess) {
  EXPECT_EQ(locked_by_another(F_WRLCK, 0, 0), 0);  // and that process has ended
  const File file(open(name_.c_str(), O_RDWR));
  EXPECT_EQ(lock(file.get(), F_WRLCK), 0);
}

TEST_F(Locks, GoWhenAnyDescriptorIsClosed) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK), 0);
  File(open(name_.c_str(), O_RDONLY)).close();
  EXPECT_EQ(seen_by_another(0, 0), F_UNLCK);
}

TEST_F(Locks, AreNotInherited) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK), 0);
  EXPECT_EQ(in_child([&] { return is_refused(lock(file.get(), F_WRLCK)) ? 0 : 1; }), 0);
  // The child closed its copy of the descriptor: the parent's lock stays.
  EXPECT_EQ(seen_by_another(0, 0), F_WRLCK);
}

TEST_F(Locks, OfOneProcessDoNotConflict) {
  const File a(open(name_.c_str(), O_RDWR)), b(open(name_.c_str(), O_RDWR));
  EXPECT_EQ(lock(a.get(), F_WRLCK, 0, 10), 0);
  EXPECT_EQ(lock(b.get(), F_WRLCK, 0, 10), 0);
}

TEST_F(Locks, NeedTheRightKindOfDescriptor) {
  const File reading(open(name_.c_str(), O_RDONLY)), writing(open(name_.c_str(), O_WRONLY));
  EXPECT_EQ(lock(reading.get(), F_WRLCK), EBADF);
  EXPECT_EQ(lock(writing.get(), F_RDLCK), EBADF);
}

TEST_F(Locks, WaitersGetThemWhenTheyAreFree) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK), 0);
  const pid_t child = fork();
  if (child == 0) {
    const File other(open(name_.c_str(), O_RDWR));
    _exit(lock(other.get(), F_WRLCK, 0, 0, F_SETLKW));
  }
  usleep(200'000);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, WNOHANG), 0) << "it should be waiting";
  ASSERT_EQ(lock(file.get(), F_UNLCK), 0);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Locks, SignalEndsWaiting) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK), 0);
  EXPECT_EQ(in_child([&] {
              struct sigaction action {};
              action.sa_handler = [](int) {};
              sigaction(SIGALRM, &action, nullptr);
              const File other(open(name_.c_str(), O_RDWR));
              // Again and again: a signal that comes before the process waits ends nothing.
              const itimerval soon_and_often{.it_interval = {.tv_sec = 0, .tv_usec = 200'000},
                                             .it_value = {.tv_sec = 1, .tv_usec = 0}};
              setitimer(ITIMER_REAL, &soon_and_often, nullptr);
              return lock(other.get(), F_WRLCK, 0, 0, F_SETLKW);
            }),
            EINTR);
  EXPECT_EQ(lock(file.get(), F_UNLCK), 0);
  EXPECT_EQ(seen_by_another(0, 0), F_UNLCK) << "the interrupted wait left a lock";
}

TEST_F(Locks, WaitingProcessCanBeKilled) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK), 0);
  const pid_t child = fork();
  if (child == 0) {
    const File other(open(name_.c_str(), O_RDWR));
    _exit(lock(other.get(), F_WRLCK, 0, 0, F_SETLKW));
  }
  usleep(200'000);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  ASSERT_EQ(lock(file.get(), F_UNLCK), 0);
  EXPECT_TRUE(soon([&] { return seen_by_another(0, 0) == F_UNLCK; }));
}

// Two processes have a lock each and wait for the other's: one gets EDEADLK, and then the other its lock.
TEST_F(Locks, WaitingInACircleIsRefused) {
  std::array<pid_t, 2> children{};
  Meeting both_have_one;
  for (int i = 0; i < 2; ++i) {
    children[i] = fork();
    if (children[i] != 0) continue;
    const File file(open(name_.c_str(), O_RDWR));
    if (lock(file.get(), F_WRLCK, i * 10, 10) != 0) _exit(1);
    alarm(60);  // the other one may never come
    if (!both_have_one.come(i)) _exit(2);
    alarm(60);
    _exit(lock(file.get(), F_WRLCK, (1 - i) * 10, 10, F_SETLKW));
  }
  std::multiset<int> results;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << "it waited for ever";
    results.insert(WEXITSTATUS(status));
  }
  EXPECT_EQ(results, (std::multiset<int>{0, EDEADLK}));
}

TEST_F(Locks, OfdLocksBelongToTheOpenFile) {
  const File a(open(name_.c_str(), O_RDWR)), b(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(a.get(), F_WRLCK, 0, 10, F_OFD_SETLK), 0);
  EXPECT_EQ(lock(b.get(), F_WRLCK, 5, 10, F_OFD_SETLK), EAGAIN);
  EXPECT_EQ(lock(b.get(), F_WRLCK, 10, 10, F_OFD_SETLK), 0);
  struct flock found = range(F_WRLCK, 0, 5);
  ASSERT_EQ(error_of(fcntl(b.get(), F_OFD_GETLK, &found)), 0);
  EXPECT_EQ(found.l_type, F_WRLCK);
}

TEST_F(Locks, OfdLocksStayWhenAnotherDescriptorIsClosed) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  File(open(name_.c_str(), O_RDWR)).close();
  close(dup(file.get()));
  EXPECT_EQ(seen_by_another(0, 0), F_WRLCK);
}

TEST_F(Locks, OfdLocksGoWithTheLastDescriptor) {
  File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(file.get(), F_WRLCK, 0, 0, F_OFD_SETLK), 0);
  const File copy(dup(file.get()));
  file.close();
  EXPECT_EQ(seen_by_another(0, 0), F_WRLCK);
  const_cast<File&>(copy).close();
  EXPECT_EQ(seen_by_another(0, 0), F_UNLCK);
}

// FUSE tells of the last close only after close(2) has returned.
TEST_F(Locks, LocksOfAClosedDescriptorAreNeverSeen) {
  const File other(open(name_.c_str(), O_RDWR));
  for (int i = 0; i < 100; ++i) {
    File file(open(name_.c_str(), O_RDWR));
    ASSERT_EQ(lock(file.get(), F_WRLCK, 0, 0, F_OFD_SETLK), 0);
    ASSERT_EQ(error_of(flock(file.get(), LOCK_EX | LOCK_NB)), 0);
    file.close();
    struct flock found = range(F_WRLCK, 0, 0);
    ASSERT_EQ(error_of(fcntl(other.get(), F_OFD_GETLK, &found)), 0);
    ASSERT_EQ(found.l_type, F_UNLCK) << i;
    ASSERT_EQ(lock(other.get(), F_WRLCK, 0, 0, F_OFD_SETLK), 0) << i;
    ASSERT_EQ(lock(other.get(), F_UNLCK, 0, 0, F_OFD_SETLK), 0);
    ASSERT_EQ(error_of(flock(other.get(), LOCK_EX | LOCK_NB)), 0) << i;
    ASSERT_EQ(error_of(flock(other.get(), LOCK_UN)), 0);
  }
}

TEST_F(Locks, OfdLocksAndProcessLocksConflict) {
  const File a(open(name_.c_str(), O_RDWR)), b(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(lock(a.get(), F_WRLCK, 0, 10, F_OFD_SETLK), 0);
  EXPECT_TRUE(is_refused(lock(b.get(), F_WRLCK, 0, 10)));
}

TEST_F(Locks, FlockIsOfTheOpenFile) {
  const File a(open(name_.c_str(), O_RDWR)), b(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(error_of(flock(a.get(), LOCK_EX | LOCK_NB)), 0);
  EXPECT_EQ(error_of(flock(b.get(), LOCK_EX | LOCK_NB)), EAGAIN);
  EXPECT_EQ(error_of(flock(b.get(), LOCK_SH | LOCK_NB)), EAGAIN);
  ASSERT_EQ(error_of(flock(a.get(), LOCK_SH | LOCK_NB)), 0);
  EXPECT_EQ(error_of(flock(b.get(), LOCK_SH | LOCK_NB)), 0);
  ASSERT_EQ(error_of(flock(a.get(), LOCK_UN)), 0);
  EXPECT_EQ(error_of(flock(b.get(), LOCK_EX | LOCK_NB)), 0);
}

TEST_F(Locks, FlockDoesNotSeeFcntlLocks) {
  const File a(open(name_.c_str(), O_RDWR)), b(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(error_of(flock(a.get(), LOCK_EX | LOCK_NB)), 0);
  EXPECT_EQ(lock(b.get(), F_WRLCK), 0);
}

TEST_F(Locks, FlockGoesWithTheLastDescriptor) {
  const File other(open(name_.c_str(), O_RDWR));
  {
    File file(open(name_.c_str(), O_RDWR));
    ASSERT_EQ(error_of(flock(file.get(), LOCK_EX | LOCK_NB)), 0);
    close(dup(file.get()));
    EXPECT_EQ(error_of(flock(other.get(), LOCK_EX | LOCK_NB)), EAGAIN);
  }
  EXPECT_EQ(error_of(flock(other.get(), LOCK_EX | LOCK_NB)), 0);
}

TEST_F(Locks, FlockWaits) {
  const File file(open(name_.c_str(), O_RDWR));
  ASSERT_EQ(error_of(flock(file.get(), LOCK_EX)), 0);
  const pid_t child = fork();
  if (child == 0) {
    const File other(open(name_.c_str(), O_RDWR));
    _exit(error_of(flock(other.get(), LOCK_EX)));
  }
  usleep(200'000);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, WNOHANG), 0) << "it should be waiting";
  ASSERT_EQ(error_of(flock(file.get(), LOCK_UN)), 0);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Locks, ManyOwnersTakeTurns) {
  constexpr int kProcesses = 4, kRounds = 50;
  make_file("counter", "0");
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    const File file(open(path("counter").c_str(), O_RDWR));
    for (int round = 0; round < kRounds; ++round) {
      if (lock(file.get(), F_WRLCK, 0, 0, F_SETLKW) != 0) _exit(1);
      char text[16] = {};
      if (pread(file.get(), text, sizeof(text) - 1, 0) <= 0) _exit(2);
      const std::string next = std::to_string(std::stoi(text) + 1);
      if (pwrite(file.get(), next.data(), next.size(), 0) <= 0) _exit(3);
      if (lock(file.get(), F_UNLCK) != 0) _exit(4);
    }
    _exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(content_of(path("counter")), std::to_string(kProcesses * kRounds));
}

}  // namespace
}  // namespace shima
