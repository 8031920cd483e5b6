#include "accessserver/volume/job_codec.h"

#include <climits>
#include <string>

#include "common/transport/frame.h"
#include "common/types/crc32c.h"

namespace shima {

static_assert(kMaxFramePayload <= INT_MAX, "protobuf counts bytes of a message in an int");

bool job_wants_request_id(const metadata::v1::JobRequest& job) {
  using Job = metadata::v1::JobRequest;
  switch (job.job_case()) {
    case Job::kLookup:
    case Job::kGetAttributes:
    case Job::kReadDirectory:
    case Job::kReadLink:
    case Job::kGetXattr:
    case Job::kListXattrs:
    case Job::kTestLock:
    case Job::kGetUsage:
    case Job::kListOrphans:
    case Job::JOB_NOT_SET:
      return false;
    case Job::kSetAttributes:
    case Job::kCreate:
    case Job::kLink:
    case Job::kRemove:
    case Job::kRename:
    case Job::kSetXattr:
    case Job::kRemoveXattr:
    case Job::kWritten:
    case Job::kWritingPaused:
    case Job::kTruncateDone:
    case Job::kSetLock:
    case Job::kReleaseLocks:
    case Job::kOpenSession:
    case Job::kKeepAlive:
    case Job::kCloseSession:
    case Job::kOrphanDropped:
    case Job::kCloseFenced:
      return true;
  }
  return true;
}

Result<Buffer> encode_job(const metadata::v1::JobRequest& job) {
  size_t size = job.ByteSizeLong();
  if (size > kMaxFramePayload) {
    return {Code::kInvalidArgument, "a job of " + std::to_string(size) + " bytes is larger than the " +
                                        std::to_string(kMaxFramePayload) + " that fit into a frame"};
  }
  return Buffer::make(size, [&](uint8_t* bytes) { job.SerializeToArray(bytes, static_cast<int>(size)); });
}

Result<metadata::v1::JobReply> decode_job_reply(const Buffer& payload, uint32_t checksum) {
  if (crc32c(payload.span()) != checksum) {
    return {Code::kCorrupt,
            "the checksum of a job's reply of " + std::to_string(payload.size()) + " bytes is wrong"};
  }
  metadata::v1::JobReply reply;
  if (payload.size() > kMaxFramePayload ||
      !reply.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return {Code::kInternal, "a job's reply of " + std::to_string(payload.size()) +
                                 " bytes is none that this version can read: versions differ?"};
  }
  return reply;
}

}  // namespace shima
