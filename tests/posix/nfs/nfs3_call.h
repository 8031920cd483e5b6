// What the procedures of Nfs3Client share: XDR structures from and to its own, and how a call is asked again.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "tests/posix/nfs/nfs3_client.h"

namespace shima {

inline nfs_fh3 fh(const std::string& handle) {
  return {{static_cast<u_int>(handle.size()), const_cast<char*>(handle.data())}};
}
inline diropargs3 in_directory(const std::string& directory, const std::string& name) {
  return {fh(directory), const_cast<char*>(name.c_str())};
}
inline std::string text(const nfs_fh3& handle) { return {handle.data.data_val, handle.data.data_len}; }
inline std::string text(const post_op_fh3& handle) {
  return handle.handle_follows ? text(handle.post_op_fh3_u.handle) : "";
}
inline std::optional<fattr3> told(const post_op_attr& attributes) {
  return attributes.attributes_follow ? std::optional(attributes.post_op_attr_u.attributes) : std::nullopt;
}
inline std::optional<wcc_attr> told(const pre_op_attr& attributes) {
  return attributes.attributes_follow ? std::optional(attributes.pre_op_attr_u.attributes) : std::nullopt;
}

inline nfstime3 time_of(int64_t ns) {
  return {static_cast<u_int>(ns / 1'000'000'000), static_cast<u_int>(ns % 1'000'000'000)};
}

inline sattr3 sattr_of(const NfsSet& set) {
  sattr3 out{};
  if ((out.mode.set_it = set.mode.has_value())) out.mode.set_mode3_u.mode = *set.mode;
  if ((out.uid.set_it = set.uid.has_value())) out.uid.set_uid3_u.uid = *set.uid;
  if ((out.gid.set_it = set.gid.has_value())) out.gid.set_gid3_u.gid = *set.gid;
  if ((out.size.set_it = set.size.has_value())) out.size.set_size3_u.size = *set.size;
  if (set.atime_now) out.atime.set_it = SET_TO_SERVER_TIME;
  if (set.mtime_now) out.mtime.set_it = SET_TO_SERVER_TIME;
  if (set.atime_ns) {
    out.atime.set_it = SET_TO_CLIENT_TIME;
    out.atime.set_atime_u.atime = time_of(*set.atime_ns);
  }
  if (set.mtime_ns) {
    out.mtime.set_it = SET_TO_CLIENT_TIME;
    out.mtime.set_mtime_u.mtime = time_of(*set.mtime_ns);
  }
  return out;
}

struct OpenCall {  // not answered yet
  const std::function<void(void*)>* take = nullptr;
  size_t* open = nullptr;
  bool answered = false;
};
// `context`: the OpenCall.
void on_nfs_answer(rpc_context*, int status, void* data, void* context);

template <typename R>
int Nfs3Client::ask(const Send& send, const std::function<void(const R&)>& take) {
  for (int attempt = 0;; ++attempt) {
    int status = kNoAnswer;
    exchange(send, [&](void* data) {
      const auto& result = *static_cast<const R*>(data);
      status = static_cast<int>(result.status);
      take(result);
    });
    if (status != NFS3ERR_JUKEBOX || attempt == kNfsPatienceSeconds * 20) return status;
    ++asked_again_;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace shima
