#include "accessserver/fileops/attribute_source.h"

#include <cerrno>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

void AttributeSource::get(uint64_t inode, Done done) {
  Fetches& fetches = fetches_[inode];
  fetches.waiting.push_back(std::move(done));
  schedule(inode, fetches);
}

void AttributeSource::schedule(uint64_t inode, Fetches& fetches) {
  if (fetches.scheduled || fetches.waiting.empty() || fetches.in_flight >= kMaxInFlight) return;
  fetches.scheduled = true;
  context_.at_end_of_turn([this, inode] { send(inode); });
}

void AttributeSource::send(uint64_t inode) {
  Fetches& fetches = fetches_[inode];
  fetches.scheduled = false;
  fetches.in_flight++;
  JobRequest request;
  request.mutable_get_attributes()->set_inode(inode);
  context_.job(std::move(request), [this, inode, served = std::exchange(fetches.waiting, {})](
                                       JobReply reply) { answered(inode, served, reply); });
}

void AttributeSource::answered(uint64_t inode, const std::vector<Done>& served, const JobReply& reply) {
  auto it = fetches_.find(inode);
  it->second.in_flight--;
  schedule(inode, it->second);
  if (it->second.in_flight == 0 && !it->second.scheduled) fetches_.erase(it);

  auto tell_all = [this, inode, served](int error, const FileAttributes& attributes) {
    if (error == ESTALE || error == ENOENT) forget(inode);
    for (const Done& done : served) done(error, attributes);
  };
  if (reply.error() != 0) return tell_all(reply.error(), {});
  complete(reply.attributes(), tell_all);
}

bool AttributeSource::complete_now(const FileAttributes& attributes) {
  if (attributes.truncating()) return false;
  learn(attributes);
  return true;
}

void AttributeSource::complete(const FileAttributes& attributes, Done done) {
  if (complete_now(attributes)) return done(0, attributes);
  FileAttributes after = attributes;
  after.clear_truncating();
  after.clear_truncating_from();
  truncations_.finish(attributes, [this, after = std::move(after), done = std::move(done)](int error) {
    if (error == 0) learn(after);
    done(error, after);
  });
}

void AttributeSource::learn(const FileAttributes& attributes) {
  if (attributes.type() != metadata::v1::FILE_TYPE_REGULAR) return;
  auto [it, fresh] = known_.try_emplace(attributes.inode());
  Known& known = it->second;
  if (fresh) {
    known.use = uses_.insert(uses_.end(), attributes.inode());
  } else {
    uses_.splice(uses_.end(), uses_, known.use);
    // Replies overtake each other: `change` says which one is newer.
    if (attributes.change() < known.attributes.change()) return;
  }
  known.attributes = attributes;
  if (known_.size() > kMaxKnown) forget(uses_.front());
}

const FileAttributes* AttributeSource::known(uint64_t inode) {
  auto it = known_.find(inode);
  return it == known_.end() ? nullptr : &it->second.attributes;
}

void AttributeSource::forget(uint64_t inode) {
  auto it = known_.find(inode);
  if (it == known_.end()) return;
  uses_.erase(it->second.use);
  known_.erase(it);
}

}  // namespace shima
