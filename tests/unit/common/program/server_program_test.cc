#include "common/program/server_program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "common/observe/log.h"
#include "common/release/release.h"

namespace shima {
namespace {

struct Options {
  std::string log_level;
  uint64_t port = 0;
};

const std::vector<OptionSpec>& specs() {
  static const std::vector<OptionSpec> all = {
      {.name = "log_level",
       .default_value = "info",
       .allowed = {"error", "warning", "info", "debug"},
       .help = "Least importance."},
      {.name = "port", .type = OptionType::kInteger, .default_value = "1", .max = 9, .help = "Where."}};
  return all;
}

class ServerPrograms : public ::testing::Test {
 protected:
  // The exit code; what was printed is in out_ and err_.
  int run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "server");
    const ServerProgram<Options> program{"shima-test", "A server of this test.", specs(),
                                         [](const Config& config) -> Result<Options> {
                                           if (config.number("port") == 7)
                                             return Status(Code::kInvalidArgument,
                                                           "port: found 7, wanted another");
                                           return Options{config.text("log_level"), config.number("port")};
                                         },
                                         [this](const Options& options) {
                                           served_ = options;
                                           return serve_ ? serve_() : Status::ok();
                                         }};
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run_server_program(program, static_cast<int>(arguments.size()), arguments.data());
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    return code;
  }
  void TearDown() override { set_log_level(LogLevel::kInfo); }

  std::function<Status()> serve_;
  std::optional<Options> served_;
  std::string out_, err_;
};

TEST_F(ServerPrograms, ServeWithTheirOptions) {
  EXPECT_EQ(run({"--port=3"}), 0);
  ASSERT_TRUE(served_.has_value());
  EXPECT_EQ(served_->port, 3u);
  EXPECT_EQ(out_ + err_, "");
}

TEST_F(ServerPrograms, ThatCannotServeSaySoWithExitCodeOne) {
  serve_ = [] { return Status(Code::kUnavailable, "no disk"); };
  EXPECT_EQ(run({}), 1);
  EXPECT_NE(err_.find("shima-test: cannot start: "), std::string::npos) << err_;
  EXPECT_NE(err_.find("no disk"), std::string::npos) << err_;
}

TEST_F(ServerPrograms, DoNotServeWithWrongOptions) {
  EXPECT_EQ(run({"--port=10"}), 2);
  EXPECT_EQ(err_.find("shima-test: --port: "), 0u) << err_;
  EXPECT_EQ(run({"--port=7"}), 2);
  EXPECT_EQ(err_, "shima-test: port: found 7, wanted another\n");
  EXPECT_FALSE(served_.has_value());
}

TEST_F(ServerPrograms, TellHelpVersionAndReferenceWithoutServing) {
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_NE(out_.find("A server of this test."), std::string::npos) << out_;
  EXPECT_EQ(run({"--port=10", "--version"}), 0);
  EXPECT_EQ(out_, "shima-test " + software_version() + "\n");
  EXPECT_EQ(run({"--print-reference"}), 0);
  EXPECT_EQ(out_, reference_table(specs()));
  EXPECT_FALSE(served_.has_value());
}

TEST_F(ServerPrograms, LogAsTheirOptionSays) {
  serve_ = [] {
    log(LogLevel::kDebug, "test", "quiet");
    log(LogLevel::kWarning, "test", "loud");
    return Status::ok();
  };
  ASSERT_EQ(run({}), 0);
  EXPECT_EQ(err_.find("quiet"), std::string::npos);
  EXPECT_NE(err_.find("loud"), std::string::npos);
  ASSERT_EQ(run({"--log_level=debug"}), 0);
  EXPECT_NE(err_.find("quiet"), std::string::npos);
  ASSERT_EQ(run({"--log_level=error"}), 0);
  EXPECT_EQ(err_, "");
}

TEST_F(ServerPrograms, EndWhenOneThreadHasGotTheSignal) {
  for (const int ending : {SIGTERM, SIGINT}) {
    serve_ = [ending] {
      kill(getpid(), ending);  // would end the process, were it not blocked
      kill(getpid(), SIGPIPE);
      wait_for_ending_signal();
      return Status::ok();
    };
    EXPECT_EQ(run({}), 0);
    EXPECT_NE(err_.find("stopping"), std::string::npos) << err_;
  }
}

}  // namespace
}  // namespace shima
