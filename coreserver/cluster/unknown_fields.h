// Members of a record in etcd that this program does not know: a newer one wrote them, and whoever changes
// the record must not lose them. PURE.
#pragma once

#include <string>

#include "common/status/status.h"

namespace google::protobuf {
class Descriptor;
}

namespace shima {

struct SplitRecord {
  std::string known;    // JSON with those members that the message has
  std::string unknown;  // the others, as "\"key\":value,..."; empty: there are none
};

// Looks at the top of the record only. kCorrupt: the text is no JSON object.
Result<SplitRecord> split_unknown_fields(const google::protobuf::Descriptor& message,
                                         const std::string& json);
// The record with the members put back at its end. `json` is an object with one member at least.
std::string with_unknown_fields(std::string json, const std::string& unknown);

}  // namespace shima
