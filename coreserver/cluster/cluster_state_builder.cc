#include "coreserver/cluster/cluster_state_builder.h"

#include <set>

namespace shima {

void ClusterStateBuilder::apply(const EtcdWatchBatch& batch) {
  if (batch.kind == EtcdWatchBatch::Kind::kProgress) return;
  if (batch.kind == EtcdWatchBatch::Kind::kFullList) keep_only(batch.changes);
  for (const auto& change : batch.changes) {
    change.removed ? remove(change.item.key) : put(change.item);
  }
  state_.revision = batch.revision;
  mark_alive();
}

void ClusterStateBuilder::put(const EtcdKeyValue& item) {
  ParsedKey key = parse_key(item.key);
  auto store = [&](auto decoded, auto keep) {
    if (decoded) {
      keep(std::move(*decoded));
      state_.unreadable.erase(item.key);
    } else {
      state_.unreadable[item.key] = decoded.status().message();
    }
  };
  switch (key.type) {
    case RecordType::kSite:
      return store(decode_site(item), [&](SiteInfo s) { state_.sites[key.name] = std::move(s); });
    case RecordType::kServer:
      return store(decode_server(item), [&](ServerInfo s) { state_.servers[s.id] = std::move(s); });
    case RecordType::kAlive:
      return store(decode_alive(item), [&](AliveInfo a) { alive_[key.name] = a; });
    case RecordType::kVolume:
      return store(decode_volume(item), [&](VolumeInfo v) { state_.volumes[key.name] = std::move(v); });
    case RecordType::kAccess:
      // Unlike the others, one that cannot be read counts as gone: whom it named must not be let in for ever.
      state_.access.erase(key.name);
      return store(decode_access(item), [&](AccessInfo a) { state_.access[key.name] = a.incarnation; });
    case RecordType::kSoftware:
      software_.erase(key.name);  // what cannot be read counts as too old to say
      return store(decode_software(item), [&](SoftwareInfo s) { software_[key.name] = std::move(s); });
    case RecordType::kRefusal:
      return store(decode_refusal(item), [&](RefusedStart r) { state_.refused[key.name] = std::move(r); });
    case RecordType::kFormats:
      return store(decode_formats(item), [&](FormatsInfo f) { state_.formats_level = f.level; });
    case RecordType::kCounter:
    case RecordType::kOther:
      return;
  }
}

void ClusterStateBuilder::remove(const std::string& key_text) {
  ParsedKey key = parse_key(key_text);
  state_.unreadable.erase(key_text);
  switch (key.type) {
    case RecordType::kSite:
      state_.sites.erase(key.name);
      return;
    case RecordType::kServer:
      std::erase_if(state_.servers, [&](const auto& s) { return s.second.name == key.name; });
      return;
    case RecordType::kAlive:
      alive_.erase(key.name);
      return;
    case RecordType::kVolume:
      state_.volumes.erase(key.name);
      return;
    case RecordType::kAccess:
      state_.access.erase(key.name);
      return;
    case RecordType::kSoftware:
      software_.erase(key.name);
      return;
    case RecordType::kRefusal:
      state_.refused.erase(key.name);
      return;
    case RecordType::kFormats:
      state_.formats_level = 1;
      return;
    case RecordType::kCounter:
    case RecordType::kOther:
      return;
  }
}

void ClusterStateBuilder::keep_only(const std::vector<EtcdWatchBatch::Change>& items) {
  std::set<std::string> keys;
  for (const auto& change : items) keys.insert(change.item.key);
  std::erase_if(state_.sites, [&](const auto& s) { return !keys.count(site_key(s.first)); });
  std::erase_if(state_.servers, [&](const auto& s) { return !keys.count(server_key(s.second.name)); });
  std::erase_if(state_.volumes, [&](const auto& v) { return !keys.count(volume_key(v.first)); });
  std::erase_if(state_.access, [&](const auto& a) { return !keys.count(access_key(a.first)); });
  std::erase_if(alive_, [&](const auto& a) { return !keys.count(alive_key(a.first)); });
  std::erase_if(software_, [&](const auto& s) { return !keys.count(software_key(s.first)); });
  std::erase_if(state_.refused, [&](const auto& r) { return !keys.count(refusal_key(r.first)); });
  if (!keys.count(formats_key())) state_.formats_level = 1;
  std::erase_if(state_.unreadable, [&](const auto& u) { return !keys.count(u.first); });
}

void ClusterStateBuilder::mark_alive() {
  for (auto& [id, server] : state_.servers) {
    auto it = alive_.find(server.name);
    server.alive = it != alive_.end() && it->second.id == id && it->second.incarnation == server.incarnation;
    const auto runs = software_.find(server.name);
    const bool current = runs != software_.end() && runs->second.incarnation == server.incarnation;
    server.software = current ? runs->second.software : ServerSoftware();
  }
}

}  // namespace shima
