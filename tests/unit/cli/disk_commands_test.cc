// shimactl server disks and forget-disk, against a real gRPC server with a fake core server behind it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/exit_codes.h"
#include "cli/shimactl.h"
#include "coreserver/rpc/control_server.h"
#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

class DiskCommands : public testing::Test {
 protected:
  DiskCommands() : server_(std::move(ControlServer::start(facade_, "127.0.0.1", 0)).value()) {}

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--endpoints", "127.0.0.1:" + std::to_string(server_->port())});
    std::ostringstream out, err;
    const int code = run_shimactl(arguments, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  FakeFacade facade_;
  std::unique_ptr<ControlServer> server_;
  std::string out_, err_;
};

TEST_F(DiskCommands, ListsDisksWithTheIdsThatForgetTakes) {
  ASSERT_EQ(run({"server", "disks"}), 0) << err_;
  EXPECT_NE(out_.find("site-a/core-1  0000000000000abc  /disk-0  in use"), std::string::npos) << out_;
  ASSERT_EQ(run({"-o", "json", "server", "disks"}), 0);
  EXPECT_EQ(nlohmann::json::parse(out_)["servers"][0]["disks"][0]["id"], "0000000000000abc");
}

TEST_F(DiskCommands, ForgetsADiskOnce) {
  ASSERT_EQ(run({"server", "forget-disk", "site-a/core-1", "0000000000000abc"}), 0) << err_;
  EXPECT_NE(out_.find("is forgotten: the server may start with an empty one"), std::string::npos) << out_;
  ASSERT_EQ(run({"server", "forget-disk", "site-a/core-1", "0000000000000abc"}), 0);
  EXPECT_NE(out_.find("was forgotten before"), std::string::npos) << out_;
  ASSERT_EQ(run({"server", "disks"}), 0);
  EXPECT_NE(out_.find("forgotten"), std::string::npos) << out_;
}

TEST_F(DiskCommands, RefusesWhatIsNoDisk) {
  EXPECT_EQ(run({"server", "forget-disk", "site-a/core-1", "abc"}),
            static_cast<int>(exit_code_of(Code::kInvalidArgument)));
  EXPECT_NE(err_.find("16 digits"), std::string::npos) << err_;
  EXPECT_EQ(run({"server", "forget-disk", "site-a/core-1", "00000000000000ff"}),
            static_cast<int>(exit_code_of(Code::kNotFound)));
  EXPECT_EQ(run({"server", "forget-disk", "site-a/core-1"}), static_cast<int>(ExitCode::kUsage));
}

}  // namespace
}  // namespace shima
