// READDIR and READDIRPLUS: RFC 1813 sections 3.3.16 and 3.3.17.
#include <algorithm>

#include "accessserver/nfs/nfs3_attributes.h"
#include "accessserver/nfs/nfs3_program.h"

namespace shima {
namespace {

using metadata::v1::DirectoryEntry;
using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr uint32_t kMaxListingBytes = 1u << 20;
constexpr size_t kEntryBytes = 4 + 8 + 4 + 8;  // "an entry follows", fileid, length of the name, cookie
constexpr size_t kPlusBytes = kPostOpAttributesBytes + 4 + 4 + NfsHandle::kBytes;
constexpr size_t kAroundEntriesBytes = kPostOpAttributesBytes + 8 + 4 + 4;  // verifier, "no more follow", eof
constexpr size_t kShortestName = 4;                                         // padded

struct Listing {
  uint64_t cookie = 0;
  uint64_t verifier = 0;
  // The whole READDIR3resok may have max_bytes. Fileids, names and cookies alone may have directory_bytes: a
  // wish, not a bound: one entry is always sent if it fits into max_bytes.
  uint32_t directory_bytes = 0, max_bytes = 0;
  bool plus = false;
};

void put_entry(XdrWriter& out, const NfsCall& call, const DirectoryEntry& entry, bool plus) {
  out.boolean(true);
  out.u64(entry.inode());
  out.opaque(entry.name());
  out.u64(entry.cookie());
  if (!plus) return;
  put_post_op(out, call.volume_id(), entry.has_attributes() ? &entry.attributes() : nullptr);
  out.boolean(true);
  out.opaque(call.handle_of(entry.inode()));
}

void reply_listing(NfsCallPtr call, const Listing& listing, const JobReply& reply) {
  if (reply.error()) return NfsCall::fail(std::move(call), nfs_status_of_errno(reply.error()));
  if (reply.has_attributes() && is_gone(reply.attributes())) {
    return NfsCall::fail(std::move(call), NfsStatus::kStale);
  }
  XdrWriter out;
  out.reserve(std::min<size_t>(listing.max_bytes, 256 + reply.entries_size() * (listing.plus ? 200 : 48)));
  out.u32(0);
  put_post_op(out, call->volume_id(), reply.has_attributes() ? &reply.attributes() : nullptr);
  out.u64(kNfsCookieVerifier);
  size_t left = listing.max_bytes - kAroundEntriesBytes;  // at least 0: see list()
  size_t directory_left = std::max<size_t>(listing.directory_bytes, kEntryBytes);
  int sent = 0;
  for (const DirectoryEntry& entry : reply.entries()) {
    size_t directory_bytes = kEntryBytes + xdr_padded(entry.name().size());
    size_t bytes = directory_bytes + (listing.plus ? kPlusBytes : 0);
    if (bytes > left || (sent > 0 && directory_bytes > directory_left)) break;
    put_entry(out, *call, entry, listing.plus);
    left -= bytes;
    directory_left -= std::min(directory_left, directory_bytes);
    sent++;
  }
  if (sent == 0 && reply.entries_size() > 0) return NfsCall::fail(std::move(call), NfsStatus::kTooSmall);
  out.boolean(false);
  out.boolean(reply.end() && sent == reply.entries_size());
  NfsCall::reply(std::move(call), std::move(out));
}

void list(NfsCallPtr call, const Listing& listing) {
  // Our cookies need no verifier; a client that begins in the middle (a cookie of ours and no verifier) is
  // right.
  if (listing.verifier != 0 && listing.verifier != kNfsCookieVerifier) {
    return NfsCall::fail(std::move(call), NfsStatus::kBadCookie);
  }
  size_t entry_bytes = kEntryBytes + (listing.plus ? kPlusBytes : 0);
  if (listing.max_bytes < kAroundEntriesBytes) return NfsCall::fail(std::move(call), NfsStatus::kTooSmall);
  JobRequest job = call->job();
  metadata::v1::ReadDirectory& wanted = *job.mutable_read_directory();
  wanted.set_inode(call->handle.inode);
  wanted.set_after(listing.cookie);
  size_t room = listing.max_bytes - kAroundEntriesBytes;
  wanted.set_max_entries(static_cast<uint32_t>(room / (entry_bytes + kShortestName) + 1));
  wanted.set_max_bytes(static_cast<uint32_t>(room));
  wanted.set_attributes(listing.plus);
  run_job(std::move(call), std::move(job),
          [listing](NfsCallPtr call, JobReply& reply) { reply_listing(std::move(call), listing, reply); });
}

}  // namespace

void Nfs3Program::readdir(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Listing listing;
  listing.cookie = in.u64();
  listing.verifier = in.u64();
  listing.max_bytes = std::min(in.u32(), kMaxListingBytes);
  listing.directory_bytes = listing.max_bytes;
  if (!in.good()) return NfsCall::garbage(std::move(call));
  call->request->charge(2 * listing.max_bytes);  // the job's reply and ours
  enter(std::move(call), [listing](NfsCallPtr call) { list(std::move(call), listing); });
}

void Nfs3Program::readdirplus(NfsCallPtr call) {
  XdrReader& in = call->arguments();
  Listing listing;
  listing.plus = true;
  listing.cookie = in.u64();
  listing.verifier = in.u64();
  listing.directory_bytes = in.u32();
  listing.max_bytes = std::min(in.u32(), kMaxListingBytes);
  if (!in.good()) return NfsCall::garbage(std::move(call));
  call->request->charge(2 * listing.max_bytes);
  enter(std::move(call), [listing](NfsCallPtr call) { list(std::move(call), listing); });
}

}  // namespace shima
