// RpcConnection: one client's TCP stream: records in, answers out. Private to accessserver/nfs/rpc.
//
// Lives on its loop; finish() comes from any thread. It is kept by its RpcLoop until it closes, and by the
// requests in work.
#pragma once

#include <asio/ip/tcp.hpp>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "accessserver/nfs/rpc/record_reader.h"
#include "accessserver/nfs/rpc/rpc_loop.h"
#include "common/runtime/event_loop_asio.h"

namespace shima {

class RpcConnection final : public RpcReplySink, public std::enable_shared_from_this<RpcConnection> {
 public:
  RpcConnection(std::shared_ptr<RpcLoop> loop, asio::ip::tcp::socket socket);
  ~RpcConnection() override;

  void start();
  void close();
  void settle(RpcReply reply, size_t charged);  // finish(), on the loop's thread

  void charge(size_t bytes) override;
  void finish(RpcReply reply, size_t charged, std::shared_ptr<void> keep) override;

 private:
  void wait_readable();
  void read_some();
  ssize_t receive(size_t& asked);
  void received(size_t size);
  void take_records(std::span<const uint8_t> bytes);
  void begin_call(Buffer record);
  void malformed(const Status& why);

  bool must_pause() const;
  void resume_if_may();
  void bind(size_t bytes);
  void release(size_t bytes);

  void schedule_flush();
  void flush();
  ssize_t send_some();
  void take_sent(size_t size);
  void wait_writable();
  void close_if_done();

  std::shared_ptr<RpcLoop> loop_;
  std::shared_ptr<EventLoop::Impl> loop_impl_;  // keeps the context for the socket
  asio::ip::tcp::socket socket_;
  std::shared_ptr<const std::string> client_;  // address without port
  bool open_ = true, ended_by_client_ = false;

  RecordReader reader_;
  std::vector<uint8_t> unread_;  // came before reading was paused
  bool waiting_readable_ = false, paused_ = false, taking_ = false;

  uint64_t calls_in_work_ = 0;
  uint64_t bound_bytes_ = 0;  // by calls in work and answers in the queue

  std::deque<RpcReply> queue_;
  size_t sent_of_first_ = 0;
  bool flush_pending_ = false, waiting_writable_ = false;
};

}  // namespace shima
