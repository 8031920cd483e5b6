// Sessions in the metadata KV: what is kept under `n` keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coreserver/jobs/kv_view.h"

namespace shima {

struct StoredSession {
  uint64_t orphans_at_opening = 0;  // number of the newest orphan then: it has none of these open
  bool closing = false;             // over, but for locks and holds that end_session() has not got to yet
  uint64_t publication = 0;         // that its client had when it opened the session (R20); 0: none
  uint64_t access_incarnation = 0;  // the same, of a registered access server
  std::string name;                 // for people
};

// A session without publication and incarnation is encoded as before there were any.
std::string encode_session(const StoredSession& session);
std::optional<StoredSession> decode_session(std::string_view value);

// Value of keys that say all there is to say (`L`, `h`, `H`): a version.
inline std::string presence_value() { return "\1"; }

// Is there such a session, and not about to go? A damaged record counts as one: nothing is taken from it.
bool is_live_session(const KvView& view, uint64_t session);

}  // namespace shima
