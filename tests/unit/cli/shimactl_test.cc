// Whole commands of shimactl against a real gRPC server with a fake core server behind it.
#include "cli/shimactl.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "accessserver/volume/grpc_layout.h"
#include "cli/exit_codes.h"
#include "common/release/release.h"
#include "coreserver/rpc/control_server.h"
#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

class Shimactl : public testing::Test {
 protected:
  Shimactl() : server_(std::move(ControlServer::start(facade_, "127.0.0.1", 0)).value()) {
    for (ServerInfo& server : facade_.servers) server.networks.control = {"127.0.0.1", server_->port()};
    ::unsetenv("SHIMA_ENDPOINTS");
  }

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  // Returns the exit code; what was printed is in out_ and err_.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"--endpoints", endpoint(), "--timeout", "60s"});
    return run_plain(arguments);
  }
  int run_plain(const std::vector<std::string>& arguments) {
    std::ostringstream out, err;
    const int code = run_shimactl(arguments, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }
  nlohmann::json json() const { return nlohmann::json::parse(out_); }

  FakeFacade facade_;
  std::unique_ptr<ControlServer> server_;
  std::string out_, err_;
};

TEST_F(Shimactl, StatusTellsWhatIsAway) {
  ASSERT_EQ(run({"status"}), 0) << err_;
  EXPECT_NE(out_.find("5 of 6 alive; away: site-c/core-1"), std::string::npos) << out_;
  EXPECT_NE(out_.find("1 of 2 healthy"), std::string::npos);
  EXPECT_NE(out_.find("group 3: site-c/core-1 is away"), std::string::npos);
  ASSERT_EQ(run({"status", "-o", "json"}), 0);
  EXPECT_EQ(json()["etcd"]["reachable"], true);
  EXPECT_EQ(json()["servers_alive"], 5);
  EXPECT_EQ(json()["volumes"][1]["healthy"], false);
}

TEST_F(Shimactl, SitesAreAddedAndListed) {
  ASSERT_EQ(run({"site", "add", "site-d", "--label", "zone=d", "--label", "rack=1", "--cidr",
                 "10.4.0.0/16,fd00::/64"}),
            0)
      << err_;
  ASSERT_EQ(run({"site", "list"}), 0);
  EXPECT_NE(out_.find("site-d  rack=1,zone=d  10.4.0.0/16,fd00::/64"), std::string::npos) << out_;
  ASSERT_EQ(run({"-o", "json", "site", "list"}), 0);
  EXPECT_EQ(json()["sites"][3]["labels"]["zone"], "d");
  EXPECT_EQ(run({"site", "add", "x", "--label", "novalue"}), 2);
}

TEST_F(Shimactl, ServersAreListedWithTheirAddresses) {
  ASSERT_EQ(run({"server", "list"}), 0);
  EXPECT_NE(out_.find("site-b/core-1"), std::string::npos);
  ASSERT_EQ(run({"server", "list", "-o", "json"}), 0);
  ASSERT_EQ(json()["servers"].size(), 6u);
  EXPECT_EQ(json()["servers"][0]["networks"]["control"], endpoint());
  EXPECT_EQ(json()["servers"][0]["alive"], true);
}

TEST_F(Shimactl, VolumeCreatePassesEveryOption) {
  ASSERT_EQ(
      run({"volume", "create", "db", "--copies", "2", "--sites", "site-b,site-c", "--home", "site-c", "--ack",
           "all", "--size", "10GiB", "--block-size", "64KiB", "--groups", "4", "--max-inodes", "1000"}),
      0)
      << err_;
  const VolumeSpec& spec = facade_.last_spec;
  EXPECT_EQ(spec.name, "db");
  EXPECT_EQ(spec.copies, 2u);
  EXPECT_EQ(spec.sites, (std::vector<std::string>{"site-b", "site-c"}));
  EXPECT_EQ(spec.home, "site-c");
  EXPECT_EQ(spec.ack, replication::AckMode::kAll);
  EXPECT_EQ(spec.size_bytes, 10ull << 30);
  EXPECT_EQ(spec.block_size, 65536u);
  EXPECT_EQ(spec.groups, 4u);
  EXPECT_EQ(spec.max_inodes, 1000u);
}

