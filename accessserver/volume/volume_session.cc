#include "accessserver/volume/volume_session.h"

#include <algorithm>
#include <cstring>
#include <future>

#include "common/types/block_routing.h"

namespace shima {
namespace {

constexpr InodeId kTheOneFile{1};

void add_ended(VolumeClientStats& stats, const Operation& operation, uint64_t took_us) {
  bool ok = operation.error.is_ok();
  stats.failed += !ok;
  if (operation.kind == OperationKind::kRead) {
    stats.reads++;
    if (ok) stats.read_bytes += operation.length;
    stats.read_us.record(took_us);
  } else if (operation.kind == OperationKind::kWrite) {
    stats.writes++;
    if (ok) stats.written_bytes += operation.length;
    stats.write_us.record(took_us);
  } else {
    stats.punches++;
  }
}

}  // namespace

VolumeSession::VolumeSession(LayoutSource& source, VolumeLayout layout, const VolumeClientOptions& options,
                             ClientId client)
    : options_(options),
      name_(layout.name),
      volume_(layout.volume),
      block_size_(layout.block_size),
      client_(client),
      backoff_{options.retry_min_ms, options.retry_max_ms},
      layout_(std::make_shared<const VolumeLayout>(std::move(layout))),
      fetcher_(source, name_),
      groups_(layout_->groups.size()),
      random_(client.value) {
  loop_.start();
}

VolumeSession::~VolumeSession() {
  fetcher_.stop();
  loop_.post([this] {
    closed_ = Status(Code::kUnavailable, "the volume client is being closed");
    end_everything(closed_);
    for (auto& [server, link] : links_) link->close();
  });
  loop_.stop();
}

// ---- any thread

void VolumeSession::read(uint64_t offset, uint64_t length, ReadDone done) {
  read_site("", offset, length, std::move(done));
}

void VolumeSession::read_site(const std::string& site, uint64_t offset, uint64_t length, ReadDone done) {
  auto operation = std::make_shared<Operation>();
  operation->kind = OperationKind::kRead;
  operation->site = site;
  operation->length = length;
  operation->done = std::move(done);
  submit(std::move(operation), offset, {});
}

void VolumeSession::write(uint64_t offset, Buffer bytes, Done done) {
  auto operation = std::make_shared<Operation>();
  operation->kind = OperationKind::kWrite;
  operation->length = bytes.size();
  operation->done = [done = std::move(done)](Status status, const Buffer&) { done(std::move(status)); };
  submit(std::move(operation), offset, std::move(bytes));
}

void VolumeSession::punch(uint64_t offset, uint64_t length, Done done) {
  auto operation = std::make_shared<Operation>();
  operation->kind = OperationKind::kPunch;
  operation->length = length;
  operation->done = [done = std::move(done)](Status status, const Buffer&) { done(std::move(status)); };
  submit(std::move(operation), offset, {});
}

void VolumeSession::submit(OperationPtr operation, uint64_t offset, Buffer bytes) {
  operation->started_us = loop_.now_us();
  operation->deadline_us = operation->started_us + uint64_t{options_.deadline_ms} * 1000;
  operation->error = check_range(*operation, offset);
  if (operation->error.is_ok()) {
    for (const BlockPiece& where : cut_at_blocks(offset, operation->length, block_size_)) {
      auto piece = std::make_shared<Piece>();
      piece->operation = operation;
      piece->where = where;
      piece->group = group_of_block(volume_, kTheOneFile, where.block, static_cast<uint32_t>(groups_.size()));
      if (operation->kind == OperationKind::kWrite) {
        piece->payload = bytes.slice(where.range_offset, where.length);
        piece->checksums = write_checksums(where, piece->payload);
      }
      operation->pieces.push_back(std::move(piece));
    }
  }
  operation->left = operation->pieces.size();
  // An operation without pieces ends in a turn of its own: never inside the caller's call.
  if (loop_.on_loop_thread() && operation->left > 0) return admit(operation);
  loop_.post([this, operation = std::move(operation)] { admit(operation); });
}

Status VolumeSession::check_range(const Operation& operation, uint64_t offset) const {
  LayoutPtr layout = current_layout();
  uint64_t end = offset + operation.length;
  if (end < offset || (layout->size_bytes != 0 && end > layout->size_bytes)) {
    return {Code::kInvalidArgument, "bytes " + std::to_string(offset) + " to " + std::to_string(end) +
                                        " are outside volume " + name_ + ", which has " +
                                        std::to_string(layout->size_bytes) + " bytes"};
  }
  if (operation.site.empty() || std::ranges::count(layout->sites, operation.site)) return {};
  std::string sites;
  for (const std::string& site : layout->sites) sites += " " + site;
  return {Code::kNotFound,
          "volume " + name_ + " has no copy at site " + operation.site + "; it has copies at:" + sites};
}

VolumeSession::LayoutPtr VolumeSession::current_layout() const {
  std::lock_guard lock(layout_mutex_);
  return layout_;
}

VolumeLayout VolumeSession::layout() const { return *current_layout(); }

template <typename F>
auto VolumeSession::on_loop(F task) {
  if (loop_.on_loop_thread()) return task();
  std::promise<decltype(task())> promise;
  loop_.post([&] { promise.set_value(task()); });
  return promise.get_future().get();
}

VolumeClientStats VolumeSession::stats() {
  return on_loop([this] { return total_; });
}

VolumeClientStats VolumeSession::take_stats() {
  return on_loop([this] { return std::exchange(window_, VolumeClientStats()); });
}

Status VolumeSession::refresh() {
  SHIMA_CHECK(!loop_.on_loop_thread(), "refresh() waits and is not for callbacks");
  std::promise<Status> result;
  loop_.post([&] {
    refresh_waiters_.push_back([&](Status status) { result.set_value(std::move(status)); });
    fetch_layout();
  });
  return result.get_future().get();
}

// ---- the loop's thread

void VolumeSession::admit(const OperationPtr& operation) {
  operations_++;
  if (operation->left == 0) return end_operation(*operation);
  if (!closed_.is_ok()) {
    operation->error = closed_;
    operation->pieces.clear();
    // In a turn of its own: a caller that tries again in its callback must not recurse without end.
    return loop_.post([this, operation] { end_operation(*operation); });
  }
  if (operation->kind == OperationKind::kRead && operation->left > 1) {
    operation->assembled = std::make_shared_for_overwrite<uint8_t[]>(operation->length);
  }
  for (PiecePtr& piece : operation->pieces) waiting_.push_back(std::move(piece));
  operation->pieces.clear();
  keep_sweeping();
  send_waiting();
}

void VolumeSession::end_piece(const PiecePtr& piece, const Status& status) {
  if (piece->frame) out_.erase(std::exchange(piece->frame, 0));
  if (std::exchange(piece->placed, false)) {
    in_flight_--;
    in_flight_bytes_ -= piece->cost();
    if (piece->request) groups_[piece->group.value].window.settle(piece->request);
  }
  Operation& operation = *piece->operation;
  if (!status.is_ok() && operation.error.is_ok()) operation.error = status;
  if (--operation.left == 0) end_operation(operation);
}

void VolumeSession::end_operation(Operation& operation) {
  operations_--;
  uint64_t took_us = loop_.now_us() - operation.started_us;
  add_ended(total_, operation, took_us);
  add_ended(window_, operation, took_us);
  auto done = std::exchange(operation.done, nullptr);
  if (!operation.error.is_ok() || operation.kind != OperationKind::kRead) return done(operation.error, {});
  if (operation.assembled) return done({}, Buffer::adopt(std::move(operation.assembled), operation.length));
  done({}, std::move(operation.whole));
}

void VolumeSession::end_everything(const Status& status) {
  std::vector<PiecePtr> all(waiting_.begin(), waiting_.end());
  waiting_.clear();
  for (auto& [frame, piece] : out_) all.push_back(piece);
  for (GroupState& group : groups_) {
    for (PiecePtr& piece : group.parked) all.push_back(std::move(piece));
    group.parked.clear();
  }
  for (const PiecePtr& piece : all) end_piece(piece, status);
  for (auto& waiter : std::exchange(refresh_waiters_, {})) waiter(status);
}

void VolumeSession::keep_sweeping() {
  if (sweep_timer_ || operations_ == 0) return;
  sweep_timer_ = loop_.after(std::clamp(options_.deadline_ms / 20, 1u, 100u), [this] {
    sweep_timer_ = 0;
    sweep_deadlines();
    keep_sweeping();
  });
}

void VolumeSession::sweep_deadlines() {
  uint64_t now = loop_.now_us();
  auto is_late = [now](const PiecePtr& piece) { return piece->operation->deadline_us <= now; };
  std::vector<PiecePtr> late;
  for (auto& [frame, piece] : out_) {
    if (is_late(piece)) late.push_back(piece);
  }
  for (GroupState& group : groups_) {
    auto [first, last] = std::ranges::stable_partition(group.parked, std::not_fn(is_late));
    late.insert(late.end(), first, last);
    group.parked.erase(first, last);
  }
  // First come, first served, and every operation has the same deadline: the late ones are in front.
  while (!waiting_.empty() && is_late(waiting_.front())) {
    late.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  for (const PiecePtr& piece : late) end_piece(piece, deadline_error(*piece));
  ask_for_changes(now);
  if (!late.empty()) send_waiting();
}

Status VolumeSession::deadline_error(const Piece& piece) const {
  std::string where = "volume " + name_ + " group " + std::to_string(piece.group.value);
  std::string what = piece.times_sent == 0 ? "was never sent"
                                           : "was sent to " + piece.server_name + " " +
                                                 std::to_string(piece.times_sent) + " times";
  std::string last = piece.last_error.is_ok() ? "none" : piece.last_error.to_string();
  return {Code::kDeadlineExceeded, where + ": no result within " + std::to_string(options_.deadline_ms) +
                                       " ms; the request " + what + "; last error: " + last};
}

}  // namespace shima
