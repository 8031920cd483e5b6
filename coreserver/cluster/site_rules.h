// PURE: which addresses a site's servers may have.
#pragma once

#include <map>
#include <string>

#include "common/status/status.h"
#include "coreserver/cluster/cluster_state.h"

namespace shima {

// The name and CIDRs of a site that is to be made, against the sites that are there. kInvalidArgument.
Status check_new_site(const SiteInfo& site, const std::map<std::string, SiteInfo>& others);

// kFailedPrecondition: the client or storage address lies in another site's CIDR, or the storage address in
// none of its own site's though that has some. DNS names are not judged.
Status check_server_addresses(const std::string& site, const ServerNetworks& networks,
                              const std::map<std::string, SiteInfo>& sites);

}  // namespace shima
