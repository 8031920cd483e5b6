#include "accessserver/nfs/nfs3_program.h"

namespace shima {

const std::array<Nfs3Program::Procedure, kNfs3Procedures> Nfs3Program::kProcedures = {{
    {&Nfs3Program::null, false},         // 0
    {&Nfs3Program::getattr, false},      // 1
    {&Nfs3Program::setattr, true},       // 2
    {&Nfs3Program::lookup, false},       // 3
    {&Nfs3Program::access, false},       // 4
    {&Nfs3Program::readlink, false},     // 5
    {&Nfs3Program::read, false},         // 6
    {&Nfs3Program::write, true},         // 7
    {&Nfs3Program::create, true},        // 8
    {&Nfs3Program::mkdir, true},         // 9
    {&Nfs3Program::symlink, true},       // 10
    {&Nfs3Program::mknod, true},         // 11
    {&Nfs3Program::remove, true},        // 12
    {&Nfs3Program::rmdir, true},         // 13
    {&Nfs3Program::rename, true},        // 14
    {&Nfs3Program::link, true},          // 15
    {&Nfs3Program::readdir, false},      // 16
    {&Nfs3Program::readdirplus, false},  // 17
    {&Nfs3Program::fsstat, false},       // 18
    {&Nfs3Program::fsinfo, false},       // 19
    {&Nfs3Program::pathconf, false},     // 20
    {&Nfs3Program::commit, false},       // 21
}};

// A WRITE may be done twice: the client that repeats it has not been told of the first one, and orders what
// it writes over it after the answer.
bool Nfs3Program::repeatable(uint32_t procedure) const {
  return !kProcedures[procedure].changes || kProcedures[procedure].handler == &Nfs3Program::write;
}

void Nfs3Program::call(RpcRequestPtr request) {
  auto call = std::make_shared<NfsCall>(std::move(request), counters_);
  counters_.requests[call->procedure].fetch_add(1, std::memory_order_relaxed);
  if (call->procedure != 0) {
    std::optional<NfsHandle> handle = take_handle(call->arguments());
    call->bad_handle = !handle.has_value();
    if (handle) call->handle = *handle;
  }
  Handler handler = kProcedures[call->procedure].handler;
  (this->*handler)(std::move(call));
}

bool Nfs3Program::admit(NfsCallPtr& call, std::shared_ptr<FileSystem> volume) {
  NfsStatus status = NfsStatus::kOk;
  if (!volume || volume->life() != call->handle.life || call->handle.generation != NfsHandle::kGeneration) {
    status = NfsStatus::kStale;
  } else {
    call->access = exports_.access(volume->volume_name(), call->request->client());
    if (!call->access.allowed) {
      status = call->access.try_later ? NfsStatus::kJukebox : NfsStatus::kAccess;
    } else if (call->access.read_only && kProcedures[call->procedure].changes) {
      status = NfsStatus::kReadOnly;
    }
  }
  if (status != NfsStatus::kOk) {
    NfsCall::fail(std::move(call), status);
    return false;
  }
  call->volume = volume.get();
  call->request->keep(std::move(volume));
  return true;
}

}  // namespace shima
