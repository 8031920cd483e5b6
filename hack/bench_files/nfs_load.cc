#include "hack/bench_files/nfs_load.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>

namespace shima {
namespace {

using Handle = NfsConnection::Handle;

// What all cases of a run share: a file of the span's size, and a folder of 1,000 files.
struct Playground {
  Handle folder, data, listed;
  bool data_filled = false;
  std::vector<Handle> files;  // of `listed`
};

// Keeps calls in flight until the meter says that the time is over, or so many calls have ended.
class NfsLoad {
 public:
  struct Slot {
    NfsLoad* load = nullptr;
    uint64_t started_us = 0;
    uint64_t cookie = 0;  // of a listing
    char verifier[8] = {};
    uint32_t entries = 0;
  };
  // Queues one call for the slot; its end calls ended() or, for a listing that goes on, sends again.
  using Send = std::function<int(Slot&)>;

  NfsLoad(NfsConnection& connection, uint32_t depth, Send send, uint32_t read_size = 0)
      : connection_(connection), send_(std::move(send)), read_size_(read_size), slots_(depth) {
    for (Slot& slot : slots_) slot.load = this;
  }

  Status run(CaseMeter* meter, uint64_t max_calls = UINT64_MAX) {
    meter_ = meter;
    max_calls_ = max_calls;
    for (Slot& slot : slots_) next(slot);
    SHIMA_RETURN_IF_ERROR(connection_.run_until([this] { return running_ == 0; }));
    if (meter_ != nullptr) meter_->read_cpu();
    return error_;
  }

  void ended(Slot& slot, Status status) {
    running_--;
    const uint64_t now_us = monotonic_us();
    if (!status.is_ok() && error_.is_ok()) error_ = std::move(status);
    if (meter_ != nullptr) {
      if (!cpu_read_ && now_us >= meter_->begin_us()) {
        cpu_read_ = true;
        meter_->read_cpu();
      }
      meter_->record(slot.started_us, now_us);
    }
    next(slot);
  }
  uint32_t read_size() const { return read_size_; }  // bytes that each READ must return
  void send_again(Slot& slot) {
    if (send_(slot) != 0) ended(slot, {Code::kInternal, "libnfs cannot queue a call"});
  }

 private:
  void next(Slot& slot) {
    slot.started_us = monotonic_us();
    if (!error_.is_ok() || calls_ >= max_calls_ || (meter_ != nullptr && meter_->over(slot.started_us)))
      return;
    calls_++;
    running_++;
    slot.cookie = slot.entries = 0;
    std::memset(slot.verifier, 0, sizeof slot.verifier);
    if (send_(slot) == 0) return;
    running_--;
    error_ = {Code::kInternal, "libnfs cannot queue a call"};
  }

  NfsConnection& connection_;
  const Send send_;
  const uint32_t read_size_;
  std::deque<Slot> slots_;
  CaseMeter* meter_ = nullptr;
  uint64_t max_calls_ = 0, calls_ = 0;
  uint32_t running_ = 0;
  bool cpu_read_ = false;
  Status error_;
};

// The end of a call whose result begins with a status.
template <typename Result3>
void call_ended(rpc_context*, int status, void* data, void* argument) {
  auto& slot = *static_cast<NfsLoad::Slot*>(argument);
  const auto* result = static_cast<Result3*>(data);
  const bool good = status == RPC_STATUS_SUCCESS && result->status == NFS3_OK;
  slot.load->ended(slot, good ? Status() : nfs_error("a call", status, data, status ? 0 : result->status));
}

void write_ended(rpc_context* rpc, int status, void* data, void* argument) {
  const auto* result = static_cast<WRITE3res*>(data);
  if (status == RPC_STATUS_SUCCESS && result->status == NFS3_OK &&
      result->WRITE3res_u.resok.committed != FILE_SYNC) {
    auto& slot = *static_cast<NfsLoad::Slot*>(argument);
    return slot.load->ended(slot, {Code::kInternal, "a WRITE that was to be FILE_SYNC was not"});
  }
  call_ended<WRITE3res>(rpc, status, data, argument);
}

void read_ended(rpc_context* rpc, int status, void* data, void* argument) {
  const auto* result = static_cast<READ3res*>(data);
  auto& slot = *static_cast<NfsLoad::Slot*>(argument);
  if (status == RPC_STATUS_SUCCESS && result->status == NFS3_OK &&
      result->READ3res_u.resok.count != slot.load->read_size()) {
    return slot.load->ended(slot,
                            {Code::kInternal, "a READ within the file returned " +
                                                  std::to_string(result->READ3res_u.resok.count) + " bytes"});
  }
  call_ended<READ3res>(rpc, status, data, argument);
}

void list_ended(rpc_context* rpc, int status, void* data, void* argument) {
  auto& slot = *static_cast<NfsLoad::Slot*>(argument);
  const auto* result = static_cast<READDIRPLUS3res*>(data);
  if (status != RPC_STATUS_SUCCESS || result->status != NFS3_OK) {
    return call_ended<READDIRPLUS3res>(rpc, status, data, argument);
  }
  const auto& resok = result->READDIRPLUS3res_u.resok;
  for (const entryplus3* entry = resok.reply.entries; entry != nullptr; entry = entry->nextentry) {
    slot.cookie = entry->cookie;
    slot.entries++;
  }
  std::memcpy(slot.verifier, resok.cookieverf, sizeof slot.verifier);
  if (!resok.reply.eof) return slot.load->send_again(slot);
  // Some servers leave out "." and "..".
  const bool all = slot.entries >= kListedFiles && slot.entries <= kListedFiles + 2;
  slot.load->ended(
      slot, all ? Status()
                : Status(Code::kInternal, "a folder of 1,000 files lists " + std::to_string(slot.entries)));
}

class NfsBench {
 public:
  NfsBench(NfsConnection& connection, const FileBenchOptions& options)
      : connection_(connection), options_(options) {}

