// XdrWriter: appends XDR values (RFC 4506) to a message; large opaques are attached, not copied.
//
// The message is bytes() with each attachment put in at its place. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/types/buffer.h"

namespace shima {

class XdrWriter {
 public:
  struct Attachment {
    size_t at;  // offset in bytes() that it stands before
    Buffer bytes;
  };

  void u32(uint32_t value);
  void u64(uint64_t value);
  void boolean(bool value) { u32(value ? 1 : 0); }
  void fixed(std::string_view bytes);  // opaque[size]: with padding, without a length
  void opaque(std::string_view bytes) {
    u32(static_cast<uint32_t>(bytes.size()));
    fixed(bytes);
  }
  void opaque_attached(Buffer bytes);  // as opaque(); shares the memory
  void append(const XdrWriter& other);

  // Overwrites a number that was written before; `at` is what size() was then. Only before anything is
  // attached.
  void patch_u32(size_t at, uint32_t value);
  // Takes back what was written since size() was `at`. Only before anything is attached.
  void cut_to(size_t at) { bytes_.resize(at); }
  void reserve(size_t bytes) { bytes_.reserve(bytes); }

  size_t size() const { return bytes_.size() + attached_bytes_; }
  const std::string& bytes() const { return bytes_; }
  const std::vector<Attachment>& attachments() const { return attachments_; }
  std::string flat() const;  // the whole message, copied

 private:
  std::string bytes_;
  std::vector<Attachment> attachments_;
  size_t attached_bytes_ = 0;
};

}  // namespace shima
