#include "common/transport/connection.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <mutex>
#include <thread>

namespace shima {
namespace {

using std::chrono::milliseconds;

template <typename Condition>
bool within(int ms, Condition condition) {
  for (int i = 0; i < ms; i++) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(1));
  }
  return condition();
}

// A listener that keeps what it gets; answers each frame with itself if `echo`.
class ConnectionTest : public testing::Test {
 protected:
  void listen(ListenerOptions options, bool echo) {
    server_loop_.start();
    client_loop_.start();
    auto listener = Listener::open({&server_loop_}, options, [this, echo](ConnectionPtr c) {
      {
        std::lock_guard lock(mutex_);
        accepted_ = c;
      }
      Connection* raw = c.get();
      c->start({.on_frame =
                    [this, raw, echo](Frame f) {
                      received_++;
                      received_bytes_ += f.payload.size();
                      if (echo) raw->send(std::move(f));
                    },
                .on_closed = [this](Status s) { remember_server_close(s); }});
    });
    ASSERT_TRUE(listener.is_ok()) << listener.status().to_string();
    listener_ = std::move(*listener);
  }

  void TearDown() override {
    listener_.reset();  // before the members that its callbacks use
    client_loop_.stop();
    server_loop_.stop();
  }

  ConnectionPtr dial(ConnectionOptions options, std::function<void(Frame)> on_frame,
                     const std::string& host = "127.0.0.1") {
    std::promise<ConnectionPtr> done;
    client_loop_.post([&] {
      connect(client_loop_, host, listener_->port(), options, [&](Result<ConnectionPtr> made) {
        if (!made) {
          ADD_FAILURE() << made.status().to_string();
          return done.set_value(nullptr);
        }
        (*made)->start(
            {.on_frame = on_frame, .on_closed = [this](Status s) { client_closed_.set_value(s); }});
        done.set_value(*made);
      });
    });
    return done.get_future().get();
  }

  ConnectionPtr accepted() {
    std::lock_guard lock(mutex_);
    return accepted_;
  }

  void remember_server_close(const Status& s) {
    std::lock_guard lock(mutex_);
    server_close_ = s;
    server_closed_ = true;
  }

  EventLoop server_loop_{"server"}, client_loop_{"client"};
  ConnectionPtr accepted_;
  std::atomic<uint64_t> received_{0}, received_bytes_{0};
  std::promise<Status> client_closed_;
  std::mutex mutex_;
  Status server_close_;
  std::atomic<bool> server_closed_{false};
  std::unique_ptr<Listener> listener_;
};

Frame small_frame(uint64_t id, size_t payload = 0) {
  Frame frame;
  frame.id = id;
  frame.header = "header " + std::to_string(id);
  if (payload)
    frame.payload = Buffer::make(payload, [&](uint8_t* p) { memset(p, static_cast<int>(id), payload); });
  return frame;
}