TEST_F(Shimactl, LabelsAreSetAtCreationAndShown) {
  ASSERT_EQ(run({"volume", "create", "db", "--label", "team=green", "--label", "note=a=b, c"}), 0) << err_;
  EXPECT_NE(out_.find("team=green"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "show", "db", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["labels"], (nlohmann::json{{"note", "a=b, c"}, {"team", "green"}}));
  ASSERT_EQ(run({"volume", "list", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["volumes"][0]["labels"]["team"], "green");
}

TEST_F(Shimactl, LabelsThatCannotBeAreRefused) {
  EXPECT_EQ(run({"volume", "create", "db", "--label", "team"}), 2);
  EXPECT_EQ(run({"volume", "create", "db", "--label", "=green"}), 2);
  for (const char* label : {"Team=green", "team=gr\xc3\xbcn", "-team=green"}) {
    EXPECT_NE(run({"volume", "create", "db", "--label", label}), 0) << label;
    EXPECT_NE(err_.find("label"), std::string::npos) << err_;
  }
  EXPECT_NE(run({"volume", "create", "db", "--label", "team=green", "--label", "team=blue"}), 0);
  EXPECT_NE(err_.find("twice"), std::string::npos) << err_;
  EXPECT_TRUE(facade_.volumes.empty());
}

TEST_F(Shimactl, SetSizeRaisesTheQuotaAndNeverLowersIt) {
  ASSERT_EQ(run({"volume", "create", "db", "--size", "1GiB"}), 0) << err_;
  ASSERT_EQ(run({"volume", "set-size", "db", "2GiB", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["size_bytes"], 2ull << 30);
  EXPECT_EQ(json()["max_inodes"], 0u);
  EXPECT_EQ(run({"volume", "set-size", "absent", "2GiB"}), 4);
  EXPECT_EQ(run({"volume", "set-size", "db"}), 2);
  EXPECT_EQ(run({"volume", "set-size", "db", "much"}), 2);
}

TEST_F(Shimactl, QuotasAreSetEachForItself) {
  ASSERT_EQ(run({"volume", "create", "db", "--size", "1GiB"}), 0) << err_;
  ASSERT_EQ(run({"volume", "set-quota", "db", "--max-inodes", "500", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["size_bytes"], 1ull << 30);
  EXPECT_EQ(json()["max_inodes"], 500u);
  ASSERT_EQ(run({"volume", "set-quota", "db", "--size", "2GiB", "--max-inodes", "0", "-o", "json"}), 0);
  EXPECT_EQ(json()["size_bytes"], 2ull << 30);
  EXPECT_EQ(json()["max_inodes"], 0u);
  EXPECT_EQ(run({"volume", "set-quota", "db"}), 2) << "one of them is wanted";
  EXPECT_EQ(run({"volume", "set-quota", "db", "--size", "0"}), 2);
  EXPECT_EQ(run({"volume", "set-quota", "db", "--max-inodes", "-1"}), 2);
}

TEST_F(Shimactl, NodesArePublishedShownAndTakenAway) {
  ASSERT_EQ(run({"volume", "create", "db", "--published-only", "--size", "1GiB"}), 0) << err_;
  EXPECT_TRUE(facade_.last_spec.published_only);
  EXPECT_NE(out_.find("published nodes only: 0"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "publish", "db", "node-2", "--site", "site-b", "--read-only", "--address",
                 "10.0.0.7", "--address", "fd00::7", "-o", "json"}),
            0)
      << err_;
  EXPECT_EQ(json()["publication"], 2u);
  EXPECT_EQ(json()["addresses"].size(), 2u);
  ASSERT_EQ(run({"volume", "publish", "db", "node-1"}), 0) << err_;
  EXPECT_NE(out_.find("node-1, site site-a, writable: publication 3"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "show", "db"}), 0);
  EXPECT_NE(out_.find("node-2            2  site-b  read   10.0.0.7,fd00::7"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "show", "db", "-o", "json"}), 0);
  EXPECT_EQ(json()["publications"][0]["node"], "node-1");
  EXPECT_EQ(json()["publications"][1]["read_only"], true);
  EXPECT_EQ(run({"volume", "publish", "db", "node-2"}), 5) << "writable now";
  EXPECT_EQ(run({"volume", "publish", "db", "node 3"}), 1) << err_;
  EXPECT_EQ(run({"volume", "publish", "absent", "node-1"}), 4);
  EXPECT_EQ(run({"volume", "publish", "db"}), 2);
  ASSERT_EQ(run({"volume", "unpublish", "db", "node-1"}), 0) << err_;
  EXPECT_EQ(run({"volume", "unpublish", "db"}), 2) << "all nodes only by --all";
  EXPECT_EQ(run({"volume", "unpublish", "db", ""}), 2);
  EXPECT_EQ(run({"volume", "unpublish", "db", "node-2", "--all"}), 2);
  ASSERT_EQ(run({"volume", "show", "db", "-o", "json"}), 0);
  EXPECT_EQ(json()["publications"].size(), 1u);
  ASSERT_EQ(run({"volume", "unpublish", "db", "--all", "-o", "json"}), 0) << err_;
  EXPECT_TRUE(json()["publications"].empty());
  EXPECT_EQ(run({"volume", "unpublish", "absent", "--all"}), 4);
}

TEST_F(Shimactl, AVolumeInUseIsDeletedOnlyByForce) {
  ASSERT_EQ(run({"volume", "create", "db", "--published-only", "--size", "1GiB"}), 0) << err_;
  ASSERT_EQ(run({"volume", "publish", "db", "node-1"}), 0) << err_;
  EXPECT_EQ(run({"volume", "delete", "db"}), 6);
  EXPECT_NE(err_.find("volume db is published at node-1"), std::string::npos) << err_;
  EXPECT_NE(err_.find("--force"), std::string::npos) << err_;
  ASSERT_EQ(run({"volume", "delete", "db", "--force"}), 0) << err_;
  EXPECT_EQ(run({"volume", "show", "db"}), 4);
}

TEST_F(Shimactl, AVolumeForPublishedNodesIsNotReadOrWrittenFromHere) {
  ASSERT_EQ(run({"volume", "create", "db", "--published-only", "--size", "1GiB"}), 0) << err_;
  for (const auto& command : std::vector<std::vector<std::string>>{
           {"volume", "checksum", "db"}, {"volume", "export", "db", "/nonexistent/out"}}) {
    EXPECT_EQ(run(command), 6) << err_;
    EXPECT_NE(err_.find("only by nodes that it is published at"), std::string::npos) << err_;
  }
}

TEST_F(Shimactl, AFileIsNamedByInodeAndLengthTogether) {
  ASSERT_EQ(run({"volume", "create", "db", "--size", "1GiB"}), 0) << err_;
  EXPECT_EQ(run({"volume", "checksum", "db", "--inode", "7"}), 2);
  EXPECT_NE(err_.find("--length"), std::string::npos) << err_;
  EXPECT_EQ(run({"volume", "export", "db", "out", "--length", "1MiB"}), 2);
  EXPECT_NE(err_.find("--inode"), std::string::npos) << err_;
  EXPECT_EQ(run({"volume", "checksum", "db", "--inode", "0", "--length", "1MiB"}), 2);
}

TEST_F(Shimactl, VolumesAreListedShownAndDeleted) {
  ASSERT_EQ(run({"volume", "create", "db", "--size", "1GiB"}), 0) << err_;
  ASSERT_EQ(run({"volume", "list"}), 0);
  EXPECT_NE(out_.find("1.0 GiB"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "show", "db"}), 0);
  EXPECT_NE(out_.find("secondary  site-a/core-1"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "show", "db", "-o", "json"}), 0);
  EXPECT_EQ(json()["groups"].size(), 8u);
  EXPECT_EQ(json()["size_bytes"], 1ull << 30);
  EXPECT_EQ(json()["servers"].size(), 4u);
  ASSERT_EQ(run({"volume", "delete", "db"}), 0);
  ASSERT_EQ(run({"volume", "list", "-o", "json"}), 0);
  EXPECT_TRUE(json()["volumes"].empty());
}

TEST_F(Shimactl, ErrorsHaveTheirOwnExitCodes) {
  EXPECT_EQ(run({"volume", "show", "absent"}), 4);
  EXPECT_NE(err_.find("not-found: there is no volume absent"), std::string::npos) << err_;
  EXPECT_TRUE(out_.empty());
  EXPECT_EQ(run({"volume", "create", "db"}), 0);
  EXPECT_EQ(run({"volume", "create", "db"}), 5);
  const std::pair<Code, int> table[] = {
      {Code::kInvalidArgument, 1}, {Code::kInternal, 1},           {Code::kPermissionDenied, 1},
      {Code::kUnavailable, 3},     {Code::kFailedPrecondition, 6}, {Code::kConflict, 6},
      {Code::kNoSpace, 7},         {Code::kDeadlineExceeded, 8},   {Code::kCorrupt, 9}};
  for (const auto& [code, expected] : table) {
    facade_.failure = Status(code, "because");
    EXPECT_EQ(run({"volume", "list"}), expected) << static_cast<int>(code);
    EXPECT_NE(err_.find("because"), std::string::npos);
  }
}

TEST_F(Shimactl, AWrongCommandLineIsTwoAndSendsNothing) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"nonsense"}), 2);
  EXPECT_EQ(run({"volume"}), 2);
  EXPECT_EQ(run({"volume", "create"}), 2);
  EXPECT_EQ(run({"volume", "create", "db", "--size", "10GB"}), 2);
  EXPECT_NE(err_.find("10GiB"), std::string::npos) << err_;
  EXPECT_EQ(run({"volume", "create", "db", "--block-size", "96KiB"}), 2);
  EXPECT_EQ(run({"volume", "create", "db", "--ack", "some"}), 2);
  EXPECT_EQ(run({"volume", "create", "db", "--groups", "0"}), 2);
  EXPECT_EQ(run({"volume", "list", "-o", "xml"}), 2);
  EXPECT_EQ(run({"volume", "list", "--timeout", "never"}), 2);
  EXPECT_EQ(run_plain({"volume", "list", "--endpoints", "nohost"}), 2);
  EXPECT_EQ(run_plain({"volume", "list"}), 2);
  EXPECT_NE(err_.find("SHIMA_ENDPOINTS"), std::string::npos) << err_;
  EXPECT_EQ(facade_.calls, 0);
}

