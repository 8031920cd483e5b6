#include "tests/unit/accessserver/nfs/rpc_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace shima {

std::string TestCall::encode() const {
  XdrWriter out, body;
  for (uint32_t word : {xid, 0u, rpc_version, program, version, procedure, auth}) out.u32(word);
  if (auth == 1) {
    body.u32(12345);
    body.opaque(machine);
    body.u32(uid);
    body.u32(gid);
    body.u32(static_cast<uint32_t>(groups.size()));
    for (uint32_t group : groups) body.u32(group);
  }
  out.opaque(body.flat());
  out.u32(verifier);
  out.u32(0);
  out.append(arguments);
  return out.flat();
}

TestReply parse_reply(const std::string& record) {
  TestReply reply;
  reply.results = XdrReader(Buffer::copy_of(record));
  reply.xid = reply.results.u32();
  EXPECT_EQ(reply.results.u32(), 1u) << "not a reply";
  reply.accepted = reply.results.u32() == 0;
  if (reply.accepted) {
    EXPECT_EQ(reply.results.u32(), 0u);  // the verifier: AUTH_NONE
    EXPECT_EQ(reply.results.u32(), 0u);
  }
  reply.status = reply.results.u32();
  EXPECT_TRUE(reply.results.good());
  return reply;
}

std::string marked(const std::string& record) {
  XdrWriter out;
  out.u32(1u << 31 | static_cast<uint32_t>(record.size()));
  return out.flat() + record;
}

RpcClient::RpcClient(uint16_t port, int receive_buffer_bytes) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  timeval patience{60, 0};
  int on = 1;
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (receive_buffer_bytes) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
  }
  EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
}

RpcClient::~RpcClient() { ::close(socket_); }

bool RpcClient::send_raw(const std::string& bytes) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

size_t RpcClient::send_what_fits(const std::string& bytes) {
  ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return n > 0 ? static_cast<size_t>(n) : 0;
}

void RpcClient::shut_down_sending() { ::shutdown(socket_, SHUT_WR); }

bool RpcClient::receive_exactly(char* to, size_t size) {
  while (size > 0) {
    ssize_t n = ::recv(socket_, to, size, 0);
    if (n <= 0) return false;
    to += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

std::optional<std::string> RpcClient::receive_record() {
  uint8_t mark[4];
  if (!receive_exactly(reinterpret_cast<char*>(mark), 4)) return std::nullopt;
  size_t size = size_t{mark[0] & 0x7fu} << 24 | size_t{mark[1]} << 16 | size_t{mark[2]} << 8 | mark[3];
  EXPECT_NE(mark[0] & 0x80, 0) << "answers are one fragment";
  std::string record(size, '\0');
  if (!receive_exactly(record.data(), size)) return std::nullopt;
  return record;
}

bool RpcClient::closed_by_server() {
  char byte;
  ssize_t n = ::recv(socket_, &byte, 1, 0);
  return n == 0 || (n < 0 && errno == ECONNRESET);
}

uint32_t RpcClient::send(TestCall call) {
  call.xid = next_xid_++;
  EXPECT_TRUE(send_raw(marked(call.encode())));
  return call.xid;
}

TestReply RpcClient::receive() {
  std::optional<std::string> record = receive_record();
  EXPECT_TRUE(record.has_value()) << "no answer came";
  return record ? parse_reply(*record) : TestReply();
}

TestReply RpcClient::run(TestCall call) {
  uint32_t xid = send(std::move(call));
  TestReply reply = receive();
  EXPECT_EQ(reply.xid, xid);
  return reply;
}

std::pair<uint32_t, XdrReader> RpcClient::nfs(uint32_t procedure, XdrWriter arguments) {
  TestCall call = defaults;
  call.procedure = procedure;
  call.arguments = std::move(arguments);
  TestReply reply = run(std::move(call));
  EXPECT_TRUE(reply.accepted);
  EXPECT_EQ(reply.status, 0u) << "not SUCCESS";
  uint32_t status = reply.results.u32();
  return {status, reply.results};
}

std::pair<uint32_t, XdrReader> RpcClient::mount(uint32_t procedure, XdrWriter arguments, uint32_t version) {
  TestCall call = defaults;
  call.program = 100005;
  call.version = version;
  call.procedure = procedure;
  call.arguments = std::move(arguments);
  TestReply reply = run(std::move(call));
  EXPECT_TRUE(reply.accepted);
  EXPECT_EQ(reply.status, 0u) << "not SUCCESS";
  uint32_t status = reply.results.left() ? reply.results.u32() : 0;
  return {status, reply.results};
}

}  // namespace shima
