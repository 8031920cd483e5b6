#include "coreserver/cluster/records.h"

#include <arpa/inet.h>

#include <cctype>

#include "common/network/cidr.h"
#include "coreserver/cluster/record_json.h"
#include "coreserver/cluster/record_protobuf.h"

namespace shima {
namespace {

namespace v1 = cluster::v1;

constexpr size_t kMaxRefusalBytes = 1024;  // of its reason

// Of records that are written anew by their owners, who know all that is in them.
template <typename Record>
Result<Record> from_json(const EtcdKeyValue& item, const std::string& magic) {
  std::string unknown;
  return shima::from_json<Record>(item, magic, unknown);
}

template <typename Info>
Result<Info> finish(const EtcdKeyValue& item, Result<Info> info) {
  if (!info) return corrupt_record(item, info.status().message());
  if (info->name != parse_key(item.key).name)
    return corrupt_record(item, "names itself \"" + info->name + "\"");
  info->mod_revision = item.mod_revision;
  return info;
}

std::string key_of(std::string_view type, std::string_view name) {
  return std::string(kClusterPrefix) + std::string(type) + "/" + std::string(name);
}

Status check_name(std::string_view what, std::string_view name, bool dots) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  bool good = !name.empty() && name.size() <= 63 && plain(name.front());
  for (char c : name) good = good && (plain(c) || c == '-' || (dots && c == '.'));
  if (good) return Status::ok();
  return {Code::kInvalidArgument, "found " + std::string(what) + " name \"" + std::string(name) +
                                      "\", wanted 1 to 63 of a-z, 0-9" + (dots ? ", '.'" : "") +
                                      " and '-', the first a letter or a digit"};
}

bool is_small_number(std::string_view text) {
  return !text.empty() && text.size() <= 10 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What others sent, fit for a message.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 64));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text.size() > 64 ? out + "..." : out;
}

}  // namespace

std::string site_key(std::string_view site) { return key_of("sites", site); }
std::string server_key(std::string_view server_name) { return key_of("servers", server_name); }
std::string alive_key(std::string_view server_name) { return key_of("alive", server_name); }
std::string volume_key(std::string_view volume) { return key_of("volumes", volume); }
std::string access_key(std::string_view access_server_name) { return key_of("access", access_server_name); }
std::string counter_key(std::string_view counter) { return key_of("counters", counter); }
std::string software_key(std::string_view server_name) { return key_of("software", server_name); }
std::string refusal_key(std::string_view server_name) { return key_of("refused", server_name); }
std::string formats_key() { return key_of("formats", "cluster"); }
std::string formats_gate_key() { return key_of("formats", "gate"); }

ParsedKey parse_key(std::string_view key) {
  if (!key.starts_with(kClusterPrefix)) return {};
  key.remove_prefix(kClusterPrefix.size());
  size_t slash = key.find('/');
  if (slash == std::string_view::npos) return {};
  std::string_view type = key.substr(0, slash);
  std::string name(key.substr(slash + 1));
  if (type == "sites") return {RecordType::kSite, name};
  if (type == "servers") return {RecordType::kServer, name};
  if (type == "alive") return {RecordType::kAlive, name};
  if (type == "volumes") return {RecordType::kVolume, name};
  if (type == "access") return {RecordType::kAccess, name};
  if (type == "counters") return {RecordType::kCounter, name};
  if (type == "software") return {RecordType::kSoftware, name};
  if (type == "refused") return {RecordType::kRefusal, name};
  if (type == "formats" && name == "cluster") return {RecordType::kFormats, name};
  return {};
}

std::string encode_site(const SiteInfo& site) { return to_json(to_record(site)); }
std::string encode_server(const ServerInfo& server) { return to_json(to_record(server)); }
std::string encode_volume(const VolumeInfo& volume) {
  return with_unknown_fields(to_json(to_record(volume)), volume.unknown_fields);
}

std::string encode_alive(const AliveInfo& alive) {
  v1::AliveRecord r;
  r.set_magic("shima-alive");
  r.set_version(kRecordVersion);
  r.set_server_id(alive.id.value);
  r.set_incarnation(alive.incarnation.value);
  return to_json(r);
}

std::string encode_access(const AccessInfo& access) {
  v1::AccessRecord r;
  r.set_magic("shima-access");
  r.set_version(kRecordVersion);
  r.set_name(access.name);
  r.set_incarnation(access.incarnation);
  return to_json(r);
}

