#include "tests/posix/nfs/nfs3_client.h"

#include <nfsc/libnfs-zdr.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace shima {

namespace {

constexpr int kPatienceSeconds = 60;

struct Open {  // a call that is not answered yet
  const std::function<void(void*)>* take = nullptr;
  size_t* open = nullptr;
  bool answered = false;
};

void on_answer(rpc_context*, int status, void* data, void* context) {
  auto* call = static_cast<Open*>(context);
  --*call->open;
  if (status != RPC_STATUS_SUCCESS) return;
  call->answered = true;
  (*call->take)(data);
}

nfs_fh3 fh(const std::string& handle) {
  return {{static_cast<u_int>(handle.size()), const_cast<char*>(handle.data())}};
}
diropargs3 in_directory(const std::string& directory, const std::string& name) {
  return {fh(directory), const_cast<char*>(name.c_str())};
}
std::string text(const nfs_fh3& handle) { return {handle.data.data_val, handle.data.data_len}; }
std::string text(const post_op_fh3& handle) {
  return handle.handle_follows ? text(handle.post_op_fh3_u.handle) : "";
}
std::optional<fattr3> told(const post_op_attr& attributes) {
  return attributes.attributes_follow ? std::optional(attributes.post_op_attr_u.attributes) : std::nullopt;
}
std::optional<wcc_attr> told(const pre_op_attr& attributes) {
  return attributes.attributes_follow ? std::optional(attributes.pre_op_attr_u.attributes) : std::nullopt;
}

nfstime3 time_of(int64_t ns) {
  return {static_cast<u_int>(ns / 1'000'000'000), static_cast<u_int>(ns % 1'000'000'000)};
}

sattr3 sattr_of(const NfsSet& set) {
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

// CREATE3resok, MKDIR3resok, SYMLINK3resok and MKNOD3resok are alike.
template <typename Ok, typename Fail>
void take_made(NfsAnswer& answer, int status, const Ok& ok, const Fail& fail) {
  const wcc_data& wcc = status == NFS3_OK ? ok.dir_wcc : fail.dir_wcc;
  answer.before = told(wcc.before);
  answer.directory = told(wcc.after);
  if (status != NFS3_OK) return;
  answer.handle = text(ok.obj);
  answer.attributes = told(ok.obj_attributes);
}

void take_write(NfsAnswer& answer, const WRITE3res& r) {
  const wcc_data& wcc = r.status == NFS3_OK ? r.WRITE3res_u.resok.file_wcc : r.WRITE3res_u.resfail.file_wcc;
  answer.before = told(wcc.before);
  answer.attributes = told(wcc.after);
  if (r.status == NFS3_OK) answer.word = r.WRITE3res_u.resok.count;
}

WRITE3args write_args(const std::string& handle, uint64_t offset, std::span<const uint8_t> bytes,
                      stable_how stable) {
  WRITE3args args{};
  args.file = fh(handle);
  args.offset = offset;
  args.count = args.data.data_len = static_cast<u_int>(bytes.size());
  args.stable = stable;
  args.data.data_val = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
  return args;
}

}  // namespace

int errno_of_nfs(int status) {
  switch (status) {
    case NFS3ERR_NAMETOOLONG:
      return ENAMETOOLONG;
    case NFS3ERR_NOTEMPTY:
      return ENOTEMPTY;
    case NFS3ERR_DQUOT:
      return EDQUOT;
    case NFS3ERR_STALE:
    case NFS3ERR_BADHANDLE:
      return ESTALE;
    case NFS3ERR_NOTSUPP:
      return EOPNOTSUPP;
    case NFS3ERR_JUKEBOX:
      return EAGAIN;
    default:
      return status >= 0 && status <= NFS3ERR_MLINK ? status : EIO;  // these have Linux's numbers
  }
}

int64_t nanoseconds(const nfstime3& time) { return (int64_t{time.seconds} * 1'000'000'000) + time.nseconds; }

Result<std::unique_ptr<Nfs3Client>> Nfs3Client::mount(const std::string& server, const std::string& path) {
  const size_t colon = server.rfind(':');
  if (colon == std::string::npos) {
    return Status(Code::kInvalidArgument, "'" + server + "' is no HOST:PORT: add the port");
  }
  std::unique_ptr<Nfs3Client> client(new Nfs3Client);
  SHIMA_RETURN_IF_ERROR(client->connect(server.substr(0, colon), std::atoi(server.c_str() + colon + 1)));
  client->act_as({});
  int status = kNoAnswer;
  client->exchange(
      [&](rpc_cb done, void* context) {
        return rpc_mount3_mnt_async(client->rpc_, done, const_cast<char*>(path.c_str()), context);
      },
      [&](void* data) {
        const auto& result = *static_cast<const mountres3*>(data);
        status = static_cast<int>(result.fhs_status);
        const fhandle3& root = result.mountres3_u.mountinfo.fhandle;
        if (status == MNT3_OK) client->root_.assign(root.fhandle3_val, root.fhandle3_len);
      });
  if (status == MNT3_OK) return client;
  return Status(Code::kUnavailable, "mounting " + path + " at " + server + ": mountstat3 " +
                                        std::to_string(status) + " " + client->error());
}

Nfs3Client::~Nfs3Client() {
  if (rpc_ != nullptr) rpc_destroy_context(rpc_);
}

Status Nfs3Client::connect(const std::string& host, int port) {
  rpc_ = rpc_init_context();
  if (rpc_ == nullptr) return {Code::kIo, "libnfs has no memory"};
  const bool connected = exchange(
      [&](rpc_cb done, void* context) { return rpc_connect_async(rpc_, host.c_str(), port, done, context); },
      [](void*) {});
  if (connected) return Status::ok();
  return {Code::kUnavailable, "no connection to " + host + ":" + std::to_string(port) + ": " + error()};
}

void Nfs3Client::act_as(const NfsCaller& caller) {
  std::vector<uint32_t> groups = caller.groups;
  rpc_set_auth(rpc_, libnfs_authunix_create("tester", caller.uid, caller.gid,
                                            static_cast<uint32_t>(groups.size()), groups.data()));
}

std::string Nfs3Client::error() const {
  const char* words = rpc_get_error(rpc_);
  return words != nullptr ? words : "";
}

bool Nfs3Client::wait_for(const size_t& open) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kPatienceSeconds);
  while (open > 0 && std::chrono::steady_clock::now() < until) {
    pollfd events{rpc_get_fd(rpc_), static_cast<short>(rpc_which_events(rpc_)), 0};
    if (poll(&events, 1, 1000) < 0 && errno != EINTR) return false;
    if (rpc_service(rpc_, events.revents) < 0) return false;
  }
  return open == 0;
}

bool Nfs3Client::exchange(const Send& send, const std::function<void(void*)>& take) {
  size_t count = 1;
  // On the heap: libnfs may call back as late as when the connection is destroyed.
  auto call = std::make_unique<Open>(Open{&take, &count});
  if (send(on_answer, call.get()) != 0) return false;
  const bool answered = wait_for(count) && call->answered;
  if (count > 0) rpc_disconnect(rpc_, "no answer");  // calls back what is open
  return answered;
}

template <typename R>
int Nfs3Client::ask(const Send& send, const std::function<void(const R&)>& take) {
  for (int attempt = 0;; ++attempt) {
    int status = kNoAnswer;
    exchange(send, [&](void* data) {
      const auto& result = *static_cast<const R*>(data);
      status = static_cast<int>(result.status);
      take(result);
    });
    if (status != NFS3ERR_JUKEBOX || attempt == kPatienceSeconds * 20) return status;
    ++asked_again_;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

NfsAnswer Nfs3Client::getattr(const std::string& handle) {
  NfsAnswer answer;
  GETATTR3args args{fh(handle)};
  answer.status =
      ask<GETATTR3res>([&](rpc_cb done, void* c) { return rpc_nfs3_getattr_async(rpc_, done, &args, c); },
                       [&](const GETATTR3res& r) {
                         if (r.status == NFS3_OK) answer.attributes = r.GETATTR3res_u.resok.obj_attributes;
                       });
  return answer;
}

NfsAnswer Nfs3Client::setattr(const std::string& handle, const NfsSet& set, std::optional<nfstime3> guard) {
  NfsAnswer answer;
  SETATTR3args args{};
  args.object = fh(handle);
  args.new_attributes = sattr_of(set);
  if ((args.guard.check = guard.has_value())) args.guard.sattrguard3_u.obj_ctime = *guard;
  answer.status =
      ask<SETATTR3res>([&](rpc_cb done, void* c) { return rpc_nfs3_setattr_async(rpc_, done, &args, c); },
                       [&](const SETATTR3res& r) {
                         const wcc_data& wcc = r.status == NFS3_OK ? r.SETATTR3res_u.resok.obj_wcc
                                                                   : r.SETATTR3res_u.resfail.obj_wcc;
                         answer.before = told(wcc.before);
                         answer.attributes = told(wcc.after);
                       });
  return answer;
}

NfsAnswer Nfs3Client::lookup(const std::string& directory, const std::string& name) {
  NfsAnswer answer;
  LOOKUP3args args{in_directory(directory, name)};
  answer.status = ask<LOOKUP3res>(
      [&](rpc_cb done, void* c) { return rpc_nfs3_lookup_async(rpc_, done, &args, c); },
      [&](const LOOKUP3res& r) {
        const bool ok = r.status == NFS3_OK;
        answer.directory =
            told(ok ? r.LOOKUP3res_u.resok.dir_attributes : r.LOOKUP3res_u.resfail.dir_attributes);
        if (!ok) return;
        answer.handle = text(r.LOOKUP3res_u.resok.object);
        answer.attributes = told(r.LOOKUP3res_u.resok.obj_attributes);
      });
  return answer;
}

NfsAnswer Nfs3Client::access(const std::string& handle, uint32_t wanted) {
  NfsAnswer answer;
  ACCESS3args args{fh(handle), wanted};
  answer.status =
      ask<ACCESS3res>([&](rpc_cb done, void* c) { return rpc_nfs3_access_async(rpc_, done, &args, c); },
                      [&](const ACCESS3res& r) {
                        if (r.status != NFS3_OK) return;
                        answer.attributes = told(r.ACCESS3res_u.resok.obj_attributes);
                        answer.word = r.ACCESS3res_u.resok.access;
                      });
  return answer;
}

NfsAnswer Nfs3Client::readlink(const std::string& handle) {
  NfsAnswer answer;
  READLINK3args args{fh(handle)};
  answer.status =
      ask<READLINK3res>([&](rpc_cb done, void* c) { return rpc_nfs3_readlink_async(rpc_, done, &args, c); },
                        [&](const READLINK3res& r) {
                          if (r.status != NFS3_OK) return;
                          answer.attributes = told(r.READLINK3res_u.resok.symlink_attributes);
                          answer.bytes = r.READLINK3res_u.resok.data;
                        });
  return answer;
}

NfsAnswer Nfs3Client::read(const std::string& handle, uint64_t offset, uint32_t count) {
  NfsAnswer answer;
  READ3args args{fh(handle), offset, count};
  answer.status = ask<READ3res>(
      [&](rpc_cb done, void* c) { return rpc_nfs3_read_async(rpc_, done, &args, c); },
      [&](const READ3res& r) {
        if (r.status != NFS3_OK) return;
        const READ3resok& ok = r.READ3res_u.resok;
        answer.attributes = told(ok.file_attributes);
        answer.bytes = ok.data.data_len > 0 ? std::string(ok.data.data_val, ok.data.data_len) : "";
        answer.word = ok.count;
        answer.end = ok.eof != 0;
      });
  return answer;
}

NfsAnswer Nfs3Client::write(const std::string& handle, uint64_t offset, std::span<const uint8_t> bytes,
                            stable_how stable) {
  NfsAnswer answer;
  WRITE3args args = write_args(handle, offset, bytes, stable);
  answer.status =
      ask<WRITE3res>([&](rpc_cb done, void* c) { return rpc_nfs3_write_async(rpc_, done, &args, c); },
                     [&](const WRITE3res& r) { take_write(answer, r); });
  return answer;
}

std::vector<NfsAnswer> Nfs3Client::write_together(const std::string& handle,
                                                  const std::vector<Piece>& pieces) {
  std::vector<NfsAnswer> answers(pieces.size());
  std::vector<std::function<void(void*)>> takes(pieces.size());
  std::vector<Open> calls(pieces.size());
  size_t count = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    takes[i] = [&answer = answers[i]](void* data) {
      const auto& r = *static_cast<const WRITE3res*>(data);
      answer.status = static_cast<int>(r.status);
      take_write(answer, r);
    };
    calls[i] = {&takes[i], &count};
    WRITE3args args = write_args(handle, pieces[i].offset, pieces[i].bytes, UNSTABLE);
    if (rpc_nfs3_write_async(rpc_, on_answer, &args, &calls[i]) == 0) ++count;
  }
  if (!wait_for(count)) rpc_disconnect(rpc_, "no answer");
  return answers;
}

NfsAnswer Nfs3Client::create(const std::string& directory, const std::string& name, createmode3 how,
                             const NfsSet& set, uint64_t verifier) {
  NfsAnswer answer;
  CREATE3args args{};
  args.where = in_directory(directory, name);
  args.how.mode = how;
  if (how == EXCLUSIVE) {
    std::memcpy(args.how.createhow3_u.verf, &verifier, sizeof verifier);
  } else {
    args.how.createhow3_u.obj_attributes = sattr_of(set);
  }
  answer.status =
      ask<CREATE3res>([&](rpc_cb done, void* c) { return rpc_nfs3_create_async(rpc_, done, &args, c); },
                      [&](const CREATE3res& r) {
                        take_made(answer, r.status, r.CREATE3res_u.resok, r.CREATE3res_u.resfail);
                      });
  return answer;
}

NfsAnswer Nfs3Client::mkdir(const std::string& directory, const std::string& name, const NfsSet& set) {
  NfsAnswer answer;
  MKDIR3args args{in_directory(directory, name), sattr_of(set)};
  answer.status = ask<MKDIR3res>(
      [&](rpc_cb done, void* c) { return rpc_nfs3_mkdir_async(rpc_, done, &args, c); },
      [&](const MKDIR3res& r) { take_made(answer, r.status, r.MKDIR3res_u.resok, r.MKDIR3res_u.resfail); });
  return answer;
}

NfsAnswer Nfs3Client::symlink(const std::string& directory, const std::string& name,
                              const std::string& target) {
  NfsAnswer answer;
  SYMLINK3args args{in_directory(directory, name), {sattr_of({}), const_cast<char*>(target.c_str())}};
  answer.status =
      ask<SYMLINK3res>([&](rpc_cb done, void* c) { return rpc_nfs3_symlink_async(rpc_, done, &args, c); },
                       [&](const SYMLINK3res& r) {
                         take_made(answer, r.status, r.SYMLINK3res_u.resok, r.SYMLINK3res_u.resfail);
                       });
  return answer;
}

NfsAnswer Nfs3Client::mknod(const std::string& directory, const std::string& name, ftype3 type,
                            const NfsSet& set, uint32_t major, uint32_t minor) {
  NfsAnswer answer;
  MKNOD3args args{};
  args.where = in_directory(directory, name);
  args.what.type = type;
  if (type == NF3CHR || type == NF3BLK) {
    args.what.mknoddata3_u.chr_device = {sattr_of(set), {major, minor}};
  } else {
    args.what.mknoddata3_u.pipe_attributes = sattr_of(set);
  }
  answer.status = ask<MKNOD3res>(
      [&](rpc_cb done, void* c) { return rpc_nfs3_mknod_async(rpc_, done, &args, c); },
      [&](const MKNOD3res& r) { take_made(answer, r.status, r.MKNOD3res_u.resok, r.MKNOD3res_u.resfail); });
  return answer;
}

NfsAnswer Nfs3Client::remove(const std::string& directory, const std::string& name) {
  NfsAnswer answer;
  REMOVE3args args{in_directory(directory, name)};
  answer.status =
      ask<REMOVE3res>([&](rpc_cb done, void* c) { return rpc_nfs3_remove_async(rpc_, done, &args, c); },
                      [&](const REMOVE3res& r) {
                        const wcc_data& wcc = r.status == NFS3_OK ? r.REMOVE3res_u.resok.dir_wcc
                                                                  : r.REMOVE3res_u.resfail.dir_wcc;
                        answer.before = told(wcc.before);
                        answer.directory = told(wcc.after);
                      });
  return answer;
}

NfsAnswer Nfs3Client::rmdir(const std::string& directory, const std::string& name) {
  NfsAnswer answer;
  RMDIR3args args{in_directory(directory, name)};
  answer.status =
      ask<RMDIR3res>([&](rpc_cb done, void* c) { return rpc_nfs3_rmdir_async(rpc_, done, &args, c); },
                     [&](const RMDIR3res& r) {
                       const wcc_data& wcc =
                           r.status == NFS3_OK ? r.RMDIR3res_u.resok.dir_wcc : r.RMDIR3res_u.resfail.dir_wcc;
                       answer.before = told(wcc.before);
                       answer.directory = told(wcc.after);
                     });
  return answer;
}

NfsAnswer Nfs3Client::rename(const std::string& from_directory, const std::string& from,
                             const std::string& to_directory, const std::string& to) {
  NfsAnswer answer;
  RENAME3args args{in_directory(from_directory, from), in_directory(to_directory, to)};
  answer.status =
      ask<RENAME3res>([&](rpc_cb done, void* c) { return rpc_nfs3_rename_async(rpc_, done, &args, c); },
                      [&](const RENAME3res& r) {
                        const RENAME3resok& ok = r.RENAME3res_u.resok;  // resfail is alike
                        answer.from_directory = told(ok.fromdir_wcc.after);
                        answer.directory = told(ok.todir_wcc.after);
                      });
  return answer;
}

NfsAnswer Nfs3Client::link(const std::string& file, const std::string& directory, const std::string& name) {
  NfsAnswer answer;
  LINK3args args{fh(file), in_directory(directory, name)};
  answer.status =
      ask<LINK3res>([&](rpc_cb done, void* c) { return rpc_nfs3_link_async(rpc_, done, &args, c); },
                    [&](const LINK3res& r) {
                      const LINK3resok& ok = r.LINK3res_u.resok;  // resfail is alike
                      answer.attributes = told(ok.file_attributes);
                      answer.directory = told(ok.linkdir_wcc.after);
                    });
  return answer;
}

NfsListing Nfs3Client::readdir(const std::string& directory, bool plus, uint32_t count, uint64_t cookie,
                               const std::string& verifier) {
  NfsListing listing;
  const auto begin = [&](auto& args) {
    args.dir = fh(directory);
    args.cookie = cookie;
    if (!verifier.empty()) std::memcpy(args.cookieverf, verifier.data(), NFS3_COOKIEVERFSIZE);
  };
  if (plus) {
    READDIRPLUS3args args{};
    begin(args);
    args.dircount = args.maxcount = count;
    listing.status = ask<READDIRPLUS3res>(
        [&](rpc_cb done, void* c) { return rpc_nfs3_readdirplus_async(rpc_, done, &args, c); },
        [&](const READDIRPLUS3res& r) {
          if (r.status != NFS3_OK) return;
          const READDIRPLUS3resok& ok = r.READDIRPLUS3res_u.resok;
          listing.verifier.assign(ok.cookieverf, NFS3_COOKIEVERFSIZE);
          listing.end = ok.reply.eof != 0;
          for (const entryplus3* e = ok.reply.entries; e != nullptr; e = e->nextentry) {
            listing.entries.push_back(
                {e->name, text(e->name_handle), e->fileid, e->cookie, told(e->name_attributes)});
          }
        });
    return listing;
  }
  READDIR3args args{};
  begin(args);
  args.count = count;
  listing.status =
      ask<READDIR3res>([&](rpc_cb done, void* c) { return rpc_nfs3_readdir_async(rpc_, done, &args, c); },
                       [&](const READDIR3res& r) {
                         if (r.status != NFS3_OK) return;
                         const READDIR3resok& ok = r.READDIR3res_u.resok;
                         listing.verifier.assign(ok.cookieverf, NFS3_COOKIEVERFSIZE);
                         listing.end = ok.reply.eof != 0;
                         for (const entry3* e = ok.reply.entries; e != nullptr; e = e->nextentry) {
                           listing.entries.push_back({e->name, "", e->fileid, e->cookie, std::nullopt});
                         }
                       });
  return listing;
}

NfsListing Nfs3Client::list(const std::string& directory, bool plus, uint32_t count) {
  NfsListing all;
  uint64_t cookie = 0;
  for (;;) {
    NfsListing page = readdir(directory, plus, count, cookie, all.verifier);
    all.status = page.status;
    all.verifier = page.verifier;
    all.end = page.end;
    if (page.status != NFS3_OK) return all;
    for (NfsEntry& entry : page.entries) all.entries.push_back(std::move(entry));
    if (page.end || page.entries.empty()) return all;
    cookie = all.entries.back().cookie;
  }
}

NfsStatistics3 Nfs3Client::statistics(const std::string& handle) {
  NfsStatistics3 all;
  FSSTAT3args space{fh(handle)};
  FSINFO3args limits{fh(handle)};
  PATHCONF3args names{fh(handle)};
  all.status =
      ask<FSSTAT3res>([&](rpc_cb done, void* c) { return rpc_nfs3_fsstat_async(rpc_, done, &space, c); },
                      [&](const FSSTAT3res& r) {
                        if (r.status == NFS3_OK) all.space = r.FSSTAT3res_u.resok;
                      });
  if (all.status != NFS3_OK) return all;
  all.status =
      ask<FSINFO3res>([&](rpc_cb done, void* c) { return rpc_nfs3_fsinfo_async(rpc_, done, &limits, c); },
                      [&](const FSINFO3res& r) {
                        if (r.status == NFS3_OK) all.limits = r.FSINFO3res_u.resok;
                      });
  if (all.status != NFS3_OK) return all;
  all.status =
      ask<PATHCONF3res>([&](rpc_cb done, void* c) { return rpc_nfs3_pathconf_async(rpc_, done, &names, c); },
                        [&](const PATHCONF3res& r) {
                          if (r.status == NFS3_OK) all.names = r.PATHCONF3res_u.resok;
                        });
  return all;
}

NfsAnswer Nfs3Client::commit(const std::string& handle, uint64_t offset, uint32_t count) {
  NfsAnswer answer;
  COMMIT3args args{fh(handle), offset, count};
  answer.status =
      ask<COMMIT3res>([&](rpc_cb done, void* c) { return rpc_nfs3_commit_async(rpc_, done, &args, c); },
                      [&](const COMMIT3res& r) {
                        if (r.status == NFS3_OK) {
                          answer.attributes = told(r.COMMIT3res_u.resok.file_wcc.after);
                        }
                      });
  return answer;
}

}  // namespace shima
