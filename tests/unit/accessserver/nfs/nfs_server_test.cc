// The server as clients that behave badly, or are many, see it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "tests/unit/accessserver/nfs/nfs_fixture.h"

namespace shima {
namespace {

class NfsServerTest : public NfsTest {
 protected:
  template <typename Condition>
  bool soon(Condition condition) {
    for (int i = 0; i < 12'000; i++) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  static std::string null_call(uint32_t xid) {
    TestCall call;
    call.xid = xid;
    return marked(call.encode());
  }
};

TEST_F(NfsServerTest, SaysWhyItCannotListen) {
  NfsServerOptions options;
  options.address = "not an address";
  EXPECT_EQ(NfsServer::open({&loop_a_}, options, exports_).status().code(), Code::kInvalidArgument);
  options.address = "127.0.0.1";
  options.port = server_->port();
  EXPECT_EQ(NfsServer::open({&loop_a_}, options, exports_).status().code(), Code::kUnavailable);
}

TEST_F(NfsServerTest, HalfRequestsWaitForTheirOtherHalf) {
  std::string bytes = null_call(5);
  for (char byte : bytes) {
    ASSERT_TRUE(client_->send_raw(std::string(1, byte)));
  }
  EXPECT_EQ(client_->receive().xid, 5u);
  std::string two = null_call(6) + null_call(7);
  ASSERT_TRUE(client_->send_raw(two.substr(0, two.size() / 2 + 9)));
  EXPECT_EQ(client_->receive().xid, 6u);
  ASSERT_TRUE(client_->send_raw(two.substr(two.size() / 2 + 9)));
  EXPECT_EQ(client_->receive().xid, 7u);
}

TEST_F(NfsServerTest, HalfARequestAndTheEndIsForgotten) {
  RpcClient other(server_->port());
  ASSERT_TRUE(other.send_raw(null_call(5).substr(0, 20)));
  other.shut_down_sending();
  EXPECT_TRUE(other.closed_by_server());
  EXPECT_EQ(client_->run(TestCall()).status, 0u);
}

TEST_F(NfsServerTest, WhoEndsHisSendingStillGetsHisAnswers) {
  volume_->hold();
  TestCall call;
  call.procedure = kGetattr;
  call.arguments = arguments(root());
  client_->send(call);
  client_->shut_down_sending();
  ASSERT_TRUE(soon([&] { return volume_->held() == 1; }));
  volume_->release();
  EXPECT_EQ(client_->receive().results.u32(), kOk);
  EXPECT_TRUE(client_->closed_by_server());
}

TEST_F(NfsServerTest, NonsenseClosesTheConnectionAndIsCounted) {
  const std::string large_mark("\x80\x20\x00\x00", 4), http = "GET / HTTP/1.0\r\n\r\n";
  const std::string no_call = marked(std::string(40, '\x01')), empty = marked("");
  uint64_t before = server_->statistics().malformed;
  for (const std::string& bytes : {large_mark, http, no_call, empty}) {
    RpcClient other(server_->port());
    ASSERT_TRUE(other.send_raw(bytes));
    EXPECT_TRUE(other.closed_by_server());
  }
  EXPECT_EQ(server_->statistics().malformed, before + 4);
  EXPECT_EQ(client_->run(TestCall()).status, 0u);  // others do not notice
}

TEST_F(NfsServerTest, AThousandConnectionsAreServed) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  ASSERT_GT(limit.rlim_cur, 2200u) << "raise the limit of open files";
  std::vector<std::unique_ptr<RpcClient>> clients;
  clients.reserve(1000);
  for (int i = 0; i < 1000; i++) clients.push_back(std::make_unique<RpcClient>(server_->port()));
  TestCall call;
  call.procedure = kGetattr;
  call.arguments = arguments(root());
  for (auto& client : clients) client->send(call);
  for (auto& client : clients) EXPECT_EQ(client->receive().results.u32(), kOk);
  EXPECT_EQ(server_->statistics().connections_open, 1001u);
  clients.clear();
  EXPECT_TRUE(soon([&] { return server_->statistics().connections_open == 1; }));
}

TEST_F(NfsServerTest, MoreConnectionsThanAllowedAreClosedAndCounted) {
  NfsServerOptions options;
  options.max_connections = 2;
  start(options);
  RpcClient second(server_->port());
  EXPECT_EQ(client_->run(TestCall()).status, 0u);
  EXPECT_EQ(second.run(TestCall()).status, 0u);
  RpcClient third(server_->port());
  EXPECT_TRUE(third.closed_by_server());
  EXPECT_EQ(server_->statistics().connections_refused, 1u);
  EXPECT_EQ(second.run(TestCall()).status, 0u);
}

TEST_F(NfsServerTest, ArgumentsInWorkAreBounded) {
  NfsServerOptions options;
  options.max_connection_bytes = 4u << 20;
  start(options);
  std::string file = make_file("f");
  volume_->hold();
  TestCall write;
  write.procedure = kWrite;
  write.arguments = write_arguments(file, 0, std::string(1 << 20, 'x'));
  std::thread sender([&] {
    for (uint32_t i = 0; i < 40; i++) {
      write.xid = i;
      client_->send_raw(marked(write.encode()));
    }
  });
  EXPECT_TRUE(soon([&] { return server_->statistics().reading_paused == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(volume_->held(), 5u);
  EXPECT_LE(server_->statistics().bound_bytes, 6u << 20);
  volume_->release();
  std::set<uint32_t> got;
  for (int i = 0; i < 40; i++) got.insert(client_->receive().xid);
  sender.join();
  EXPECT_EQ(got.size(), 40u);
  EXPECT_TRUE(soon([&] { return server_->statistics().bound_bytes == 0; }));
}

TEST_F(NfsServerTest, AClientThatDoesNotReadIsNotReadFrom) {
  NfsServerOptions options;
  options.max_connection_bytes = 4u << 20;
  start(options);
  std::string file = make_file("f");
  EXPECT_EQ(status_of(kWrite, write_arguments(file, 0, std::string(1 << 20, 'x'))), kOk);
  RpcClient slow(server_->port(), 64 << 10);
  TestCall read;
  read.procedure = kRead;
  read.arguments = read_arguments(file, 0, 1 << 20);
  for (int i = 0; i < 200; i++) slow.send(read);
  EXPECT_TRUE(soon([&] { return server_->statistics().reading_paused > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LE(server_->statistics().bound_bytes, 6u << 20);  // 200 MiB were asked for
  EXPECT_EQ(client_->run(TestCall()).status, 0u);          // others are served
  for (int i = 0; i < 200; i++) {
    TestReply reply = slow.receive();
    ASSERT_EQ(reply.results.u32(), kOk);
    take_post_op(reply.results);
    ASSERT_EQ(reply.results.u32(), 1u << 20);
  }
  EXPECT_TRUE(soon([&] { return server_->statistics().bound_bytes == 0; }));
}

TEST_F(NfsServerTest, OverTheBoundOfAllEachConnectionStillHasOneCall) {
  NfsServerOptions options;
  options.max_total_bytes = 1;
  start(options);
  std::string file = make_file("f");
  RpcClient other(server_->port());
  volume_->hold();
  TestCall read;
  read.procedure = kRead;
  read.arguments = read_arguments(file, 0, 100);
  for (int i = 0; i < 3; i++) client_->send(read), other.send(read);
  EXPECT_TRUE(soon([&] { return volume_->held() == 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(volume_->held(), 2u);
  volume_->release();
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(client_->receive().status, 0u);
    EXPECT_EQ(other.receive().status, 0u);
  }
}

TEST_F(NfsServerTest, CallbacksThatNeverComeAreSystemErrors) {
  volume_->hold();
  TestCall call;
  call.procedure = kGetattr;
  call.arguments = arguments(root());
  client_->send(call);
  ASSERT_TRUE(soon([&] { return volume_->held() == 1; }));
  volume_->drop_held();
  EXPECT_EQ(client_->receive().status, 5u);  // SYSTEM_ERR
  EXPECT_TRUE(soon([&] { return server_->statistics().bound_bytes == 0; }));
}

TEST_F(NfsServerTest, StoppingWaitsForWhatIsInWork) {
  volume_->hold();
  TestCall call;
  call.procedure = kGetattr;
  call.arguments = arguments(root());
  client_->send(call);
  ASSERT_TRUE(soon([&] { return volume_->held() == 1; }));
  std::atomic<bool> stopped{false};
  std::thread stopper([&] {
    server_.reset();
    stopped = true;
  });
  EXPECT_TRUE(client_->closed_by_server());
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(stopped);
  volume_->release();
  stopper.join();
  EXPECT_TRUE(stopped);
}

TEST_F(NfsServerTest, LoopsMayStopBeforeTheServer) {
  EXPECT_EQ(client_->run(TestCall()).status, 0u);
  volume_->hold();
  TestCall call;
  call.procedure = kGetattr;
  call.arguments = arguments(root());
  client_->send(call);
  ASSERT_TRUE(soon([&] { return volume_->held() == 1; }));
  loop_a_.stop();
  loop_b_.stop();
  volume_->release();
  server_.reset();
  EXPECT_TRUE(client_->closed_by_server());
}

TEST_F(NfsServerTest, ClientsOfBothFamiliesAreKnownByTheirAddress) {
  NfsServerOptions options;
  options.address = "::";
  options.port = 0;
  auto opened = NfsServer::open({&loop_a_}, options, exports_);
  ASSERT_TRUE(opened.is_ok()) << opened.status().to_string();
  RpcClient client((*opened)->port());
  client.nfs(kGetattr, arguments(root()));
  EXPECT_EQ(exports_.last_client(), "127.0.0.1");  // not ::ffff:127.0.0.1
}

TEST_F(NfsServerTest, ThePortmapperTellsThePortWhereItIsSwitchedOn) {
  NfsServerOptions options;
  // Bound, never listening: nobody else is given this port, and who sets SO_REUSEADDR can listen there.
  const int held = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof to;
  ASSERT_EQ(setsockopt(held, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  ASSERT_EQ(::bind(held, reinterpret_cast<sockaddr*>(&to), size), 0);
  ASSERT_EQ(getsockname(held, reinterpret_cast<sockaddr*>(&to), &size), 0);
  options.portmapper_port = ntohs(to.sin_port);
  start(options);
  RpcClient portmapper(options.portmapper_port);
  auto get_port = [&](uint32_t program, uint32_t protocol) {
    TestCall call;
    call.program = 100000;
    call.version = 2;
    call.procedure = 3;
    for (uint32_t word : {program, 3u, protocol, 0u}) call.arguments.u32(word);
    TestReply reply = portmapper.run(call);
    EXPECT_EQ(reply.status, 0u);
    return reply.results.u32();
  };
  EXPECT_EQ(get_port(100003, 6), server_->port());
  EXPECT_EQ(get_port(100005, 6), server_->port());
  EXPECT_EQ(get_port(100003, 17), 0u);  // not over UDP
  EXPECT_EQ(get_port(100021, 6), 0u);
  TestCall call;
  call.program = 100000;
  call.version = 2;
  call.procedure = 4;  // DUMP
  XdrReader in = portmapper.run(call).results;
  int mappings = 0;
  for (; in.boolean(); mappings++) in.u64(), in.u64();
  EXPECT_EQ(mappings, 3);
  EXPECT_TRUE(in.good());
  call.procedure = 5;  // CALLIT
  EXPECT_EQ(portmapper.run(call).status, 3u);
  call.program = 100003;
  EXPECT_EQ(portmapper.run(call).status, 1u);  // NFS is not behind this port
  close(held);
}

TEST_F(NfsServerTest, CountsWhatItDoes) {
  status_of(kGetattr, arguments(root()));
  status_of(kGetattr, arguments(handle(99)));
  TestCall call;
  call.procedure = 22;
  client_->run(call);
  NfsStatistics s = server_->statistics();
  EXPECT_EQ(s.procedures["GETATTR"].requests, 2u);
  EXPECT_EQ(s.procedures["GETATTR"].errors, 1u);
  EXPECT_EQ(s.calls, 3u);
  EXPECT_EQ(s.refused_calls, 1u);
  EXPECT_GT(s.bytes_in, 200u);
  EXPECT_GT(s.bytes_out, 100u);
}

}  // namespace
}  // namespace shima
