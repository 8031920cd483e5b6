#include "csi/mounter/mount_process.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace shima {
namespace {

class MountProcess : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / "shima-mounter-XXXXXX";
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

MountRecord good_request() {
  MountRecord record;
  record.path = "/var/lib/kubelet/x";
  record.volume = "vm1";
  record.node = "node-1";
  record.publication = 7;
  return record;
}

TEST(MountRequest, HostileArgumentsAreRefusedBeforeTheyBecomeOnes) {
  const std::vector<std::string> roots = {"/var/lib/kubelet"};
  EXPECT_TRUE(check_mount_request(good_request(), roots).is_ok());
  const auto refused = [&](const std::function<void(MountRecord&)>& spoil) {
    MountRecord record = good_request();
    spoil(record);
    return check_mount_request(record, roots).code() == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused([](MountRecord& r) { r.path = "/etc"; }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.path = "/var/lib/kubelet/../../etc"; }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.volume = ""; }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.volume = "a --read_only"; }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.volume = std::string(64, 'a'); }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.node = "a/b"; }));
  EXPECT_TRUE(refused([](MountRecord& r) { r.node = ""; }));
}

TEST(MountRequest, CommandNamesVolumeNodeAndPublication) {
  MounterOptions options;
  options.accessserver_path = "/usr/bin/shima-accessserver";
  options.site = "site-a";
  options.core_endpoints = {"a:1", "b:2"};
  const std::vector<std::string> command = mount_command(options, good_request());
  const std::vector<std::string> wanted = {"/usr/bin/shima-accessserver",
                                           "--name=site-a/mount-" + mount_id("/var/lib/kubelet/x"),
                                           "--core.endpoints=a:1,b:2",
                                           "--mount=/var/lib/kubelet/x",
                                           "--volume=vm1",
                                           "--node=node-1",
                                           "--publication=7"};
  EXPECT_EQ(command, wanted);
}

TEST_F(MountProcess, IsRecordedBeforeItBeginsAndLogsToItsFile) {
  bool began_before = true;
  const auto process = start_mount_process(
      {"/bin/sh", "-c", "echo hello; exit 3"}, path_ + "/log", [&](const ProcessIdentity& identity) {
        usleep(20'000);
        began_before = !end_of_file(path_ + "/log", 100).empty();
        return identity.pid > 0 ? Status::ok() : Status(Code::kIo, "no pid");
      });
  ASSERT_TRUE(process.is_ok()) << process.status().to_string();
  int status = 0;
  ASSERT_EQ(waitpid(process->pid, &status, 0), process->pid);
  EXPECT_FALSE(began_before);
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_EQ(end_of_file(path_ + "/log", 100), "hello\n");
}

TEST_F(MountProcess, OneThatCannotBeRecordedNeverBegins) {
  const auto process =
      start_mount_process({"/bin/sh", "-c", "touch " + path_ + "/began"}, path_ + "/log",
                          [](const ProcessIdentity&) { return Status(Code::kNoSpace, "disk full"); });
  EXPECT_EQ(process.status().code(), Code::kNoSpace);
  usleep(50'000);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/began"));
}

TEST_F(MountProcess, LogsAreKeptShortAndShownByWholeLines) {
  std::ofstream log(path_ + "/log");
  for (int i = 0; i < 20'000; ++i) log << "line " << i << "\x1b[0m\n";
  log.close();
  EXPECT_EQ(end_of_file(path_ + "/log", 20), "line 19999?[0m\n");
  limit_log(path_ + "/log", 1 << 10);
  EXPECT_LE(std::filesystem::file_size(path_ + "/log"), 64u << 10);
  EXPECT_EQ(end_of_file(path_ + "/log", 20), "line 19999?[0m\n");
}

TEST(MountRecordText, ComesBackAsItWas) {
  MountRecord record = good_request();
  record.process = {4711, 815, "boot"};
  record.connection = 52;
  const auto back = mount_record_from_json(to_json(record));
  ASSERT_TRUE(back.is_ok()) << back.status().to_string();
  EXPECT_TRUE(back->same_mount(record));
  EXPECT_EQ(back->process, record.process);
  EXPECT_EQ(back->connection, 52u);
}

TEST(MountRecordText, HostileTextIsRefusedAndNeverThrows) {
  const std::string good = to_json(good_request());
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("{}"), std::string("{\"magic\":1}")}) {
    EXPECT_EQ(mount_record_from_json(text).status().code(), Code::kCorrupt) << text;
  }
  for (size_t end = 0; end + 2 < good.size(); ++end)
    EXPECT_FALSE(mount_record_from_json(good.substr(0, end)).is_ok());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string spoiled = good;
    spoiled[at] = '9';
    const auto record = mount_record_from_json(spoiled);  // a digit in a name may well be good
    if (record) {
      EXPECT_FALSE(record->path.empty());
    }
  }
}

}  // namespace
}  // namespace shima
