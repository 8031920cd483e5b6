// The attributes of NFSv3 on the wire: fattr3, wcc_data, sattr3 (RFC 1813 section 2.6).
#pragma once

#include <cstdint>

#include "accessserver/nfs/xdr/xdr_reader.h"
#include "accessserver/nfs/xdr/xdr_writer.h"
#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

inline constexpr size_t kFattr3Bytes = 84;
inline constexpr size_t kPostOpAttributesBytes = 4 + kFattr3Bytes;

void put_fattr3(XdrWriter& out, uint64_t volume, const metadata::v1::Attributes& attributes);
// post_op_attr; null: none.
void put_post_op(XdrWriter& out, uint64_t volume, const metadata::v1::Attributes* attributes);
// wcc_data; null: none.
void put_wcc(XdrWriter& out, uint64_t volume, const metadata::v1::Attributes* before,
             const metadata::v1::Attributes* after);

// nfstime3: 32 bits of seconds; what does not fit is the nearest that does.
void put_nfstime3(XdrWriter& out, int64_t time_ns);
// False: a billion or more nanoseconds.
bool take_nfstime3(XdrReader& in, int64_t& time_ns);

// sattr3. False: a time that is none (NFS3ERR_INVAL). A malformed one makes `in` bad.
bool take_sattr3(XdrReader& in, metadata::v1::NewAttributes& set);

uint32_t ftype3_of(metadata::v1::FileType type);

}  // namespace shima