std::string encode_counter(uint64_t last) {
  v1::CounterRecord r;
  r.set_magic("shima-counter");
  r.set_version(kRecordVersion);
  r.set_last(last);
  return to_json(r);
}

std::string encode_software(const SoftwareInfo& software) {
  v1::SoftwareRecord r;
  r.set_magic("shima-software");
  r.set_version(kRecordVersion);
  r.set_name(software.name);
  r.set_incarnation(software.incarnation.value);
  r.set_software(software.software.version);
  r.set_release(software.software.release);
  r.set_formats_level(software.software.formats_level);
  r.set_protocol_min(software.software.protocol_min);
  r.set_protocol_max(software.software.protocol_max);
  return to_json(r);
}

std::string encode_refusal(const RefusedStart& refused) {
  v1::RefusalRecord r;
  r.set_magic("shima-refusal");
  r.set_version(kRecordVersion);
  r.set_name(refused.server);
  r.set_software(refused.version);
  r.set_reason(refused.reason);
  return to_json(r);
}

std::string encode_formats(const FormatsInfo& formats) {
  v1::FormatsRecord r;
  r.set_magic("shima-formats");
  r.set_version(kRecordVersion);
  r.set_level(formats.level);
  r.set_raised_by(formats.raised_by);
  return to_json(r);
}

Result<SiteInfo> decode_site(const EtcdKeyValue& item) {
  auto r = from_json<v1::SiteRecord>(item, "shima-site");
  return r ? finish(item, site_from(*r)) : r.status();
}
Result<ServerInfo> decode_server(const EtcdKeyValue& item) {
  auto r = from_json<v1::ServerRecord>(item, "shima-server");
  return r ? finish(item, server_from(*r)) : r.status();
}
Result<VolumeInfo> decode_volume(const EtcdKeyValue& item) {
  std::string unknown;
  auto r = from_json<v1::VolumeRecord>(item, "shima-volume", unknown);
  if (!r) return r.status();
  Result<VolumeInfo> volume = finish(item, volume_from(*r));
  if (volume) volume->unknown_fields = std::move(unknown);
  return volume;
}
Result<AliveInfo> decode_alive(const EtcdKeyValue& item) {
  auto r = from_json<v1::AliveRecord>(item, "shima-alive");
  if (!r) return r.status();
  return AliveInfo{ServerId(r->server_id()), Incarnation(r->incarnation())};
}
Result<AccessInfo> decode_access(const EtcdKeyValue& item) {
  auto r = from_json<v1::AccessRecord>(item, "shima-access");
  if (!r) return r.status();
  if (r->incarnation() == 0) return corrupt_record(item, "has no incarnation");
  if (Status name = check_access_name(r->name()); !name) return corrupt_record(item, name.message());
  return finish(item, Result<AccessInfo>(AccessInfo{r->name(), r->incarnation(), {}}));
}
Result<uint64_t> decode_counter(const EtcdKeyValue& item) {
  std::string unknown;
  auto r = from_json<v1::CounterRecord>(item, "shima-counter", unknown);
  if (!r) return r.status();
  if (!unknown.empty())
    return corrupt_record(item, "has a field that is not known, which a change would drop");
  return r->last();
}

Result<SoftwareInfo> decode_software(const EtcdKeyValue& item) {
  auto r = from_json<v1::SoftwareRecord>(item, "shima-software");
  if (!r) return r.status();
  if (r->name() != parse_key(item.key).name)
    return corrupt_record(item, "names itself \"" + r->name() + "\"");
  const bool good = r->incarnation() > 0 && r->release() > 0 && r->formats_level() > 0 &&
                    r->protocol_min() > 0 && r->protocol_min() <= r->protocol_max();
  if (!good)
    return corrupt_record(item, "has no incarnation, release, level or range of protocols that can be");
  return SoftwareInfo{
      r->name(),
      Incarnation(r->incarnation()),
      {printable(r->software()), r->release(), r->formats_level(), r->protocol_min(), r->protocol_max()}};
}

