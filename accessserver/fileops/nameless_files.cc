#include "accessserver/fileops/nameless_files.h"

#include <cerrno>
#include <utility>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

constexpr uint64_t kPauseMs = 100;
constexpr uint64_t kSlackMs = 1000;  // beyond the time between two signs of life of a session

}  // namespace

void NamelessFiles::find_who_has_open(uint64_t inode, FileContext::ErrorDone done) {
  const uint64_t until_ms = context_.now_ms() + context_.options().keep_alive_ms + kSlackMs;
  sessions_.answer_for(inode, [this, inode, until_ms, done = std::move(done)](int error) {
    if (error != 0) return done(error);
    ask(inode, until_ms, done);
  });
}

void NamelessFiles::ask(uint64_t inode, uint64_t until_ms, FileContext::ErrorDone done) {
  JobRequest request;
  request.mutable_get_attributes()->set_inode(inode);
  context_.job(std::move(request), [this, inode, until_ms, done = std::move(done)](const JobReply& reply) {
    if (reply.error() != 0) return done(reply.error());
    if (reply.orphans_size() > 0) return done(ESTALE);
    const bool named = reply.attributes().nlink() > 0;
    if (named || context_.closing() || context_.now_ms() >= until_ms) return done(0);
    context_.after(kPauseMs, [this, inode, until_ms, done] { ask(inode, until_ms, done); });
  });
}

void NamelessFiles::hold(uint64_t inode, FileContext::ErrorDone done) {
  sessions_.answer_for(inode, [this, inode, done = std::move(done)](int error) {
    if (error != 0) return done(error);
    ask(inode, 0, done);
  });
}

}  // namespace shima
