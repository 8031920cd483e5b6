#include "accessserver/volume/volume_session.h"

#include <algorithm>
#include <cstring>
#include <future>

namespace shima {
namespace {

void add_ended(VolumeClientStats& stats, const Operation& operation, uint64_t took_us) {
  bool ok = operation.error.is_ok();
  stats.failed += !ok;
  switch (operation.kind) {
    case OperationKind::kRead:
      stats.reads++;
      if (ok) stats.read_bytes += operation.length;
      return stats.read_us.record(took_us);
    case OperationKind::kWrite:
      stats.writes++;
      if (ok) stats.written_bytes += operation.length;
      return stats.write_us.record(took_us);
    case OperationKind::kPunch:
      stats.punches++;
      return;
    case OperationKind::kTruncate:
      stats.truncates++;
      return;
    case OperationKind::kJob:
      stats.jobs++;
      return stats.job_us.record(took_us);
    case OperationKind::kInodeData:
    case OperationKind::kSeek:
      stats.queries++;
      return;
  }
}

}  // namespace

VolumeSession::VolumeSession(LayoutSource& source, VolumeLayout layout, const VolumeClientOptions& options,
                             ClientId client)
    : options_(options),
      name_(layout.name),
      volume_(layout.volume),
      block_size_(layout.block_size),
      data_groups_(static_cast<uint32_t>(layout.groups.size())),
      client_(client),
      backoff_{options.retry_min_ms, options.retry_max_ms},
      layout_(std::make_shared<const VolumeLayout>(std::move(layout))),
      fetcher_(source, name_),
      groups_(data_groups_ + 1),
      random_(client.value) {
  loop_.start();
}

template <typename F>
auto VolumeSession::on_loop(F task) {
  if (loop_.on_loop_thread()) return task();
  std::promise<decltype(task())> promise;
  loop_.post([&] { promise.set_value(task()); });
  return promise.get_future().get();
}

VolumeSession::~VolumeSession() {
  fetcher_.stop();
  on_loop([this] {
    close_for_good({Code::kUnavailable, "the volume client is being closed"});
    for (auto& [server, link] : links_) link->close();
    return true;
  });
  on_loop([] { return true; });  // what callbacks began meanwhile has ended, too
  loop_.stop();
}

// ---- any thread

void VolumeSession::submit(OperationPtr operation) {
  if (!operation->error.is_ok()) operation->pieces.clear();
  operation->left = operation->pieces.size();
  // An operation without pieces ends in a turn of its own: never inside the caller's call.
  if (loop_.on_loop_thread() && operation->left > 0) return admit(operation);
  loop_.post([this, operation = std::move(operation)] { admit(operation); });
}

Status VolumeSession::check_volume_range(const Operation& operation, uint64_t offset) const {
  LayoutPtr layout = current_layout();
  uint64_t end = offset + operation.length;
  if (end < offset || (layout->size_bytes != 0 && end > layout->size_bytes)) {
    return {Code::kInvalidArgument, "bytes " + std::to_string(offset) + " to " + std::to_string(end) +
                                        " are outside volume " + name_ + ", which has " +
                                        std::to_string(layout->size_bytes) + " bytes"};
  }
  return check_site(operation.site);
}

Status VolumeSession::check_site(const std::string& site) const {
  LayoutPtr layout = current_layout();
  if (site.empty() || std::ranges::count(layout->sites, site)) return {};
  std::string sites;
  for (const std::string& known : layout->sites) sites += " " + known;
  return {Code::kNotFound,
          "volume " + name_ + " has no copy at site " + site + "; it has copies at:" + sites};
}

VolumeSession::LayoutPtr VolumeSession::current_layout() const {
  std::lock_guard lock(layout_mutex_);
  return layout_;
}

VolumeLayout VolumeSession::layout() const { return *current_layout(); }

VolumeClientStats VolumeSession::stats() {
  return on_loop([this] { return total_; });
}

VolumeClientStats VolumeSession::take_stats() {
  return on_loop([this] { return std::exchange(window_, VolumeClientStats()); });
}

void VolumeSession::retire(Status why) {
  loop_.post([this, why = std::move(why)]() mutable { close_for_good(std::move(why)); });
}

Status VolumeSession::refresh() {
  SHIMA_CHECK(!loop_.on_loop_thread(), "refresh() waits and is not for callbacks");
  std::promise<Status> result;
  refresh_layout([&](Status status) { result.set_value(std::move(status)); });
  return result.get_future().get();
}

void VolumeSession::refresh_layout(Done done) {
  loop_.post([this, done = std::move(done)]() mutable {
    if (!closed_.is_ok()) return done(closed_);
    refresh_waiters_.push_back(std::move(done));
    fetch_layout();
  });
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
  Lane& lane = lane_of(*operation->pieces.front());
  for (PiecePtr& piece : operation->pieces) lane.waiting.push_back(std::move(piece));
  operation->pieces.clear();
  keep_sweeping();
  send_waiting(lane);
}

void VolumeSession::end_piece(const PiecePtr& piece, const Status& status) {
  if (piece->frame) out_.erase(std::exchange(piece->frame, 0));
  forget_own_replica(*piece);
  if (std::exchange(piece->placed, false)) {
    Lane& lane = lane_of(*piece);
    lane.in_flight--;
    lane.in_flight_bytes -= piece->cost();
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
  call_back(operation);
}

void VolumeSession::end_everything(const Status& status) {
  std::vector<PiecePtr> all = std::exchange(ending_, {});
  for (Lane* lane : {&bytes_lane_, &small_lane_}) {
    all.insert(all.end(), lane->waiting.begin(), lane->waiting.end());
    lane->waiting.clear();
  }
  for (auto& [frame, piece] : out_) all.push_back(piece);
  for (GroupState& group : groups_) {
    for (PiecePtr& piece : group.parked) all.push_back(std::move(piece));
    group.parked.clear();
  }
  for (const PiecePtr& piece : all) end_piece(piece, status);
  for (auto& waiter : std::exchange(refresh_waiters_, {})) waiter(status);
}

// The first reason stays.
void VolumeSession::close_for_good(Status why) {
  if (closed_.is_ok()) closed_ = std::move(why);
  end_everything(closed_);
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
  for (Lane* lane : {&bytes_lane_, &small_lane_}) {
    while (!lane->waiting.empty() && is_late(lane->waiting.front())) {
      late.push_back(std::move(lane->waiting.front()));
      lane->waiting.pop_front();
    }
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