TEST_F(Shimactl, EndpointsMayComeFromTheEnvironment) {
  ::setenv("SHIMA_ENDPOINTS", ("127.0.0.1:1," + endpoint()).c_str(), 1);
  EXPECT_EQ(run_plain({"volume", "list"}), 0) << err_;
  ::unsetenv("SHIMA_ENDPOINTS");
}

TEST_F(Shimactl, NobodyThereIsThree) {
  EXPECT_EQ(run_plain({"--endpoints", "127.0.0.1:1", "--timeout", "500ms", "status"}), 3);
  EXPECT_NE(err_.find("127.0.0.1:1"), std::string::npos);
}

TEST_F(Shimactl, HelpNamesTheExitCodes) {
  EXPECT_EQ(run_plain({"--help"}), 0);
  EXPECT_NE(out_.find("already exists"), std::string::npos);
  EXPECT_EQ(run_plain({"volume", "import", "--help"}), 0);
}

TEST_F(Shimactl, TellsItsVersionWithoutAServer) {
  EXPECT_EQ(run_plain({"--version"}), 0);
  EXPECT_EQ(out_, "shimactl " + software_version() + "\n");
}

TEST_F(Shimactl, StatsOfANamedServerAreAskedThere) {
  ASSERT_EQ(run({"stats"}), 0);
  EXPECT_NE(out_.find("writes_bytes"), std::string::npos);
  EXPECT_NE(out_.find("3.0 MiB"), std::string::npos);
  ASSERT_EQ(run({"stats", "site-b/core-1", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["values"][0]["value"], 12);
  EXPECT_EQ(json()["disks"][0]["free_bytes"], 4ull << 30);
  EXPECT_EQ(json()["disks"][0]["file_system"], "boot-1:8:1");
  EXPECT_EQ(run({"stats", "site-x/core-0"}), 4);
}

TEST_F(Shimactl, ReplicationShowAsksEveryServerAndNamesTheSilentOnes) {
  ASSERT_EQ(run({"volume", "create", "db", "--groups", "1"}), 0);
  GroupReport group;
  group.index = GroupIndex(0);
  group.role = replication::Role::kPrimary;
  group.serving = true;
  group.committed = group.durable = {Term(2), Sequence(10)};
  group.members = {{.server = ServerId(3),
                    .site = "site-b",
                    .connected = true,
                    .whole = true,
                    .durable = {Term(2), Sequence(8)},
                    .lag_bytes = 2048,
                    .lag_seconds = 0.25}};
  facade_.groups = {group};
  facade_.servers[4].networks.control = {"127.0.0.1", 1};
  ASSERT_EQ(run({"replication", "show", "db", "--groups"}), 0) << err_;
  EXPECT_NE(out_.find("site-c/core-0 did not answer"), std::string::npos) << out_;
  EXPECT_NE(out_.find("2.0 KiB"), std::string::npos) << out_;
  ASSERT_EQ(run({"replication", "show", "db", "-o", "json"}), 0);
  EXPECT_EQ(json()["complete"], false);
  EXPECT_EQ(json()["sites"][2]["lag_bytes"], 2048);
  EXPECT_EQ(json()["unreachable"][0]["server"], "site-c/core-0");
  ASSERT_EQ(run({"replication", "show", "db", "--watch", "10ms", "--count", "3", "-o", "json"}), 0);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3);
  EXPECT_EQ(run({"replication", "show", "absent"}), 4);
}

TEST_F(Shimactl, TransfersThatCannotBeAreRefusedWithBothNumbers) {
  const std::string path =
      std::filesystem::temp_directory_path() / ("shimactl-" + std::to_string(::getpid()));
  std::ofstream(path) << std::string(5000, 'x');
  ASSERT_EQ(run({"volume", "create", "small", "--size", "4096"}), 0);
  EXPECT_EQ(run({"volume", "import", "small", path}), 6);
  EXPECT_NE(err_.find("5000"), std::string::npos) << err_;
  EXPECT_NE(err_.find("4096"), std::string::npos) << err_;
  EXPECT_EQ(run({"volume", "import", "absent", path}), 4);
  EXPECT_EQ(run({"volume", "import", "small", path + "-absent"}), 10);
  std::filesystem::resize_file(path, 0);
  EXPECT_EQ(run({"volume", "import", "small", path}), 1);
  ASSERT_EQ(run({"volume", "create", "empty"}), 0);
  EXPECT_EQ(run({"volume", "export", "empty", path}), 6);
  EXPECT_EQ(run({"volume", "checksum", "small", "--site", "site-x"}), 4);
  EXPECT_NE(err_.find("site-a, site-b, site-c"), std::string::npos) << err_;
  std::filesystem::remove(path);
}

TEST_F(Shimactl, TheLayoutNamesEveryMembersServerWithThePrimaryFirst) {
  ASSERT_EQ(run({"volume", "create", "db", "--size", "1MiB", "--ack", "all"}), 0);
  std::reverse(facade_.volumes["db"].groups[3].members.begin(),
               facade_.volumes["db"].groups[3].members.end());
  auto source = make_grpc_layout_source({{"127.0.0.1:1", endpoint()}, 2000});
  auto layout = source->fetch("db");
  ASSERT_TRUE(layout.is_ok()) << layout.status().to_string();
  EXPECT_EQ(layout->volume, VolumeId(1));
  EXPECT_EQ(layout->ack, AckPolicy::kAll);
  EXPECT_EQ(layout->size_bytes, 1u << 20);
  ASSERT_EQ(layout->groups.size(), 8u);
  const GroupLayout& group = layout->groups[3];
  EXPECT_EQ(group.term, Term(2));
  ASSERT_EQ(group.members.size(), 4u);
  EXPECT_EQ(group.members[0].kind, MemberKind::kPrimary);
  EXPECT_EQ(group.members[0].server_name, "site-a/core-0");
  EXPECT_EQ(group.members[0].host, "127.0.0.1");
  EXPECT_EQ(group.members[0].port, 7001);
  EXPECT_EQ(source->fetch("absent").status().code(), Code::kNotFound);
  facade_.volumes["db"].deleting = true;
  EXPECT_EQ(source->fetch("db").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace shima
