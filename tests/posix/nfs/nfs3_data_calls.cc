// Procedures of Nfs3Client that take the handle of one object.
#include <utility>

#include "tests/posix/nfs/nfs3_call.h"

namespace shima {

namespace {

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
  std::vector<OpenCall> calls(pieces.size());
  size_t count = 0;
  for (size_t i = 0; i < pieces.size(); ++i) {
    takes[i] = [&answer = answers[i]](void* data) {
      const auto& r = *static_cast<const WRITE3res*>(data);
      answer.status = static_cast<int>(r.status);
      take_write(answer, r);
    };
    calls[i] = {&takes[i], &count};
    WRITE3args args = write_args(handle, pieces[i].offset, pieces[i].bytes, UNSTABLE);
    if (rpc_nfs3_write_async(rpc_, on_nfs_answer, &args, &calls[i]) == 0) ++count;
  }
  if (!wait_for(count)) rpc_disconnect(rpc_, "no answer");
  return answers;
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
