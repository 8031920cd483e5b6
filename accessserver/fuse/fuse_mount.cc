#include "accessserver/fuse/fuse_mount.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "accessserver/fuse/device_io.h"
#include "accessserver/fuse/fuse_server.h"
#include "accessserver/fuse/mount_point.h"
#include "common/observe/log.h"

namespace shima {

namespace {

constexpr uint32_t kTransferBytes = 1
                                    << 20;  // largest READ and WRITE: what libfuse 3.14 and the kernel allow
constexpr uint32_t kReadaheadBytes = 2 << 20;
// Asynchronous requests (O_DIRECT by io_uring or libaio, read-ahead) that the kernel has under way at once.
constexpr uint32_t kMaxBackground = 256;
constexpr uint32_t kMaxThreads = 64;
constexpr uint32_t kLongestTimeoutMs = 60'000;
// After the last umount(2) the kernel ends the connection at once, and the threads hear of it.
constexpr std::chrono::milliseconds kConnectionEnd{1000};

std::mutex last_words_mutex;
std::string last_words;  // of libfuse, for the error of a mount that failed

void log_of_libfuse(fuse_log_level level, const char* format, va_list arguments) {
  const NoCancellation guard;
  std::array<char, 512> text{};
  vsnprintf(text.data(), text.size(), format, arguments);
  std::string line(text.data());
  while (!line.empty() && line.back() == '\n') line.pop_back();
  if (line.empty()) return;
  log(level <= FUSE_LOG_ERR       ? LogLevel::kError
      : level <= FUSE_LOG_WARNING ? LogLevel::kWarning
                                  : LogLevel::kDebug,
      "fuse", line);
  std::lock_guard lock(last_words_mutex);
  last_words = line;
}

Status with_last_words(Code code, const std::string& what) {
  std::lock_guard lock(last_words_mutex);
  return {code, last_words.empty() ? what : what + ": " + last_words};
}

Status check(const FuseOptions& options) {
  if (options.threads < 1 || options.threads > kMaxThreads) {
    return {Code::kInvalidArgument,
            "a FUSE mount has 1 to 64 threads, not " + std::to_string(options.threads)};
  }
  if (options.attribute_timeout_ms > kLongestTimeoutMs) {
    return {Code::kInvalidArgument,
            "attribute_timeout_ms is at most 60000, not " + std::to_string(options.attribute_timeout_ms)};
  }
  return {};
}

}  // namespace

class FuseMount::Impl {
 public:
  Impl(FileSystem& files, FuseOptions options) : options_(std::move(options)), server_{files, options_} {}
  ~Impl();

  Status start();
  Status unmount(bool force);
  void wait();
  bool mounted() const;

  static void init(void* server, fuse_conn_info* connection);

 private:
  Status mount_session();
  void serve();
  bool connection_ends_soon();
  bool connection_lives() const;
  void close_connection();
  void close_everything();

  FuseOptions options_;
  FuseServer server_;
  fuse_session* session_ = nullptr;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  dev_t device_ = 0;
  int connection_ = -1;
  bool connection_ended_ = false;
  bool ended_ = false;
};

void FuseMount::Impl::init(void* userdata, fuse_conn_info* connection) {
  const auto& server = *static_cast<FuseServer*>(userdata);
  connection->max_write = kTransferBytes;
  connection->max_read = kTransferBytes;
  connection->max_background = kMaxBackground;
  connection->congestion_threshold = kMaxBackground * 3 / 4;
  connection->time_gran = 1;  // ns

  const auto want = [&](unsigned capability, bool on) {
    if (!on) connection->want &= ~capability;
    if (on && (connection->capable & capability) != 0) connection->want |= capability;
  };
  for (const unsigned capability :
       {FUSE_CAP_EXPORT_SUPPORT, FUSE_CAP_POSIX_LOCKS, FUSE_CAP_FLOCK_LOCKS, FUSE_CAP_ASYNC_READ,
        FUSE_CAP_ASYNC_DIO, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_SPLICE_READ}) {
    want(capability, true);
  }
  // Set-id bits: the kernel clears them by SETATTR. O_TRUNC: likewise, which also clears them.
  // WRITEBACK_CACHE would answer writes before they are anywhere. SPLICE_WRITE: answers come from memory that
  // splicing would copy as well.
  for (const unsigned capability :
       {FUSE_CAP_HANDLE_KILLPRIV, FUSE_CAP_ATOMIC_O_TRUNC, FUSE_CAP_WRITEBACK_CACHE, FUSE_CAP_DONT_MASK,
        FUSE_CAP_SPLICE_WRITE, FUSE_CAP_SPLICE_MOVE}) {
    want(capability, false);
  }
  // Attributes that came with a listing are worth something only if the kernel may believe them for a while.
  want(FUSE_CAP_READDIRPLUS, server.options.attribute_timeout_ms > 0);
  want(FUSE_CAP_READDIRPLUS_AUTO, server.options.attribute_timeout_ms > 0);
}

Status FuseMount::Impl::mount_session() {
  fuse_lowlevel_ops operations{};
  operations.init = init;
  add_name_operations(operations);
  add_attribute_operations(operations);
  add_xattr_operations(operations);
  add_directory_operations(operations);
  add_open_operations(operations);
  add_data_operations(operations);
  add_lock_operations(operations);

  std::string program = "shima", flag = "-o";
  std::string text = mount_options(options_, server_.files.volume_name(), kTransferBytes);
  std::array<char*, 3> words{program.data(), flag.data(), text.data()};
  fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(words.size()), words.data());
  session_ = fuse_session_new(&arguments, &operations, sizeof(operations), &server_);
  fuse_opt_free_args(&arguments);
  if (session_ == nullptr) return with_last_words(Code::kIo, "libfuse refuses the options " + text);
  if (fuse_session_mount(session_, options_.mount_point.c_str()) != 0) {
    return with_last_words(Code::kIo,
                           "cannot mount on " + options_.mount_point +
                               " (it takes root and /dev/fuse; in a container also CAP_SYS_ADMIN)");
  }
  if (Status status = use_device_io(*session_); !status.is_ok()) {
    fuse_session_unmount(session_);
    return status;
  }
  return {};
}

