#include "accessserver/fileops/truncation_finisher.h"

#include <cerrno>

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

void TruncationFinisher::finish(const FileAttributes& attributes, Done done) {
  Key key(attributes.inode(), attributes.truncate_sequence());
  auto [it, first] = under_way_.try_emplace(key);
  it->second.push_back(std::move(done));
  if (!first) return;
  context_.truncate(attributes.inode(), attributes.size(), attributes.truncating_from(),
                    attributes.truncate_sequence(), false, [this, key](Status status) {
                      // A higher fence at a group: somebody else has finished this truncation, and more.
                      if (status.is_ok() || status.code() == Code::kStaleFence) return tell_metadata(key);
                      end(key, context_.errno_of(status));
                    });
}

void TruncationFinisher::tell_metadata(Key key) {
  JobRequest request;
  request.mutable_truncate_done()->set_inode(key.first);
  request.mutable_truncate_done()->set_truncate_sequence(key.second);
  context_.job(std::move(request), [this, key](const JobReply& reply) { end(key, reply.error()); });
}

void TruncationFinisher::end(Key key, int error) {
  auto waiting = under_way_.extract(key);
  for (const Done& done : waiting.mapped()) done(error);
}

}  // namespace shima