TEST_F(ConnectionTest, CarriesFramesBothWaysInOrder) {
  listen({}, true);
  std::atomic<uint64_t> next{1};
  auto connection = dial({}, [&](Frame f) {
    EXPECT_EQ(f.id, next.load());
    EXPECT_EQ(f.header, "header " + std::to_string(f.id));
    EXPECT_EQ(f.payload, small_frame(f.id, f.id % 9000).payload);
    next++;
  });
  client_loop_.post([&] {
    for (uint64_t i = 1; i <= 2'000; i++) connection->send(small_frame(i, i % 9000));
  });
  EXPECT_TRUE(within(60'000, [&] { return next == 2'001; })) << next;
  EXPECT_EQ(connection->stats().frames_out, 2'000u);
  EXPECT_EQ(connection->stats().frames_in, 2'000u);
}

TEST_F(ConnectionTest, SendsSeveralPiecesAsOnePayload) {
  listen({}, true);
  std::promise<Frame> echoed;
  auto connection = dial({}, [&](Frame f) { echoed.set_value(std::move(f)); });
  client_loop_.post([&] {
    Frame frame = small_frame(1, 100);
    for (uint64_t i = 2; i < 600; i++) frame.more_payload.push_back(small_frame(i, 4096).payload);
    connection->send(std::move(frame));
  });
  Frame got = echoed.get_future().get();
  ASSERT_EQ(got.payload.size(), 100u + 598 * 4096);
  EXPECT_EQ(got.payload.slice(100 + 4096 * 500, 4096), small_frame(502, 4096).payload);
}

TEST_F(ConnectionTest, WorksOverIPv6) {
  ListenerOptions options;
  options.address = "::1";
  listen(options, true);
  std::promise<void> echoed;
  auto connection = dial(
      {}, [&](Frame) { echoed.set_value(); }, "::1");
  EXPECT_EQ(connection->peer().substr(0, 6), "[::1]:");
  client_loop_.post([&] { connection->send(small_frame(1)); });
  EXPECT_EQ(echoed.get_future().wait_for(milliseconds(60'000)), std::future_status::ready);
}

TEST_F(ConnectionTest, TheOtherSideLearnsOfAClose) {
  listen({}, false);
  auto connection = dial({}, [](Frame) {});
  client_loop_.post([&] { connection->close({Code::kUnavailable, "enough"}); });
  EXPECT_EQ(client_closed_.get_future().get().message(), "enough");
  EXPECT_TRUE(within(60'000, [&] { return server_closed_.load(); }));
  std::lock_guard lock(mutex_);
  EXPECT_EQ(server_close_.code(), Code::kUnavailable);
}

TEST_F(ConnectionTest, AReaderThatPausesHoldsTheSenderBackAndLosesNothing) {
  ListenerOptions options;
  options.connection.socket_buffer_bytes = 64 << 10;
  listen(options, false);
  std::atomic<int> drained{0};
  std::promise<ConnectionPtr> made;
  client_loop_.post([&] {
    connect(client_loop_, "127.0.0.1", listener_->port(), {.socket_buffer_bytes = 64 << 10},
            [&](Result<ConnectionPtr> c) {
              if (!c) return made.set_value(nullptr);
              (*c)->start(
                  {.on_frame = [](Frame) {}, .on_closed = [](Status) {}, .on_drained = [&] { drained++; }});
              made.set_value(*c);
            });
  });
  ConnectionPtr connection = made.get_future().get();
  ASSERT_TRUE(within(60'000, [&] { return accepted() != nullptr; }));
  std::promise<void> paused;
  server_loop_.post([&] {
    accepted()->pause_reading();
    paused.set_value();
  });
  paused.get_future().wait();
  client_loop_.post([&] {
    for (uint64_t i = 1; i <= 64; i++) connection->send(small_frame(i, 1 << 20));
  });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_LE(received_, 1u);
  std::promise<uint64_t> queued;
  client_loop_.post([&] { queued.set_value(connection->queued_bytes()); });
  EXPECT_GT(queued.get_future().get(), uint64_t{50} << 20);
  EXPECT_EQ(drained, 0);
  server_loop_.post([&] { accepted()->resume_reading(); });
  EXPECT_TRUE(within(60'000, [&] { return received_bytes_ == uint64_t{64} << 20; }));
  EXPECT_TRUE(within(60'000, [&] { return drained == 1; }));
}

TEST_F(ConnectionTest, HeartbeatsKeepAQuietConnectionOpen) {
  ListenerOptions options;
  options.connection = {.heartbeat_ms = 20, .dead_after_ms = 12'000};  // no stall of a machine is so long
  listen(options, false);
  auto connection =
      dial({.heartbeat_ms = 20, .dead_after_ms = 12'000}, [](Frame) { FAIL() << "a heartbeat is no frame"; });
  // As many as come in 13 s if none is late: nobody was taken for dead in between.
  EXPECT_TRUE(within(60'000, [&] { return connection->stats().bytes_in > 650 * kFramePrefixSize; }));
  EXPECT_FALSE(server_closed_);
  EXPECT_EQ(received_, 0u);
}

TEST_F(ConnectionTest, ASilentPeerIsTakenForDead) {
  ListenerOptions options;
  options.connection = {.heartbeat_ms = 60'000, .dead_after_ms = 600'000};  // the server keeps silent
  listen(options, false);
  uint64_t before = transport_counters().dead_peers;
  auto connection = dial({.heartbeat_ms = 20, .dead_after_ms = 8'000}, [](Frame) {});
  ASSERT_NE(connection, nullptr);  // what dials gives up after the same time
  Status why = client_closed_.get_future().get();
  EXPECT_EQ(why.code(), Code::kUnavailable);
  EXPECT_NE(why.message().find("taken for dead"), std::string::npos);
  EXPECT_EQ(transport_counters().dead_peers, before + 1);
}

TEST_F(ConnectionTest, AMalformedFrameClosesTheConnectionAndIsCounted) {
  listen({}, false);
  uint64_t before = transport_counters().malformed;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(listener_->port())};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  ASSERT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  std::string garbage = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
  ASSERT_EQ(write(fd, garbage.data(), garbage.size()), static_cast<ssize_t>(garbage.size()));
  char byte;
  EXPECT_LE(read(fd, &byte, 1), 0);  // closed by the server
  close(fd);
  EXPECT_TRUE(within(60'000, [&] { return server_closed_.load(); }));
  EXPECT_EQ(transport_counters().malformed, before + 1);
  std::lock_guard lock(mutex_);
  EXPECT_EQ(server_close_.code(), Code::kCorrupt);
}

TEST_F(ConnectionTest, ConnectingToAClosedPortIsUnavailable) {
  client_loop_.start();
  std::promise<Status> result;
  client_loop_.post([&] {
    connect(client_loop_, "127.0.0.1", 1, {}, [&](Result<ConnectionPtr> c) { result.set_value(c.status()); });
  });
  Status status = result.get_future().get();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("127.0.0.1 port 1"), std::string::npos);
}

TEST_F(ConnectionTest, ConnectingIsGivenUpAfterTheDeadline) {
  // A full accept queue answers no more connections.
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = 0};
  inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(fd, 0), 0);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  client_loop_.start();
  std::vector<std::promise<Status>> results(4);
  std::vector<ConnectionPtr> kept(4);
  client_loop_.post([&] {
    for (size_t i = 0; i < results.size(); i++) {
      connect(client_loop_, "127.0.0.1", ntohs(address.sin_port), {.dead_after_ms = 200},
              [&, i](Result<ConnectionPtr> c) {
                if (c) kept[i] = *c;
                results[i].set_value(c.status());
              });
    }
  });
  int given_up = 0;
  for (auto& result : results) given_up += !result.get_future().get().is_ok();
  EXPECT_GE(given_up, 1);
  ::close(fd);
}

TEST_F(ConnectionTest, AListenerRefusesWhatIsOverItsLimit) {
  ListenerOptions options;
  options.max_connections = 1;
  listen(options, false);
  uint64_t before = transport_counters().refused;
  auto first = dial({}, [](Frame) {});
  std::promise<Status> second_closed;
  client_loop_.post([&] {
    connect(client_loop_, "127.0.0.1", listener_->port(), {}, [&](Result<ConnectionPtr> c) {
      if (!c) return second_closed.set_value(c.status());
      (*c)->start({.on_frame = [](Frame) {}, .on_closed = [&](Status s) { second_closed.set_value(s); }});
    });
  });
  EXPECT_EQ(second_closed.get_future().get().code(), Code::kUnavailable);
  EXPECT_EQ(transport_counters().refused, before + 1);
}

TEST_F(ConnectionTest, StoppingTheLoopClosesItsConnections) {
  listen({}, false);
  auto connection = dial({}, [](Frame) {});
  client_loop_.stop();
  EXPECT_EQ(client_closed_.get_future().get().code(), Code::kUnavailable);
  EXPECT_TRUE(within(60'000, [&] { return server_closed_.load(); }));
}

TEST(Listener, SaysWhatIsWrongWithAnAddress) {
  EventLoop loop("test");
  ListenerOptions options;
  options.address = "nowhere";
  auto opened = Listener::open({&loop}, options, [](ConnectionPtr) {});
  EXPECT_EQ(opened.status().code(), Code::kInvalidArgument);
  options.address = "192.0.2.1";
  opened = Listener::open({&loop}, options, [](ConnectionPtr) {});
  EXPECT_EQ(opened.status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace shima