  Status prepare();
  Status run(const FileCase& file_case);

 private:
  Status fill();
  Status run_data(const FileCase& file_case);
  Status run_create(const FileCase& file_case);
  Status run_stat(const FileCase& file_case);
  Status run_list(const FileCase& file_case);
  Status measure(const FileCase& file_case, NfsLoad::Send send);
  int send_write(NfsLoad::Slot& slot, uint64_t offset, uint32_t size);
  int send_create(NfsLoad::Slot& slot, const Handle& folder, uint64_t number);
  int send_remove(NfsLoad::Slot& slot, const Handle& folder, uint64_t number);

  NfsConnection& connection_;
  const FileBenchOptions& options_;
  Playground ground_;
  std::mt19937_64 random_{std::random_device()()};
};

Status NfsBench::prepare() {
  auto folder = connection_.make_directory(connection_.root(), "shima-bench");
  if (!folder.is_ok()) return folder.status();
  ground_.folder = *folder;
  auto data = connection_.make_file(ground_.folder, "data");
  if (!data.is_ok()) return data.status();
  ground_.data = *data;
  auto size = connection_.size_of(ground_.data);
  if (!size.is_ok()) return size.status();
  ground_.data_filled = *size >= options_.span_bytes;
  return {};
}

int NfsBench::send_write(NfsLoad::Slot& slot, uint64_t offset, uint32_t size) {
  WRITE3args arguments{};
  arguments.file = nfs_handle(ground_.data);
  arguments.offset = offset;
  arguments.count = size;
  arguments.stable = FILE_SYNC;
  arguments.data.data_len = size;
  arguments.data.data_val =
      const_cast<char*>(bench_pattern().data() + random_() % ((kPatternBytes - size) / 512 + 1) * 512);
  return rpc_nfs3_write_async(connection_.rpc(), write_ended, &arguments, &slot);
}

// Every byte of the span is there before any case: what is measured are overwrites, a VM's disk.
Status NfsBench::fill() {
  if (ground_.data_filled) return {};
  constexpr uint32_t kStep = 1u << 20;
  uint64_t offset = 0;
  NfsLoad load(connection_, 4, [&](NfsLoad::Slot& slot) {
    const uint64_t at = offset;
    offset += kStep;
    return send_write(slot, at, kStep);
  });
  SHIMA_RETURN_IF_ERROR(load.run(nullptr, options_.span_bytes / kStep));
  ground_.data_filled = true;
  return {};
}

Status NfsBench::measure(const FileCase& file_case, NfsLoad::Send send) {
  CaseMeter meter(options_);
  NfsLoad load(connection_, file_case.depth, std::move(send), file_case.size);
  SHIMA_RETURN_IF_ERROR(load.run(&meter));
  meter.print(file_case);
  return {};
}

Status NfsBench::run_data(const FileCase& file_case) {
  SHIMA_RETURN_IF_ERROR(fill());
  const uint64_t places = options_.span_bytes / file_case.size;
  const bool sequential = file_case.size >= (1u << 20), write = file_case.kind == FileCase::Kind::kWrite;
  uint64_t next = 0;
  return measure(file_case, [&, sequential, write](NfsLoad::Slot& slot) {
    const uint64_t offset = (sequential ? next++ : random_()) % places * file_case.size;
    if (write) return send_write(slot, offset, file_case.size);
    READ3args arguments{};
    arguments.file = nfs_handle(ground_.data);
    arguments.offset = offset;
    arguments.count = file_case.size;
    return rpc_nfs3_read_async(connection_.rpc(), read_ended, &arguments, &slot);
  });
}

int NfsBench::send_create(NfsLoad::Slot& slot, const Handle& folder, uint64_t number) {
  const std::string name = "file-" + std::to_string(number);
  CREATE3args arguments{};
  arguments.where.dir = nfs_handle(folder);
  arguments.where.name = const_cast<char*>(name.c_str());  // libnfs encodes before it returns
  arguments.how.mode = GUARDED;
  arguments.how.createhow3_u.g_obj_attributes.mode.set_it = 1;
  arguments.how.createhow3_u.g_obj_attributes.mode.set_mode3_u.mode = 0644;
  return rpc_nfs3_create_async(connection_.rpc(), call_ended<CREATE3res>, &arguments, &slot);
}

int NfsBench::send_remove(NfsLoad::Slot& slot, const Handle& folder, uint64_t number) {
  const std::string name = "file-" + std::to_string(number);
  REMOVE3args arguments{};
  arguments.object.dir = nfs_handle(folder);
  arguments.object.name = const_cast<char*>(name.c_str());
  return rpc_nfs3_remove_async(connection_.rpc(), call_ended<REMOVE3res>, &arguments, &slot);
}

// In a folder that is empty at first and gone afterwards, so that every run creates in the same kind of
// folder.
Status NfsBench::run_create(const FileCase& file_case) {
  const std::string name = "create-" + std::to_string(getpid());
  auto folder = connection_.make_directory(ground_.folder, name);
  if (!folder.is_ok()) return folder.status();
  uint64_t created = 0, removed = 0;
  SHIMA_RETURN_IF_ERROR(
      measure(file_case, [&](NfsLoad::Slot& slot) { return send_create(slot, *folder, created++); }));
  NfsLoad cleaning(connection_, 16,
                   [&](NfsLoad::Slot& slot) { return send_remove(slot, *folder, removed++); });
  SHIMA_RETURN_IF_ERROR(cleaning.run(nullptr, created));
  return connection_.remove_directory(ground_.folder, name);
}

Status NfsBench::run_stat(const FileCase& file_case) {
  return measure(file_case, [&](NfsLoad::Slot& slot) {
    GETATTR3args arguments{};
    arguments.object = nfs_handle(ground_.files[random_() % kListedFiles]);
    return rpc_nfs3_getattr_async(connection_.rpc(), call_ended<GETATTR3res>, &arguments, &slot);
  });
}

Status NfsBench::run_list(const FileCase& file_case) {
  return measure(file_case, [&](NfsLoad::Slot& slot) {
    READDIRPLUS3args arguments{};
    arguments.dir = nfs_handle(ground_.listed);
    arguments.cookie = slot.cookie;
    std::memcpy(arguments.cookieverf, slot.verifier, sizeof slot.verifier);
    arguments.dircount = 32768;  // as Linux asks
    arguments.maxcount = 131072;
    return rpc_nfs3_readdirplus_async(connection_.rpc(), list_ended, &arguments, &slot);
  });
}

Status NfsBench::run(const FileCase& file_case) {
  const bool needs_listed =
      file_case.kind == FileCase::Kind::kStat || file_case.kind == FileCase::Kind::kList;
  if (needs_listed && ground_.listed.empty()) {
    auto listed = connection_.make_directory(ground_.folder, "listed");
    if (!listed.is_ok()) return listed.status();
    ground_.listed = *listed;
    for (uint32_t i = 0; i < kListedFiles; i++) {
      auto file = connection_.make_file(ground_.listed, "file-" + std::to_string(i));
      if (!file.is_ok()) return file.status();
      ground_.files.push_back(*file);
    }
  }
  switch (file_case.kind) {
    case FileCase::Kind::kWrite:
    case FileCase::Kind::kRead:
      return run_data(file_case);
    case FileCase::Kind::kCreate:
      return run_create(file_case);
    case FileCase::Kind::kStat:
      return run_stat(file_case);
    case FileCase::Kind::kList:
      return run_list(file_case);
  }
  return {};
}

}  // namespace

Status run_nfs_cases(const NfsAddress& address, const std::vector<FileCase>& cases,
                     const FileBenchOptions& options) {
  auto connection = NfsConnection::open(address);
  if (!connection.is_ok()) return connection.status();
  NfsBench bench(**connection, options);
  SHIMA_RETURN_IF_ERROR(bench.prepare());
  for (const FileCase& file_case : cases) {
    const Status status = bench.run(file_case);
    if (!status.is_ok()) return status.with_context(file_case.name);
  }
  return {};
}

}  // namespace shima
