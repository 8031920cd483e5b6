#include "coreserver/cluster/server_fence.h"

#include "coreserver/cluster/record_json.h"
#include "coreserver/cluster/records.h"
#include "shima/cluster/v1/records.pb.h"

namespace shima {
namespace {

namespace v1 = cluster::v1;

// All else in the record stays, also what this program does not know: it is not the owner's word that is
// written here.
template <typename Record>
Result<std::string> with_incarnation(const EtcdKeyValue& item, const std::string& magic, Incarnation next) {
  std::string unknown;
  Result<Record> record = from_json<Record>(item, magic, unknown);
  if (!record) return record.status();
  record->set_incarnation(next.value);
  return with_unknown_fields(to_json(*record), unknown);
}

Status carry_software_on(EtcdClient& etcd, const ServerInfo& server, ServerFence& fence) {
  const std::string key = software_key(server.name);
  Result<EtcdKeyValue> item = etcd.get(key);
  if (item.status().code() == Code::kNotFound) return Status::ok();
  if (!item) return item.status();
  Result<SoftwareInfo> software = decode_software(*item);
  if (!software || software->incarnation != server.incarnation) return Status::ok();  // too old to say
  Result<std::string> next =
      with_incarnation<v1::SoftwareRecord>(*item, "shima-software", server.incarnation.next());
  if (!next) return next.status();
  fence.compares.push_back({key, item->mod_revision});
  fence.operations.push_back(EtcdOperation::put(key, *next));
  return Status::ok();
}

}  // namespace

Result<ServerFence> make_server_fence(EtcdClient& etcd, const std::string& server) {
  const std::string key = server_key(server);
  Result<EtcdKeyValue> item = etcd.get(key);
  if (!item && item.status().code() != Code::kNotFound) return item.status();
  ServerFence fence;
  fence.compares.push_back({alive_key(server), EtcdRevision()});
  fence.compares.push_back({key, item ? item->mod_revision : EtcdRevision()});
  if (!item) return fence;
  Result<ServerInfo> known = decode_server(*item);
  if (!known) return known.status();
  Result<std::string> next =
      with_incarnation<v1::ServerRecord>(*item, "shima-server", known->incarnation.next());
  if (!next) return next.status();
  fence.operations.push_back(EtcdOperation::put(key, *next));
  SHIMA_RETURN_IF_ERROR(carry_software_on(etcd, *known, fence));
  return fence;
}

}  // namespace shima
