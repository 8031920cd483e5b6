#include "coreserver/journal/segment_supply.h"

#include <algorithm>
#include <chrono>

#include "common/types/byte_order.h"

namespace shima {
namespace {

constexpr size_t kFreeFilesKept = 8;  // beyond those that are ready: zeroing a new one costs a write
constexpr uint64_t kZeroStepBytes = 4ull << 20;  // synced piece by piece: appends go on meanwhile
constexpr auto kRetryAfter = std::chrono::milliseconds(500);

// A failed sync or rename is not tried again: what the disk holds is unknown then (R22). Only a full disk is
// an answer.
Status end_unless_full(Status status) {
  SHIMA_CHECK(status.is_ok() || status.code() == Code::kNoSpace,
              "the journal's disk fails: " + status.to_string());
  return status;
}

}  // namespace

SegmentSupply::SegmentSupply(Disk& disk, std::string directory, uint64_t disk_id,
                             const JournalOptions& options, uint32_t next_number,
                             std::deque<SegmentFilePtr> ready, std::vector<std::string> free_files)
    : disk_(disk),
      directory_(std::move(directory)),
      disk_id_(disk_id),
      segment_bytes_(options.segment_bytes),
      wanted_ready_(std::max<size_t>(1, options.spare_segments)),
      next_number_(next_number),
      ready_(std::move(ready)),
      free_files_(std::move(free_files)) {
  thread_ = std::thread([this] { run(); });
}

SegmentSupply::~SegmentSupply() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<SegmentFilePtr> SegmentSupply::take(bool wait) {
  std::unique_lock lock(mutex_);
  if (ready_.empty() && !wait) return Status(Code::kUnavailable, "the next journal segment is not ready yet");
  if (ready_.empty()) {
    last_error_ = Status::ok();
    retry_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !ready_.empty() || (!retry_ && !preparing_ && !last_error_.is_ok()); });
    if (ready_.empty()) return last_error_;
  }
  SegmentFilePtr segment = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return segment;
}

void SegmentSupply::retire(SegmentFilePtr segment) {
  {
    std::lock_guard lock(mutex_);
    retired_.push_back(std::move(segment));
    retry_ = true;
  }
  changed_.notify_all();
}

uint64_t SegmentSupply::recycled() const {
  std::lock_guard lock(mutex_);
  return recycled_;
}

bool SegmentSupply::out_of_space() const {
  std::lock_guard lock(mutex_);
  return !last_error_.is_ok();
}

void SegmentSupply::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!retired_.empty()) {
      SegmentFilePtr segment = std::move(retired_.front());
      retired_.pop_front();
      lock.unlock();
      Status recycled = recycle(*segment);
      segment.reset();
      lock.lock();
      if (!recycled) last_error_ = recycled;
      continue;
    }
    if (stop_) return;
    if (ready_.size() >= wanted_ready_) {
      retry_ = false;
      changed_.wait(lock);
      continue;
    }
    if (!last_error_.is_ok() && !retry_) {
      if (changed_.wait_for(lock, kRetryAfter) == std::cv_status::timeout) retry_ = true;
      continue;
    }
    retry_ = false;
    preparing_ = true;
    uint32_t number = next_number_;
    lock.unlock();
    auto segment = prepare(number);
    lock.lock();
    preparing_ = false;
    last_error_ = segment.status();
    if (segment) {
      ready_.push_back(std::move(*segment));
      ++next_number_;
    }
    changed_.notify_all();
  }
}

// Takes a dead segment out of the journal, durably, and keeps its file if it is of use.
Status SegmentSupply::recycle(const SegmentFile& segment) {
  std::string free_path = directory_ + "/" + segment_file_name(segment.number) + ".free";
  bool keep = segment.bytes == segment_bytes_ && free_files_.size() < kFreeFilesKept;
  SHIMA_RETURN_IF_ERROR(
      end_unless_full(keep ? disk_.rename(segment.path, free_path) : disk_.remove(segment.path)));
  SHIMA_RETURN_IF_ERROR(end_unless_full(disk_.sync_directory(directory_)));
  if (keep) free_files_.push_back(free_path);
  std::lock_guard lock(mutex_);
  if (keep) ++recycled_;
  return Status::ok();
}

Result<SegmentFilePtr> SegmentSupply::prepare(uint32_t number) {
  auto segment = std::make_shared<SegmentFile>();
  segment->number = number;
  segment->bytes = segment_bytes_;
  segment->path = directory_ + "/" + segment_file_name(number);
  bool recycled = !free_files_.empty();
  std::string raw_path = recycled ? free_files_.back() : segment->path + ".new";
  auto file = disk_.open(raw_path, recycled ? Disk::Mode::kReadWrite : Disk::Mode::kOpenOrCreate);
  if (!file) return file.status().with_context("preparing a journal segment");
  segment->file = std::move(*file);
  if (!recycled) {
    if (Status s = fill_with_zeros(*segment->file); !s) {
      segment->file.reset();
      (void)disk_.remove(raw_path);  // gives back what it took of a full disk
      return s.with_context("preparing a journal segment of " + std::to_string(segment_bytes_) + " bytes");
    }
  }
  std::string header = encode_segment_header({number, disk_id_, segment_bytes_});
  std::span<const uint8_t> piece = as_bytes(header);
  SHIMA_RETURN_IF_ERROR(segment->file->write_at(0, std::span(&piece, 1)));
  SHIMA_RETURN_IF_ERROR(end_unless_full(segment->file->sync()));
  SHIMA_RETURN_IF_ERROR(end_unless_full(disk_.rename(raw_path, segment->path)));
  SHIMA_RETURN_IF_ERROR(end_unless_full(disk_.sync_directory(directory_)));
  if (recycled) free_files_.pop_back();
  return segment;
}

// Written, not only allocated: a file system turns an allocated extent into a written one by a change of
// metadata, which each fdatasync would then pay for.
Status SegmentSupply::fill_with_zeros(FileHandle& file) {
  SHIMA_RETURN_IF_ERROR(file.truncate(0));
  SHIMA_RETURN_IF_ERROR(file.allocate(0, segment_bytes_));
  std::vector<uint8_t> zeros(std::min(kZeroStepBytes, segment_bytes_));
  for (uint64_t at = 0; at < segment_bytes_; at += zeros.size()) {
    std::span<const uint8_t> piece(zeros.data(), std::min<uint64_t>(zeros.size(), segment_bytes_ - at));
    SHIMA_RETURN_IF_ERROR(file.write_at(at, std::span(&piece, 1)));
    SHIMA_RETURN_IF_ERROR(end_unless_full(file.sync()));
  }
  return Status::ok();
}

}  // namespace shima
