#include "accessserver/fileops/orphan_dropper.h"

#include "common/types/record.h"

namespace shima {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

namespace {

constexpr uint32_t kAtATime = 64;

}  // namespace

void OrphanDropper::start() {
  context_.after(context_.options().orphan_sweep_ms, [this] { sweep(); });
}

void OrphanDropper::sweep() {
  if (context_.closing()) return;
  JobRequest request;
  request.mutable_list_orphans()->set_max(kAtATime);
  context_.job(std::move(request), [this](const JobReply& reply) {
    std::vector<metadata::v1::Orphan> orphans(reply.orphans().rbegin(), reply.orphans().rend());
    bool more = orphans.size() >= kAtATime;
    drop(std::move(orphans), more);
  });
}

// One after another: what clients wait for goes first.
void OrphanDropper::drop(std::vector<metadata::v1::Orphan> orphans, bool more) {
  if (context_.closing()) return;
  if (orphans.empty()) return more ? sweep() : start();
  metadata::v1::Orphan orphan = orphans.back();
  orphans.pop_back();
  context_.truncate(orphan.inode(), 0, orphan.high_water(), kRemovedFence, true,
                    [this, orphan, orphans = std::move(orphans), more](const Status& status) mutable {
                      if (!status.is_ok()) return drop({}, false);  // later
                      JobRequest request;
                      request.mutable_orphan_dropped()->set_inode(orphan.inode());
                      context_.job(std::move(request),
                                   [this, orphans = std::move(orphans), more](const JobReply& reply) mutable {
                                     drop(std::move(orphans), more && reply.error() == 0);
                                   });
                    });
}

}  // namespace shima
