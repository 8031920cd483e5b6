// Procedures of Nfs3Client on names in directories.

#include <cstring>
#include <utility>

#include "tests/posix/nfs/nfs3_call.h"

namespace shima {

namespace {

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

}  // namespace

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

}  // namespace shima
