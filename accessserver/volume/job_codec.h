// Jobs (api/shima/metadata/v1) as payloads of frames.
#pragma once

#include "common/status/status.h"
#include "common/types/buffer.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

// True if the job may change something, so that a repetition must be known as one: it goes with a request id
// (R20). The same division as job_changes() of coreserver/jobs/jobs.h makes.
bool job_wants_request_id(const metadata::v1::JobRequest& job);

// kInvalidArgument if the job is larger than a frame's payload may be.
Result<Buffer> encode_job(const metadata::v1::JobRequest& job);

// kCorrupt if the payload has another checksum, kInternal if it is no reply.
Result<metadata::v1::JobReply> decode_job_reply(const Buffer& payload, uint32_t checksum);

}  // namespace shima
