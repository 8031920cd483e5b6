#include "coreserver/cluster/records.h"

#include <google/protobuf/util/json_util.h>

#include "coreserver/cluster/record_protobuf.h"

namespace shima {
namespace {

namespace v1 = cluster::v1;

constexpr const char* kWhatToDo =
    "it was written by a newer Shima or changed by hand: upgrade this program or put the record right";

template <typename Record>
std::string to_json(const Record& record) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  auto status = google::protobuf::util::MessageToJsonString(record, &json, options);
  SHIMA_CHECK(status.ok(), "a record of our own cannot be written as JSON");
  return json;
}

Status corrupt(const EtcdKeyValue& item, const std::string& what) {
  return {Code::kCorrupt, "etcd key " + item.key + ": " + what + "; " + kWhatToDo};
}

// Magic and version are checked before anything else, so that a newer record is called that and not
// malformed. Fields that are not known are refused: a compare-and-swap would drop them.
template <typename Record>
Result<Record> from_json(const EtcdKeyValue& item, const std::string& magic) {
  google::protobuf::util::JsonParseOptions lenient, strict;
  lenient.ignore_unknown_fields = true;
  Record record;
  auto status = google::protobuf::util::JsonStringToMessage(item.value, &record, lenient);
  if (!status.ok()) return corrupt(item, "is not a " + magic + " record in JSON (" + status.ToString() + ")");
  if (record.magic() != magic) {
    return corrupt(item, "found magic \"" + record.magic() + "\", wanted \"" + magic + "\"");
  }
  if (record.version() == 0 || record.version() > kRecordVersion) {
    return corrupt(item, "found version " + std::to_string(record.version()) + ", wanted 1 to " +
                             std::to_string(kRecordVersion));
  }
  record.Clear();
  status = google::protobuf::util::JsonStringToMessage(item.value, &record, strict);
  if (!status.ok()) return corrupt(item, "has a field that is not known (" + status.ToString() + ")");
  return record;
}

template <typename Info>
Result<Info> finish(const EtcdKeyValue& item, Result<Info> info) {
  if (!info) return corrupt(item, info.status().message());
  if (info->name != parse_key(item.key).name) return corrupt(item, "names itself \"" + info->name + "\"");
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

}  // namespace

std::string site_key(std::string_view site) { return key_of("sites", site); }
std::string server_key(std::string_view server_name) { return key_of("servers", server_name); }
std::string alive_key(std::string_view server_name) { return key_of("alive", server_name); }
std::string volume_key(std::string_view volume) { return key_of("volumes", volume); }
std::string counter_key(std::string_view counter) { return key_of("counters", counter); }

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
  if (type == "counters") return {RecordType::kCounter, name};
  return {};
}

std::string encode_site(const SiteInfo& site) { return to_json(to_record(site)); }
std::string encode_server(const ServerInfo& server) { return to_json(to_record(server)); }
std::string encode_volume(const VolumeInfo& volume) { return to_json(to_record(volume)); }

std::string encode_alive(const AliveInfo& alive) {
  v1::AliveRecord r;
  r.set_magic("shima-alive");
  r.set_version(kRecordVersion);
  r.set_server_id(alive.id.value);
  r.set_incarnation(alive.incarnation.value);
  return to_json(r);
}

std::string encode_counter(uint64_t last) {
  v1::CounterRecord r;
  r.set_magic("shima-counter");
  r.set_version(kRecordVersion);
  r.set_last(last);
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
  auto r = from_json<v1::VolumeRecord>(item, "shima-volume");
  return r ? finish(item, volume_from(*r)) : r.status();
}
Result<AliveInfo> decode_alive(const EtcdKeyValue& item) {
  auto r = from_json<v1::AliveRecord>(item, "shima-alive");
  if (!r) return r.status();
  return AliveInfo{ServerId(r->server_id()), Incarnation(r->incarnation())};
}
Result<uint64_t> decode_counter(const EtcdKeyValue& item) {
  auto r = from_json<v1::CounterRecord>(item, "shima-counter");
  if (!r) return r.status();
  return r->last();
}

Status check_volume_name(std::string_view name) { return check_name("volume", name, true); }
Status check_site_name(std::string_view name) { return check_name("site", name, false); }

Status check_server_name(std::string_view name, std::string_view site) {
  SHIMA_RETURN_IF_ERROR(check_site_name(site));
  std::string start = std::string(site) + "/core-";
  bool good = name.starts_with(start) && name.size() > start.size() && name.size() <= start.size() + 10 &&
              name.substr(start.size()).find_first_not_of("0123456789") == std::string_view::npos;
  if (good) return Status::ok();
  return {Code::kInvalidArgument, "found server name \"" + std::string(name) + "\", wanted " + start + "N"};
}

}  // namespace shima
