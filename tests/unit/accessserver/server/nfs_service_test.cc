// NFS is opened again under a new identity, and whoever waits for that does not keep the server from ending.
#include "accessserver/server/nfs_service.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <future>

namespace shima {
namespace {

using std::chrono::milliseconds;

AccessOptions options() {
  AccessOptions options;
  options.core_endpoints = {"127.0.0.1:1"};
  return options;
}

// While it lives this process opens no socket.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

class Service : public testing::Test {
 protected:
  const AccessOptions options_ = options();
  ClusterVolumes volumes_{options_};
  VolumeRegistry registry_{volumes_, {}};
  NfsService nfs_{volumes_, registry_, {.address = "127.0.0.1", .port = 0}, 1};
};

TEST_F(Service, IsOpenedAgainAtTheSamePortUnderANewIdentity) {
  ASSERT_TRUE(nfs_.open().is_ok());
  const uint16_t port = nfs_.port();
  nfs_.change_identity({});
  EXPECT_EQ(nfs_.port(), port);
  NfsService second(volumes_, registry_, {.address = "127.0.0.1", .port = port}, 1);
  EXPECT_FALSE(second.open().is_ok()) << "the port is taken";
}

TEST_F(Service, NobodyWaitsForThePortOnceTheServerIsToEnd) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers ask by pipes what memory they may read, and take all for invalid without";
#endif
  ASSERT_TRUE(nfs_.open().is_ok());
  std::future<void> changing;
  std::future<NfsStatistics> scrape;
  {
    const NoDescriptors none;
    changing = std::async(std::launch::async, [&] { nfs_.change_identity({}); });
    EXPECT_EQ(changing.wait_for(milliseconds(500)), std::future_status::timeout) << "there is no port";
    scrape = std::async(std::launch::async, [&] { return nfs_.statistics(); });
    nfs_.begin_stop();
    EXPECT_EQ(scrape.wait_for(milliseconds(60'000)), std::future_status::ready);
    EXPECT_EQ(changing.wait_for(milliseconds(60'000)), std::future_status::ready);
  }
  nfs_.stop();
}

}  // namespace
}  // namespace shima
