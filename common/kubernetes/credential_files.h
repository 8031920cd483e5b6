// Small files that somebody else writes and renews: tokens, certificates, kubeconfigs.
#pragma once

#include <cstddef>
#include <string>

#include "common/status/status.h"

namespace shima {

inline constexpr size_t kMaxCredentialBytes = 1u << 20;

// The whole file. kFailedPrecondition, with its path: it cannot be read, is empty, or has more than
// `max_bytes`.
Result<std::string> read_credential_file(const std::string& path, size_t max_bytes = kMaxCredentialBytes);
// Without white space at its ends.
std::string trimmed(const std::string& text);
// `text` (of `where`, for the message) as it may stand in a header of HTTP (RFC 6750 section 2.1), without
// white space at its ends. kFailedPrecondition if it may not.
Result<std::string> checked_token(const std::string& text, const std::string& where);

}  // namespace shima
