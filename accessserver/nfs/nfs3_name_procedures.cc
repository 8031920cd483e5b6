// LOOKUP, CREATE, MKDIR, SYMLINK, MKNOD, REMOVE, RMDIR, RENAME, LINK: RFC 1813 sections 3.3.3, 3.3.8
// to 3.3.15.
#include "accessserver/nfs/nfs3_attributes.h"
#include "accessserver/nfs/nfs3_program.h"

namespace shima {
namespace {

using metadata::v1::Create;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;

enum CreateMode : uint32_t { kUnchecked = 0, kGuarded = 1, kExclusive = 2 };
enum FileType3 : uint32_t {
  kRegular = 1,
  kDirectory = 2,
  kBlock = 3,
  kCharacter = 4,
  kLink = 5,
  kSocket = 6,
  kFifo = 7
};

// A diropargs3 behind the procedure's first handle, and what is wrong with its name.
struct Name {
  std::string name;
  NfsStatus status = NfsStatus::kOk;
};

Name take_name(XdrReader& in) {
  Name taken;
  taken.name = in.string(in.left());
  taken.status = check_name(taken.name);
  return taken;
}

void worsen(NfsStatus& status, NfsStatus other) {
  if (status == NfsStatus::kOk) status = other;
}

// Of the directory that the job was about. A directory without a name is stale.
NfsStatus directory_status(const JobReply& reply) {
  if (reply.has_parent() && is_gone(reply.parent())) return NfsStatus::kStale;
  return nfs_status_of_errno(reply.error());
}

void put_directory_wcc(XdrWriter& out, const NfsCall& call, const JobReply& reply) {
  put_wcc(out, call.volume_id(), reply.has_parent_before() ? &reply.parent_before() : nullptr,
          reply.has_parent() ? &reply.parent() : nullptr);
}

// CREATE3res, MKDIR3res, SYMLINK3res and MKNOD3res are alike.
void reply_made(NfsCallPtr call, const JobReply& reply) {
  NfsStatus status = directory_status(reply);
  if (status == NfsStatus::kStale) return NfsCall::fail(std::move(call), status);
  XdrWriter out;
  out.u32(static_cast<uint32_t>(status));
  if (status == NfsStatus::kOk) {
    out.boolean(true);
    out.opaque(call->handle_of(reply.attributes().inode()));
    put_post_op(out, call->volume_id(), &reply.attributes());
  } else {
    call->count_error();
  }
  put_directory_wcc(out, *call, reply);
  NfsCall::reply(std::move(call), std::move(out));
}

// What sattr3 may say of a new file that is not a regular one: it has no size.
metadata::v1::NewAttributes without_size(metadata::v1::NewAttributes set) {
  set.clear_size();
  return set;
}

}  // namespace

void Nfs3Program::lookup(NfsCallPtr call) {
  Name name = take_name(call->arguments());
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  enter(std::move(call), [name = std::move(name)](NfsCallPtr call) {
    if (name.status != NfsStatus::kOk) return NfsCall::fail(std::move(call), name.status);
    JobRequest job = call->job();
    job.mutable_lookup()->set_parent(call->handle.inode);
    job.mutable_lookup()->set_name(name.name);
    run_job(std::move(call), std::move(job), [](NfsCallPtr call, JobReply& reply) {
      NfsStatus status = directory_status(reply);
      if (status == NfsStatus::kStale) return NfsCall::fail(std::move(call), status);
      XdrWriter out;
      out.u32(static_cast<uint32_t>(status));
      if (status == NfsStatus::kOk) {
        out.opaque(call->handle_of(reply.attributes().inode()));
        put_post_op(out, call->volume_id(), &reply.attributes());
      } else {
        call->count_error();
      }
      put_post_op(out, call->volume_id(), reply.has_parent() ? &reply.parent() : nullptr);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

// Everything but the parent, the name and `valid` is in `create`.
void Nfs3Program::make(NfsCallPtr call, Create create, NfsStatus valid) {
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  if (is_dot_name(create.name())) worsen(valid, NfsStatus::kExists);
  enter(std::move(call), [create = std::move(create), valid](NfsCallPtr call) mutable {
    if (valid != NfsStatus::kOk) return NfsCall::fail(std::move(call), valid);
    create.set_parent(call->handle.inode);
    // A client that says nothing of the mode sets it later; until then the file is nobody's to open.
    if (!create.set().has_mode()) create.mutable_set()->set_mode(0);
    JobRequest job = call->job();
    *job.mutable_create() = std::move(create);
    run_job(std::move(call), std::move(job),
            [](NfsCallPtr call, JobReply& reply) { reply_made(std::move(call), reply); });
  });
}

void Nfs3Program::create(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Name name = take_name(in);
  Create create;
  create.set_name(name.name);
  create.set_type(metadata::v1::FILE_TYPE_REGULAR);
  uint32_t mode = in.choice(kExclusive);
  if (mode == kExclusive) {
    create.set_how(Create::EXCLUSIVE);
    create.set_verifier(in.u64());
  } else {
    create.set_how(mode == kGuarded ? Create::GUARDED : Create::UNCHECKED);
    if (!take_sattr3(in, *create.mutable_set())) worsen(name.status, NfsStatus::kInvalid);
    if (create.set().size() > kNfsMaxFileBytes) worsen(name.status, NfsStatus::kFileTooBig);
  }
  make(std::move(call), std::move(create), name.status);
}

void Nfs3Program::mkdir(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Name name = take_name(in);
  metadata::v1::NewAttributes set;
  if (!take_sattr3(in, set)) worsen(name.status, NfsStatus::kInvalid);
  Create create;
  create.set_name(name.name);
  create.set_type(metadata::v1::FILE_TYPE_DIRECTORY);
  create.set_how(Create::GUARDED);
  *create.mutable_set() = without_size(std::move(set));
  make(std::move(call), std::move(create), name.status);
}

void Nfs3Program::symlink(NfsCallPtr call) {
  constexpr size_t kMaxTarget = 4095;
  XdrReader& in = call->arguments();
  Name name = take_name(in);
  metadata::v1::NewAttributes set;
  if (!take_sattr3(in, set)) worsen(name.status, NfsStatus::kInvalid);
  std::string target = in.string(in.left());
  if (target.size() > kMaxTarget) worsen(name.status, NfsStatus::kNameTooLong);
  if (target.empty() || target.find('\0') != std::string::npos) worsen(name.status, NfsStatus::kInvalid);
  Create create;
  create.set_name(name.name);
  create.set_type(metadata::v1::FILE_TYPE_SYMLINK);
  create.set_how(Create::GUARDED);
  create.set_target(target);
  *create.mutable_set() = without_size(std::move(set));
  create.mutable_set()->set_mode(0777);  // as POSIX systems show every symlink
  make(std::move(call), std::move(create), name.status);
}

void Nfs3Program::mknod(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Name name = take_name(in);
  Create create;
  create.set_name(name.name);
  create.set_how(Create::GUARDED);
  metadata::v1::NewAttributes set;
  uint32_t type = in.u32();
  bool device = type == kBlock || type == kCharacter;
  if (device || type == kSocket || type == kFifo) {
    if (!take_sattr3(in, set)) worsen(name.status, NfsStatus::kInvalid);
  } else if (type >= kRegular && type <= kFifo) {
    worsen(name.status, NfsStatus::kBadType);  // those have procedures of their own
  } else {
    return NfsCall::garbage(std::move(call));
  }
  if (device) {
    create.set_rdev_major(in.u32());
    create.set_rdev_minor(in.u32());
  }
  create.set_type(type == kBlock       ? metadata::v1::FILE_TYPE_BLOCK_DEVICE
                  : type == kCharacter ? metadata::v1::FILE_TYPE_CHARACTER_DEVICE
                  : type == kSocket    ? metadata::v1::FILE_TYPE_SOCKET
                                       : metadata::v1::FILE_TYPE_FIFO);
  *create.mutable_set() = without_size(std::move(set));
  make(std::move(call), std::move(create), name.status);
}

void Nfs3Program::remove(NfsCallPtr call) { unlink(std::move(call), false); }
void Nfs3Program::rmdir(NfsCallPtr call) { unlink(std::move(call), true); }

void Nfs3Program::unlink(NfsCallPtr call, bool directory) {
  Name name = take_name(call->arguments());
  if (!call->arguments().good()) return NfsCall::garbage(std::move(call));
  // RFC 1813 section 3.3.13 for RMDIR; REMOVE may not touch what the names stand for at all.
  if (name.name == ".") worsen(name.status, directory ? NfsStatus::kInvalid : NfsStatus::kAccess);
  if (name.name == "..") worsen(name.status, directory ? NfsStatus::kExists : NfsStatus::kAccess);
  enter(std::move(call), [name = std::move(name), directory](NfsCallPtr call) {
    if (name.status != NfsStatus::kOk) return NfsCall::fail(std::move(call), name.status);
    JobRequest job = call->job();
    job.mutable_remove()->set_parent(call->handle.inode);
    job.mutable_remove()->set_name(name.name);
    job.mutable_remove()->set_directory(directory);
    run_job(std::move(call), std::move(job), [](NfsCallPtr call, JobReply& reply) {
      NfsStatus status = directory_status(reply);
      if (status == NfsStatus::kStale) return NfsCall::fail(std::move(call), status);
      if (status != NfsStatus::kOk) call->count_error();
      XdrWriter out;
      out.u32(static_cast<uint32_t>(status));
      put_directory_wcc(out, *call, reply);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::rename(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Name from = take_name(in);
  std::optional<NfsHandle> to_directory = take_handle(in);
  Name to = take_name(in);
  if (!in.good()) return NfsCall::garbage(std::move(call));
  NfsStatus valid = from.status;
  worsen(valid, to.status);
  if (is_dot_name(from.name) || is_dot_name(to.name)) worsen(valid, NfsStatus::kInvalid);
  call->bad_handle |= !to_directory.has_value();
  enter(std::move(call), [=](NfsCallPtr call) {
    if (to_directory->volume != call->handle.volume) {
      return NfsCall::fail(std::move(call), NfsStatus::kCrossDevice);
    }
    if (to_directory->life != call->handle.life || to_directory->generation != call->handle.generation) {
      return NfsCall::fail(std::move(call), NfsStatus::kStale);
    }
    if (valid != NfsStatus::kOk) return NfsCall::fail(std::move(call), valid);
    JobRequest job = call->job();
    job.mutable_rename()->set_from_parent(call->handle.inode);
    job.mutable_rename()->set_from_name(from.name);
    job.mutable_rename()->set_to_parent(to_directory->inode);
    job.mutable_rename()->set_to_name(to.name);
    run_job(std::move(call), std::move(job), [](NfsCallPtr call, JobReply& reply) {
      NfsStatus status = nfs_status_of_errno(reply.error());
      if (status != NfsStatus::kOk) call->count_error();
      XdrWriter out;
      out.u32(static_cast<uint32_t>(status));
      put_wcc(out, call->volume_id(), reply.has_from_parent_before() ? &reply.from_parent_before() : nullptr,
              reply.has_from_parent() ? &reply.from_parent() : nullptr);
      put_directory_wcc(out, *call, reply);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

void Nfs3Program::link(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  std::optional<NfsHandle> directory = take_handle(in);
  Name name = take_name(in);
  if (!in.good()) return NfsCall::garbage(std::move(call));
  if (is_dot_name(name.name)) worsen(name.status, NfsStatus::kExists);
  call->bad_handle |= !directory.has_value();
  enter(std::move(call), [directory, name = std::move(name)](NfsCallPtr call) {
    if (directory->volume != call->handle.volume) {
      return NfsCall::fail(std::move(call), NfsStatus::kCrossDevice);
    }
    if (directory->life != call->handle.life || directory->generation != call->handle.generation) {
      return NfsCall::fail(std::move(call), NfsStatus::kStale);
    }
    if (name.status != NfsStatus::kOk) return NfsCall::fail(std::move(call), name.status);
    JobRequest job = call->job();
    job.mutable_link()->set_inode(call->handle.inode);
    job.mutable_link()->set_parent(directory->inode);
    job.mutable_link()->set_name(name.name);
    run_job(std::move(call), std::move(job), [](NfsCallPtr call, JobReply& reply) {
      // Nobody links an open file that has no name through NFS: its handle is as stale here as elsewhere.
      if (reply.has_attributes() && is_gone(reply.attributes())) {
        return NfsCall::fail(std::move(call), NfsStatus::kStale);
      }
      NfsStatus status = directory_status(reply);
      if (status != NfsStatus::kOk) call->count_error();
      XdrWriter out;
      out.u32(static_cast<uint32_t>(status));
      put_post_op(out, call->volume_id(), reply.has_attributes() ? &reply.attributes() : nullptr);
      put_directory_wcc(out, *call, reply);
      NfsCall::reply(std::move(call), std::move(out));
    });
  });
}

}  // namespace shima