Result<RefusedStart> decode_refusal(const EtcdKeyValue& item) {
  auto r = from_json<v1::RefusalRecord>(item, "shima-refusal");
  if (!r) return r.status();
  if (r->name() != parse_key(item.key).name)
    return corrupt_record(item, "names itself \"" + r->name() + "\"");
  return RefusedStart{r->name(), printable(r->software()), r->reason().substr(0, kMaxRefusalBytes)};
}

Result<FormatsInfo> decode_formats(const EtcdKeyValue& item) {
  auto r = from_json<v1::FormatsRecord>(item, "shima-formats");
  if (!r) return r.status();
  if (r->level() == 0) return corrupt_record(item, "has no level");
  return FormatsInfo{r->level(), r->raised_by()};
}

Status check_volume_name(std::string_view name) { return check_name("volume", name, true); }
Status check_site_name(std::string_view name) { return check_name("site", name, false); }

Status check_server_name(std::string_view name, std::string_view site) {
  SHIMA_RETURN_IF_ERROR(check_site_name(site));
  std::string start = std::string(site) + "/core-";
  if (name.starts_with(start) && is_small_number(name.substr(start.size()))) return Status::ok();
  return {Code::kInvalidArgument, "found server name \"" + std::string(name) + "\", wanted " + start + "N"};
}

Status check_access_name(std::string_view name) {
  constexpr std::string_view kMiddle = "/access-";
  const size_t at = name.find(kMiddle);
  if (at != std::string_view::npos && check_site_name(name.substr(0, at)) &&
      is_small_number(name.substr(at + kMiddle.size()))) {
    return Status::ok();
  }
  return {Code::kInvalidArgument,
          "found access server name \"" + printable(name) + "\", wanted SITE/access-N"};
}

std::optional<std::string> usual_form_of_address(const std::string& address) {
  const std::optional<IpAddress> ip = parse_ip(address);
  char text[INET6_ADDRSTRLEN];
  if (!ip || !inet_ntop(ip->v6 ? AF_INET6 : AF_INET, ip->bytes.data(), text, sizeof text))
    return std::nullopt;
  return text;
}

Status check_publication(const PublicationInfo& p) {
  auto plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  bool good = !p.node.empty() && p.node.size() <= kMaxNodeNameBytes && plain(p.node.front());
  for (char c : p.node) good = good && (plain(c) || c == '-' || c == '_' || c == '.' || c == ':');
  if (!good) {
    return {
        Code::kInvalidArgument,
        "found node name \"" + printable(p.node) +
            "\", wanted 1 to 253 of letters, digits, '-', '_', '.' and ':', the first a letter or a digit"};
  }
  SHIMA_RETURN_IF_ERROR(check_site_name(p.site).with_context("node " + p.node));
  if (p.addresses.size() > kMaxPublicationAddresses) {
    return {Code::kInvalidArgument, "node " + p.node + ": found " + std::to_string(p.addresses.size()) +
                                        " addresses, wanted at most " +
                                        std::to_string(kMaxPublicationAddresses)};
  }
  for (const std::string& address : p.addresses) {
    if (usual_form_of_address(address) == address) continue;
    return {Code::kInvalidArgument, "node " + p.node + ": found address \"" + printable(address) +
                                        "\", wanted an IPv4 or IPv6 address in its usual form"};
  }
  return Status::ok();
}

Status check_labels(const std::map<std::string, std::string>& labels) {
  if (labels.size() > kMaxLabels) {
    return {Code::kInvalidArgument, "found " + std::to_string(labels.size()) + " labels, wanted at most " +
                                        std::to_string(kMaxLabels)};
  }
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  for (const auto& [key, value] : labels) {
    bool good = !key.empty() && key.size() <= kMaxLabelKeyBytes && plain(key.front());
    for (char c : key) good = good && (plain(c) || c == '.' || c == '/' || c == '_' || c == '-');
    if (!good) {
      return {Code::kInvalidArgument,
              "found label key \"" + printable(key) +
                  "\", wanted 1 to 63 of a-z, 0-9, '.', '/', '_' and '-', the first a letter or a digit"};
    }
    for (char c : value) good = good && c >= ' ' && c <= '~';
    if (!good || value.size() > kMaxLabelValueBytes) {
      return {Code::kInvalidArgument, "label " + key + ": found the value \"" + printable(value) + "\" of " +
                                          std::to_string(value.size()) +
                                          " bytes, wanted at most 256 printable ASCII characters"};
    }
  }
  return Status::ok();
}

}  // namespace shima
