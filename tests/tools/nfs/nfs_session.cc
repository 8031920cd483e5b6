#include "tests/tools/nfs/nfs_session.h"

#include <fcntl.h>
#include <nfsc/libnfs.h>
#include <poll.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <thread>
#include <utility>

namespace shima {
namespace {

// JUKEBOX. Reads and writes have it in words only.
bool asks_again(int error, nfs_context* nfs) {
  if (error >= 0) return false;
  const char* words = nfs_get_error(nfs);
  return error == -EAGAIN || (words && std::strstr(words, "NFS3ERR_JUKEBOX"));
}

// Whether it is not yet too late to ask again; pauses.
class AskAgain {
 public:
  bool may() {
    if (std::chrono::steady_clock::now() > until_) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    return true;
  }

 private:
  const std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
};

}  // namespace

struct NfsSession::InFlight {
  Piece piece;
  bool writes = false, may_repeat = false;
  size_t* count = nullptr;
  int* error = nullptr;
  const bool* lost = nullptr;  // the connection
  std::deque<Piece>* again = nullptr;
};

NfsSession::~NfsSession() { drop(); }

void NfsSession::drop() {
  file_ = nullptr;  // goes with the context
  if (nfs_) nfs_destroy_context(nfs_);
  nfs_ = nullptr;
}

Status NfsSession::connect() {
  drop();
  const std::string& server = target_.servers[at_];
  const size_t colon = server.rfind(':');
  const std::string host = server.substr(0, colon), port = server.substr(colon + 1);
  nfs_ = nfs_init_context();
  if (!nfs_) return {Code::kIo, "libnfs has no memory"};
  nfs_set_timeout(nfs_, target_.timeout_ms);
  nfs_set_dircache(nfs_, 0);
  const std::string url = "nfs://" + host + "/" + target_.volume + "/?version=3&nfsport=" + port +
                          "&mountport=" + port + "&autoreconnect=0&readahead=0";
  nfs_url* parsed = nfs_parse_url_dir(nfs_, url.c_str());
  if (!parsed) return {Code::kInvalidArgument, "libnfs does not understand " + url};
  const int error = nfs_mount(nfs_, parsed->server, parsed->path);
  nfs_destroy_url(parsed);
  if (error == 0) return Status::ok();
  Status status = status_of(error, "mounting " + url);
  drop();
  return status;
}

Status NfsSession::connect_patiently() {
  AskAgain again;
  reconnecting_ = true;
  Status done;
  do {
    done = connect();
    if (done.is_ok() && !path_.empty()) done = open(path_, flags_ & ~(O_TRUNC | O_EXCL), mode_);
  } while (done.code() == Code::kUnavailable && again.may());
  reconnecting_ = false;
  return done;
}

Status NfsSession::connect_to_next() {
  at_ = (at_ + 1) % target_.servers.size();
  return connect();
}

Status NfsSession::status_of(int error, const std::string& what) const {
  if (error >= 0) return Status::ok();
  const char* words = nfs_ ? nfs_get_error(nfs_) : nullptr;
  const std::string text =
      what + ": " + std::strerror(-error) + (words && *words ? std::string(" (") + words + ")" : "");
  // Where libnfs has the name of the error and another one's errno.
  const std::pair<const char*, Code> kNamed[] = {
      {"MNT3ERR_NOENT", Code::kNotFound},          {"MNT3ERR_ACCES", Code::kPermissionDenied},
      {"NFS3ERR_DQUOT", Code::kNoSpace},           {"NFS3ERR_NOSPC", Code::kNoSpace},
      {"MNT3ERR_SERVERFAULT", Code::kUnavailable}, {"nfs_service failed", Code::kUnavailable}};
  for (const auto& [name, code] : kNamed) {
    if (text.find(name) != std::string::npos) return {code, text};
  }
  switch (-error) {
    case ENOENT:
    case ESTALE:
      return {Code::kNotFound, text};
    case EEXIST:
      return {Code::kAlreadyExists, text};
    case ENOSPC:
    case EDQUOT:
      return {Code::kNoSpace, text};
    case EACCES:
    case EPERM:
    case EROFS:
      return {Code::kPermissionDenied, text};
    case EFAULT:  // libnfs: the connection is gone, or the RPC failed
    case EINTR:
    case ECONNREFUSED:
    case ECONNRESET:
    case ETIMEDOUT:
    case EAGAIN:
      return {Code::kUnavailable, text};
    default:
      return {Code::kIo, text};
  }
}

Status NfsSession::call(const std::string& what, const std::function<int(nfs_context*)>& function) {
  if (!nfs_) return {Code::kUnavailable, what + ": not connected"};
  const bool patient = !target_.fails_over && !reconnecting_;
  AskAgain again;
  for (;;) {
    const int result = function(nfs_);
    const bool asked_again = asks_again(result, nfs_);
    Status status = status_of(result, what);
    if (!patient || !(asked_again || status.code() == Code::kUnavailable) || !again.may()) return status;
    if (!asked_again) SHIMA_RETURN_IF_ERROR(connect_patiently());  // the connection was lost
  }
}

Status NfsSession::open(const std::string& path, int flags, int mode) {
  file_ = nullptr;
  path_ = path, flags_ = flags, mode_ = mode;
  return call("opening " + path, [&](nfs_context* nfs) {
    return flags & O_CREAT ? nfs_create(nfs, path.c_str(), flags, mode, &file_)
                           : nfs_open(nfs, path.c_str(), flags, &file_);
  });
}

Status NfsSession::truncate(uint64_t size) {
  return call("truncating", [&](nfs_context* nfs) { return nfs_ftruncate(nfs, file_, size); });
}

Status NfsSession::close() {
  nfsfh* file = std::exchange(file_, nullptr);
  path_.clear();
  if (!nfs_) return {Code::kUnavailable, "closing: not connected"};
  return status_of(nfs_close(nfs_, file), "closing");
}

Status NfsSession::write(uint64_t offset, std::span<const uint8_t> bytes) {
  return call("writing", [&](nfs_context* nfs) {
    const int n = nfs_pwrite(nfs, file_, offset, bytes.size(), const_cast<uint8_t*>(bytes.data()));
    return n < 0 ? n : static_cast<size_t>(n) == bytes.size() ? 0 : -EIO;
  });
}

Status NfsSession::read(uint64_t offset, std::span<uint8_t> bytes) {
  return call("reading", [&](nfs_context* nfs) {
    const int n = nfs_pread(nfs, file_, offset, bytes.size(), bytes.data());
    return n < 0 ? n : static_cast<size_t>(n) == bytes.size() ? 0 : -EIO;
  });
}

Status NfsSession::serve_events(int timeout_ms) {
  pollfd events{nfs_get_fd(nfs_), static_cast<short>(nfs_which_events(nfs_)), 0};
  if (poll(&events, 1, timeout_ms) < 0 && errno != EINTR) return {Code::kIo, "poll failed"};
  if (nfs_service(nfs_, events.revents) < 0) return status_of(-ECONNRESET, "the connection to " + server());
  return Status::ok();
}

Status NfsSession::pipeline(bool writes, size_t depth, const std::function<bool(Piece&)>& next) {
  size_t count = 0;
  int error = 0;
  bool more = true, lost = false;
  std::deque<Piece> again;
  AskAgain patience;
  const auto finished = [](int result, nfs_context* nfs, void* data, void* context) {
    std::unique_ptr<InFlight> ended(static_cast<InFlight*>(context));
    --*ended->count;
    if (ended->may_repeat && (*ended->lost || asks_again(result, nfs)))
      return ended->again->push_back(std::move(ended->piece));
    const size_t wanted = ended->piece.bytes.size();
    const bool whole = result >= 0 && static_cast<size_t>(result) == wanted;
    if (!whole) {
      *ended->error = result < 0 ? result : -EIO;
      return;
    }
    if (!ended->writes) std::memcpy(ended->piece.bytes.data(), data, wanted);
    ended->piece.done();
  };
  while (error == 0 && (more || count > 0 || !again.empty())) {
    const bool may = again.empty() || patience.may();
    while ((more || !again.empty()) && error == 0 && count < depth) {
      auto piece = std::make_unique<InFlight>();
      if (!again.empty()) {
        piece->piece = std::move(again.front());
        again.pop_front();
      } else if (more = next(piece->piece); !more) {
        break;
      }
      piece->writes = writes;
      piece->may_repeat = !target_.fails_over && may;
      piece->lost = &lost;
      piece->again = &again;
      piece->count = &count;
      piece->error = &error;
      const auto& bytes = piece->piece.bytes;
      InFlight* context = piece.release();
      const int queued =
          writes ? nfs_pwrite_async(nfs_, file_, context->piece.offset, bytes.size(), bytes.data(), finished,
                                    context)
                 : nfs_pread_async(nfs_, file_, context->piece.offset, bytes.size(), finished, context);
      if (queued < 0) {
        delete context;
        error = -ENOMEM;
      } else {
        ++count;
      }
    }
    if (error == 0 && count > 0) {
      if (Status served = serve_events(1000); !served.is_ok()) {
        lost = true;
        drop();  // calls back what is in flight
        if (target_.fails_over || count > 0 || !patience.may()) return served;
        SHIMA_RETURN_IF_ERROR(connect_patiently());
        lost = false;
      }
    }
  }
  if (error == 0) return Status::ok();
  Status status = status_of(error, writes ? "writing" : "reading");
  drop();
  return status;
}

}  // namespace shima
