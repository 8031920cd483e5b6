#include "tests/tools/ack_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace shima {

namespace {
constexpr char kMagic[] = "shima-ack-log";
constexpr int kVersion = 1;
}  // namespace

Result<std::unique_ptr<AckLog>> AckLog::open(const std::string& path, uint64_t fresh_stream) {
  std::unique_ptr<AckLog> log(new AckLog());
  log->path_ = path;
  SHIMA_RETURN_IF_ERROR(log->read_all(path));
  log->file_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log->file_ < 0) return Status(Code::kIo, "cannot open " + path + ": " + std::strerror(errno));
  if (log->stream_ != 0) return log;
  log->stream_ = fresh_stream;
  SHIMA_RETURN_IF_ERROR(log->append(std::string(kMagic) + " " + std::to_string(kVersion) + " " +
                                    std::to_string(fresh_stream) + "\n"));
  return log;
}

AckLog::~AckLog() {
  if (file_ >= 0) ::close(file_);
}

Status AckLog::read_all(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!in || !std::getline(in, line)) return {};  // a fresh one
  std::string magic;
  int version = 0;
  std::istringstream head(line);
  if (!(head >> magic >> version >> stream_) || magic != kMagic || version != kVersion || stream_ == 0)
    return {Code::kCorrupt, path + ": wanted a first line 'shima-ack-log 1 STREAM', found '" + line + "'"};
  for (size_t count = 2; std::getline(in, line); count++) {
    std::istringstream fields(line);
    char kind = 0;
    uint64_t first = 0, number = 0;
    bool good = bool(fields >> kind >> first);
    if (kind == 'I') {
      number = first;
    } else {
      good = good && (kind == 'A' || kind == 'S') && bool(fields >> number);
      if (good) newest_[first] = std::max(newest_[first], number);
    }
    if (!good)
      return {Code::kCorrupt, path + ":" + std::to_string(count) + ": not a line of an ACK log: " + line};
    last_number_ = std::max(last_number_, number);
  }
  return {};
}

Status AckLog::reserve(uint64_t upto) {
  last_number_ = std::max(last_number_, upto);
  return append("I " + std::to_string(upto) + "\n");
}

Status AckLog::note(char kind, uint64_t offset, uint64_t number) {
  uint64_t& newest = newest_[offset];
  newest = std::max(newest, number);
  return append(std::string(1, kind) + " " + std::to_string(offset) + " " + std::to_string(number) + "\n");
}

Status AckLog::append(const std::string& line) {
  if (::write(file_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return {};
  return {Code::kIo, "cannot append to " + path_ + ": " + std::strerror(errno)};
}

}  // namespace shima
