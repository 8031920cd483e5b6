// Export rules: which clients may use volumes, and how.
//
// PURE. A rule is written "CIDR:rw|ro:no_root_squash|root_squash|all_squash", as in
// "10.1.0.0/16:rw:root_squash". The first rule whose subnet holds the client's address decides; a client that
// no rule names is refused.
#pragma once

#include <string>
#include <vector>

#include "accessserver/server/exports.h"
#include "common/network/cidr.h"
#include "common/status/status.h"

namespace shima {

struct ExportRule {
  Cidr subnet;
  Access access;  // allowed is true
};

// kInvalidArgument: "found ..., wanted ...", without the option's name.
Result<ExportRule> parse_export_rule(const std::string& text);

// `client`: IPv4 or IPv6 literal; an IPv4 address in IPv6 (::ffff:10.1.0.1) is the IPv4 address. What is not
// an address is refused.
Access access_of(const std::vector<ExportRule>& rules, const std::string& client);

}  // namespace shima