Status FuseMount::Impl::start() {
  fuse_set_log_func(log_of_libfuse);
  SHIMA_RETURN_IF_ERROR(check(options_));
  Result<std::string> point = prepare_mount_point(options_.mount_point);
  if (!point) return point.status();
  options_.mount_point = *point;
  server_.pauses.start();
  SHIMA_RETURN_IF_ERROR(mount_session());
  const std::optional<dev_t> device = device_at(options_.mount_point);
  if (!device) {
    fuse_session_unmount(session_);
    return {Code::kIo, options_.mount_point + " went away while it was mounted on"};
  }
  device_ = *device;
  connection_ = connection_of(*session_);
  if (connection_ < 0) {
    fuse_session_unmount(session_);
    return {Code::kIo, "no descriptor is left for the mount at " + options_.mount_point};
  }
  server_.initialized = [this] { set_readahead(device_, kReadaheadBytes); };

  // Signals are for the threads of the program.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread([this] { serve(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return {};
}

void FuseMount::Impl::serve() {
  pthread_setname_np(pthread_self(), "shima-fuse");
  fuse_loop_config* config = fuse_loop_cfg_create();
  fuse_loop_cfg_set_clone_fd(config, options_.clone_fd ? 1 : 0);
  fuse_loop_cfg_set_max_threads(config, options_.threads);
  fuse_loop_cfg_set_idle_threads(config, options_.threads);
  const int result = fuse_session_loop_mt(session_, config);
  fuse_loop_cfg_destroy(config);
  if (result != 0) log(LogLevel::kWarning, "fuse", "the loop of " + options_.mount_point + " ended early");

  {
    std::lock_guard lock(mutex_);
    connection_ended_ = true;
    changed_.notify_all();
  }
  server_.waiting_locks.end();
  server_.in_flight.wait_idle();
  close_everything();
  server_.in_flight.wait_idle();
  {
    std::lock_guard lock(mutex_);
    close_connection();  // a mount that is left over gets errors, and nobody waits
  }
  fuse_session_unmount(session_);
  if (options_.ended) options_.ended();
  std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

// A mount that was taken away sends no RELEASE: what was open is closed here.
void FuseMount::Impl::close_everything() {
  for (const uint64_t handle : server_.open_files.handles()) {
    server_.in_flight.enter();
    close_file(server_, handle, [this] { server_.in_flight.leave(); });
  }
}

Status FuseMount::Impl::unmount(bool force) {
  if (!mounted()) return {};
  // What is there may be someone else's by now: after an unmount from outside, or mounted on top.
  const bool ours = connection_lives() && device_at(options_.mount_point) == device_;
  if (ours) SHIMA_RETURN_IF_ERROR(unmount_point(options_.mount_point, force));
  const bool aborted = ours && force;  // by MNT_FORCE
  if (!aborted && !connection_ends_soon() && connection_lives()) {
    if (!force && !server_.open_files.handles().empty()) {
      return {
          Code::kFailedPrecondition,
          "the volume is off " + options_.mount_point +
              ", but files are open in another mount namespace or since a lazy unmount; end what uses them "
              "(grep " +
              options_.mount_point + " /proc/*/mounts finds namespaces), or unmount with force"};
    }
    SHIMA_RETURN_IF_ERROR(abort_connection(device_));
  }
  wait();
  return {};
}

// In another mount namespace, or by what is open since a lazy unmount.
bool FuseMount::Impl::connection_lives() const {
  std::lock_guard lock(mutex_);
  return connection_ >= 0 && !connection_ended(connection_);
}

void FuseMount::Impl::close_connection() {
  if (connection_ >= 0) close(connection_);
  connection_ = -1;
}

bool FuseMount::Impl::connection_ends_soon() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kConnectionEnd, [this] { return connection_ended_; });
}

void FuseMount::Impl::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
}

bool FuseMount::Impl::mounted() const {
  std::lock_guard lock(mutex_);
  return thread_.joinable() && !ended_;
}

FuseMount::Impl::~Impl() {
  if (thread_.joinable()) {
    if (const Status status = unmount(true); !status.is_ok()) {
      log(LogLevel::kError, "fuse", status.to_string());
      fuse_session_exit(session_);
    }
    thread_.join();
  }
  close_connection();
  if (session_ != nullptr) fuse_session_destroy(session_);
}

FuseMount::FuseMount(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FuseMount::~FuseMount() = default;

Result<std::unique_ptr<FuseMount>> FuseMount::mount(FileSystem& files, FuseOptions options) {
  auto impl = std::make_unique<Impl>(files, std::move(options));
  if (Status status = impl->start(); !status.is_ok()) return status;
  return std::unique_ptr<FuseMount>(new FuseMount(std::move(impl)));
}

Status FuseMount::unmount() { return impl_->unmount(false); }
Status FuseMount::force_unmount() { return impl_->unmount(true); }
void FuseMount::wait() { impl_->wait(); }
bool FuseMount::mounted() const { return impl_->mounted(); }

}  // namespace shima
