// The services and the client, over a real gRPC server on the loopback and a fake core server behind it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "coreserver/rpc/control_client.h"
#include "coreserver/rpc/control_server.h"
#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

using std::chrono::steady_clock;

// A TCP port that accepts and never says anything.
class SilentPort {
 public:
  SilentPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{
        .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { ::close(fd_); }
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  uint16_t port_ = 0;
};

class ControlPlane : public testing::Test {
 protected:
  ControlPlane() : server_(std::move(ControlServer::start(facade_, "127.0.0.1", 0)).value()) {}

  std::string endpoint() const { return "127.0.0.1:" + std::to_string(server_->port()); }
  ControlClient client(std::vector<std::string> endpoints, int timeout_ms = 60'000) {
    return ControlClient({std::move(endpoints), timeout_ms, 20'000});
  }
  static volume::v1::CreateVolumeRequest create(const std::string& name) {
    volume::v1::CreateVolumeRequest request;
    request.set_name(name);
    return request;
  }

  FakeFacade facade_;
  std::unique_ptr<ControlServer> server_;
};

TEST_F(ControlPlane, CreateFillsInTheDefaults) {
  auto reply = client({endpoint()}).create_volume(create("db"));
  ASSERT_TRUE(reply.is_ok()) << reply.status().to_string();
  EXPECT_EQ(reply->record().magic(), "shima-volume");
  EXPECT_EQ(facade_.last_spec.block_size, 1u << 20);
  EXPECT_EQ(facade_.last_spec.groups, 8u);
  EXPECT_EQ(facade_.last_spec.home, "site-a");
  EXPECT_EQ(facade_.last_spec.ack, replication::AckMode::kLocal);
}

TEST_F(ControlPlane, TheFirstNamedSiteIsTheHomeUnlessAnotherIsSaid) {
  auto request = create("db");
  request.add_sites("site-c");
  request.add_sites("site-b");
  ASSERT_TRUE(client({endpoint()}).create_volume(request).is_ok());
  EXPECT_EQ(facade_.last_spec.home, "site-c");
  request.set_name("web");
  request.set_home("site-b");
  ASSERT_TRUE(client({endpoint()}).create_volume(request).is_ok());
  EXPECT_EQ(facade_.last_spec.home, "site-b");
}

TEST_F(ControlPlane, AnAckModeThatDoesNotExistIsRefused) {
  auto request = create("db");
  request.set_ack(static_cast<cluster::v1::AckMode>(9));
  EXPECT_EQ(client({endpoint()}).create_volume(request).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(facade_.calls, 0);
}

TEST_F(ControlPlane, GetVolumeCarriesRecordServersAndStaleness) {
  ASSERT_TRUE(client({endpoint()}).create_volume(create("db")).is_ok());
  volume::v1::GetVolumeRequest request;
  request.set_name("db");
  auto reply = client({endpoint()}).get_volume(request);
  ASSERT_TRUE(reply.is_ok());
  EXPECT_EQ(reply->record().groups_size(), 8);
  EXPECT_EQ(reply->record().groups(7).members(3).site(), "site-c");
  ASSERT_EQ(reply->servers_size(), 4);
  EXPECT_EQ(reply->servers(0).networks().client().port(), 7001u);
  EXPECT_EQ(reply->stale_ms(), 7u);
}

TEST_F(ControlPlane, TheGroupOfAVolumesMetadataIsListedAsOneOfItsGroups) {
  ASSERT_TRUE(client({endpoint()}).create_volume(create("db")).is_ok());
  facade_.volumes["db"].groups.back().metadata = true;
  const auto listed = client({endpoint()}).list_volumes({});
  ASSERT_TRUE(listed.is_ok());
  EXPECT_EQ(listed->volumes(0).groups(), 7u);
  EXPECT_EQ(listed->volumes(0).all_groups(), 8u);
}

TEST_F(ControlPlane, NodesArePublishedAndTakenAway) {
  auto wanted = create("db");
  wanted.set_published_only(true);
  ASSERT_TRUE(client({endpoint()}).create_volume(wanted)->record().published_only());
  volume::v1::PublishRequest request;
  request.set_name("db");
  request.mutable_publication()->set_node("node-1");
  request.mutable_publication()->set_site("site-b");
  request.mutable_publication()->add_addresses("10.0.0.9");
  request.mutable_publication()->set_id(77);
  auto made = client({endpoint()}).publish(request);
  ASSERT_TRUE(made.is_ok()) << made.status().to_string();
  EXPECT_EQ(made->publication().id(), 2u) << "what the caller says is not looked at";
  EXPECT_EQ(made->publication().addresses(0), "10.0.0.9");
  EXPECT_EQ(made->record().publications_size(), 1);
  request.mutable_publication()->set_read_only(true);
  EXPECT_EQ(client({endpoint()}).publish(request).status().code(), Code::kAlreadyExists);
  auto listed = client({endpoint()}).list_volumes({});
  ASSERT_TRUE(listed.is_ok());
  EXPECT_TRUE(listed->volumes(0).published_only());
  EXPECT_EQ(listed->volumes(0).publications(0).node(), "node-1");

  volume::v1::UnpublishRequest away;
  away.set_name("db");
  away.set_node("node-1");
  EXPECT_EQ(client({endpoint()}).unpublish(away)->record().publications_size(), 0);
  EXPECT_EQ(facade_.last_timeout_ms, 10000u);
  away.set_timeout_ms(~0u);
  EXPECT_TRUE(client({endpoint()}).unpublish(away).is_ok());
  EXPECT_EQ(facade_.last_timeout_ms, 60000u) << "no call holds a thread for ever";
}

TEST_F(ControlPlane, QuotasThatAreNotNamedStay) {
  auto wanted = create("db");
  wanted.set_max_inodes(9);
  wanted.set_size_bytes(4096);
  ASSERT_TRUE(client({endpoint()}).create_volume(wanted).is_ok());
  volume::v1::SetSizeRequest request;
  request.set_name("db");
  request.set_size_bytes(8192);
  EXPECT_EQ(client({endpoint()}).set_size(request)->record().max_inodes(), 9u);
  request.set_size_bytes(0);
  request.set_max_inodes(0);
  auto changed = client({endpoint()}).set_size(request);
  ASSERT_TRUE(changed.is_ok());
  EXPECT_EQ(changed->record().max_inodes(), 0u);
  EXPECT_EQ(changed->record().size_bytes(), 8192u);
}

TEST_F(ControlPlane, OneNamedServerIsAskedForARevision) {
  auto reply = wait_for_revision(endpoint(), 60, 30'000, 30'000);
  ASSERT_TRUE(reply.is_ok()) << reply.status().to_string();
  EXPECT_EQ(reply->revision(), 70);
  EXPECT_EQ(reply->server_id(), 1u);
  EXPECT_EQ(reply->incarnation(), 3u);
  EXPECT_LT(facade_.last_timeout_ms, 30'000u);
  EXPECT_EQ(facade_.last_committed, VolumeId());
  EXPECT_TRUE(wait_for_revision(endpoint(), 60, 30'000, 30'000, 11).is_ok());
  EXPECT_EQ(facade_.last_committed, VolumeId(11));
  EXPECT_EQ(wait_for_revision(endpoint(), 71, 30'000, 30'000).status().code(), Code::kDeadlineExceeded);
  SilentPort silent;
  const auto start = steady_clock::now();
  EXPECT_FALSE(wait_for_revision(silent.endpoint(), 60, 300).is_ok());
  EXPECT_LT(steady_clock::now() - start, std::chrono::seconds(20));
  server_->stop();
  EXPECT_EQ(wait_for_revision(endpoint(), 60, 30'000, 30'000).status().code(), Code::kUnavailable);
}

TEST_F(ControlPlane, EveryErrorCodeArrivesExactly) {
  for (int number = 1; number <= static_cast<int>(kLastCode); ++number) {
    const Code code = static_cast<Code>(number);
    facade_.failure = Status(code, "because");
    auto reply = client({endpoint()}).list_volumes({});
    EXPECT_EQ(reply.status().code(), code) << number;
    EXPECT_NE(reply.status().message().find("because"), std::string::npos);
  }
}

TEST_F(ControlPlane, GroupsAndTheirMembersSurviveTheWire) {
  ASSERT_TRUE(client({endpoint()}).create_volume(create("db")).is_ok());
  GroupReport group;
  group.index = GroupIndex(4);
  group.role = replication::Role::kPrimary;
  group.term = Term(2);
  group.serving = true;
  group.state = "serving";
  group.committed = {Term(2), Sequence(100)};
  group.journal_bytes = 4096;
  MemberReport member;
  member.server = ServerId(3);
  member.site = "site-b";
  member.role = replication::Role::kRemote;
  member.connected = true;
  member.durable = {Term(2), Sequence(90)};
  member.lag_bytes = 1000;
  member.lag_seconds = 0.5;
  group.members = {member};
  facade_.groups = {group};
  replication::v1::ShowGroupsRequest request;
  request.set_volume("db");
  auto reply = client({endpoint()}).show_groups(request);
  ASSERT_TRUE(reply.is_ok());
  EXPECT_EQ(reply->server(), "site-a/core-0");
  ASSERT_EQ(reply->groups_size(), 1);
  EXPECT_EQ(reply->groups(0).index(), 4u);
  EXPECT_EQ(reply->groups(0).committed().sequence(), 100u);
  ASSERT_EQ(reply->groups(0).members_size(), 1);
  EXPECT_EQ(reply->groups(0).members(0).durable().sequence(), 90u);
  EXPECT_DOUBLE_EQ(reply->groups(0).members(0).lag_seconds(), 0.5);
  EXPECT_FALSE(reply->groups(0).members(0).whole());
}

TEST_F(ControlPlane, AMessageAboveFourMebibytesIsRefused) {
  auto request = create(std::string(5 << 20, 'x'));
  auto reply = client({endpoint()}).create_volume(request);
  EXPECT_EQ(reply.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(facade_.calls, 0);
}

TEST_F(ControlPlane, EndpointsAreTriedInOrderUntilOneAnswers) {
  auto control = client({"127.0.0.1:1", endpoint()});
  ASSERT_TRUE(control.list_volumes({}).is_ok());
  EXPECT_EQ(control.answered_by(), endpoint());
}

TEST_F(ControlPlane, AServerThatSaysItIsUnavailableIsPassedOver) {
  FakeFacade sick;
  sick.failure = Status(Code::kUnavailable, "etcd does not answer");
  auto other = std::move(ControlServer::start(sick, "127.0.0.1", 0)).value();
  const std::string sick_endpoint = "127.0.0.1:" + std::to_string(other->port());
  ASSERT_TRUE(client({sick_endpoint, endpoint()}).create_volume(create("db")).is_ok());
  EXPECT_EQ(sick.calls, 1);
  auto reply = client({sick_endpoint}).list_volumes({});
  EXPECT_EQ(reply.status().code(), Code::kUnavailable);
  EXPECT_NE(reply.status().message().find("etcd does not answer"), std::string::npos);
}

TEST_F(ControlPlane, WhenNobodyAnswersEachEndpointIsNamed) {
  auto reply = ControlClient({{"127.0.0.1:1", "127.0.0.1:2"}, 60'000, 5000}).list_volumes({});
  EXPECT_EQ(reply.status().code(), Code::kUnavailable);
  EXPECT_NE(reply.status().message().find("127.0.0.1:1"), std::string::npos);
  EXPECT_NE(reply.status().message().find("127.0.0.1:2"), std::string::npos);
}

TEST_F(ControlPlane, ASilentServerDoesNotKeepAReadFromTheNextOne) {
  SilentPort silent;
  const auto begin = steady_clock::now();
  EXPECT_TRUE(client({silent.endpoint(), endpoint()}, 40'000).list_volumes({}).is_ok());
  EXPECT_LT(steady_clock::now() - begin, std::chrono::seconds(60));
}

// gRPC gives up on such a connection by itself, after 2 s.
TEST_F(ControlPlane, ASilentServerEndsInTheTimeThatWasGiven) {
  const auto took = [&] {
    SilentPort silent;
    const auto begin = steady_clock::now();
    EXPECT_EQ(client({silent.endpoint()}, 300).list_volumes({}).status().code(), Code::kUnavailable);
    return steady_clock::now() - begin;
  };
  auto best = took();
  for (int i = 0; i < 20 && best >= std::chrono::milliseconds(1500); ++i) best = std::min(best, took());
  EXPECT_LT(best, std::chrono::milliseconds(1500));
}

TEST_F(ControlPlane, ATakenPortIsRefusedWithAClearText) {
  auto second = ControlServer::start(facade_, "127.0.0.1", server_->port());
  ASSERT_FALSE(second.is_ok());
  EXPECT_EQ(second.status().code(), Code::kUnavailable);
  EXPECT_NE(second.status().message().find("port is taken"), std::string::npos);
}

TEST_F(ControlPlane, StatusTellsWhatServersRunAndWhoWasRefused) {
  facade_.servers[0].software = {"0.2.0", 2, 3, 1, 4};
  const auto status = client({endpoint()}).get_status({});
  ASSERT_TRUE(status) << status.status().to_string();
  ASSERT_EQ(status->software_size(), static_cast<int>(facade_.servers.size()));
  const auto& told = status->software(0);
  EXPECT_EQ(told.server(), facade_.servers[0].name);
  EXPECT_EQ(told.alive(), facade_.servers[0].alive);
  EXPECT_EQ(told.software(), "0.2.0");
  EXPECT_EQ(told.release(), 2u);
  EXPECT_EQ(told.formats_level(), 3u);
  EXPECT_EQ(told.protocol_min(), 1u);
  EXPECT_EQ(told.protocol_max(), 4u);
  EXPECT_EQ(status->software(1).software(), "") << "too old to say";
  EXPECT_EQ(status->formats_level(), 2u);
  ASSERT_EQ(status->refused_size(), 1);
  EXPECT_EQ(status->refused(0).server(), "site-c/core-0");
  EXPECT_EQ(status->refused(0).reason(), "too new");
}

TEST_F(ControlPlane, StoppingTwiceIsHarmless) {
  server_->stop();
  server_->stop();
  EXPECT_EQ(client({endpoint()}, 1000).list_volumes({}).status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace shima
