// PURE: what Kubernetes takes as a label ("Labels and Selectors", syntax and character set), and Shima as a
// site's name.
#pragma once

#include <string>

namespace shima {

inline constexpr char kLabelKeyWanted[] = "a label's key, as in topology.kubernetes.io/zone";
inline constexpr char kLabelValueWanted[] =
    "a label's value: at most 63 of [A-Za-z0-9._-], a letter or digit at both ends";
inline constexpr char kSiteNameWanted[] =
    "a site's name: 1 to 63 of [a-z0-9-], a letter or digit at both ends";

// NAME or PREFIX/NAME: NAME as a value, but not empty; PREFIX a DNS subdomain of at most 253 characters.
bool valid_label_key(const std::string& text);
// Empty, or 1 to 63 of [A-Za-z0-9._-] with a letter or digit at both ends.
bool valid_label_value(const std::string& text);
// A site's name: 1 to 63 characters [a-z0-9-], first and last a letter or a digit.
bool valid_site_name(const std::string& text);
// An object's name: a DNS subdomain (RFC 1123), at most 253 of [a-z0-9.-].
bool valid_object_name(const std::string& text);

}  // namespace shima
