#include "accessserver/nfs/xdr/xdr_writer.h"

#include "accessserver/nfs/xdr/xdr_reader.h"
#include "common/status/status.h"

namespace shima {

void XdrWriter::u32(uint32_t value) {
  char big_endian[4] = {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                        static_cast<char>(value >> 8), static_cast<char>(value)};
  bytes_.append(big_endian, sizeof big_endian);
}

void XdrWriter::u64(uint64_t value) {
  u32(static_cast<uint32_t>(value >> 32));
  u32(static_cast<uint32_t>(value));
}

void XdrWriter::fixed(std::string_view bytes) {
  bytes_.append(bytes);
  bytes_.append(xdr_padded(bytes.size()) - bytes.size(), '\0');
}

void XdrWriter::opaque_attached(Buffer bytes) {
  size_t size = bytes.size();
  u32(static_cast<uint32_t>(size));
  if (size == 0) return;
  attached_bytes_ += size;
  attachments_.push_back({bytes_.size(), std::move(bytes)});
  bytes_.append(xdr_padded(size) - size, '\0');
}

void XdrWriter::append(const XdrWriter& other) {
  for (const Attachment& attachment : other.attachments_) {
    attachments_.push_back({bytes_.size() + attachment.at, attachment.bytes});
  }
  bytes_.append(other.bytes_);
  attached_bytes_ += other.attached_bytes_;
}

void XdrWriter::patch_u32(size_t at, uint32_t value) {
  SHIMA_CHECK(attachments_.empty() && at + 4 <= bytes_.size(), "a number outside the message is patched");
  for (int i = 0; i < 4; i++) bytes_[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

std::string XdrWriter::flat() const {
  std::string whole;
  whole.reserve(size());
  size_t from = 0;
  for (const Attachment& attachment : attachments_) {
    whole.append(bytes_, from, attachment.at - from);
    whole.append(reinterpret_cast<const char*>(attachment.bytes.data()), attachment.bytes.size());
    from = attachment.at;
  }
  return whole.append(bytes_, from);
}

}  // namespace shima
