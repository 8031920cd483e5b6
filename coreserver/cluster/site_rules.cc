#include "coreserver/cluster/site_rules.h"

#include "common/network/cidr.h"
#include "coreserver/cluster/records.h"

namespace shima {
namespace {

bool lies_in(const IpAddress& ip, const SiteInfo& site) {
  for (const std::string& text : site.cidrs) {
    Result<Cidr> cidr = parse_cidr(text);
    if (cidr && cidr->contains(ip)) return true;
  }
  return false;
}

std::string list_of(const std::vector<std::string>& texts) {
  std::string all;
  for (const auto& t : texts) all += (all.empty() ? "" : ", ") + t;
  return all;
}

}  // namespace

Status check_new_site(const SiteInfo& site, const std::map<std::string, SiteInfo>& others) {
  SHIMA_RETURN_IF_ERROR(check_site_name(site.name));
  for (const std::string& text : site.cidrs) {
    Result<Cidr> cidr = parse_cidr(text);
    if (!cidr) return cidr.status().with_context("site " + site.name + ": CIDR");
    for (const auto& [name, other] : others) {
      if (name == site.name) continue;
      for (const std::string& other_text : other.cidrs) {
        Result<Cidr> other_cidr = parse_cidr(other_text);
        if (other_cidr && cidr->overlaps(*other_cidr)) {
          return {Code::kInvalidArgument, "site " + site.name + ": CIDR " + text + " overlaps " + other_text +
                                              " of site " + name + "; each address belongs to one site"};
        }
      }
    }
  }
  return Status::ok();
}

Status check_server_addresses(const std::string& site, const ServerNetworks& networks,
                              const std::map<std::string, SiteInfo>& sites) {
  for (const std::string* address : {&networks.client.address, &networks.storage.address}) {
    std::optional<IpAddress> ip = parse_ip(*address);
    if (!ip) continue;
    for (const auto& [name, other] : sites) {
      if (name == site || !lies_in(*ip, other)) continue;
      return {Code::kFailedPrecondition, "this server is configured for site " + site + ", but its address " +
                                             *address + " lies in a subnet of site " + name + " (" +
                                             list_of(other.cidrs) +
                                             "); correct the server's name or its networks"};
    }
  }
  auto own = sites.find(site);
  std::optional<IpAddress> storage = parse_ip(networks.storage.address);
  if (storage && own != sites.end() && !own->second.cidrs.empty() && !lies_in(*storage, own->second)) {
    return {Code::kFailedPrecondition, "the storage address " + networks.storage.address +
                                           " lies in none of the subnets of site " + site + " (" +
                                           list_of(own->second.cidrs) +
                                           "); correct networks.storage or the site's record"};
  }
  return Status::ok();
}

}  // namespace shima
