// PURE: what may be shown of a CSI request.
//
// Fields with the option csi_secret (CSI 1.12, "Secrets Requirements") are never shown, at any depth; texts
// from outside are quoted, so that a log line stays one line, and cut.
#pragma once

#include <google/protobuf/message.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace shima {

inline constexpr size_t kMaxShownTextBytes = 160;
inline constexpr size_t kMaxShownMessageBytes = 2048;

// The text in double quotes, with a backslash before quotes and backslashes, and control characters and what
// is not ASCII as \xNN; "..." behind what was cut.
std::string quoted(std::string_view text, size_t max_bytes = kMaxShownTextBytes);

// One line with all fields but secret ones, each of which is shown as "(secret)". Also cut.
std::string loggable_text(const google::protobuf::Message& message);

// What the call is about: the field volume_id, source_volume_id, volume or name, whichever the message has;
// else "".
std::string subject_of(const google::protobuf::Message& message);

// The field path; "" if the message has none.
std::string path_of(const google::protobuf::Message& message);

}  // namespace shima
