#include "operator/reconcile/cluster_pass.h"
#include "operator/reconcile/object_fields.h"
#include "operator/reconcile/resource_kinds.h"

namespace shima {
namespace {

using nlohmann::json;

// The first refusal ends it: the others would be refused for the same reason, and there may be thousands.
bool refused(ClusterPass& pass, const json& object, const Status& why) {
  pass.failed(object, "write", why);
  log(LogLevel::kWarning, "operator", "write " + told_object(object) + ": " + why.message());
  return true;
}

bool make_all(ClusterPass& pass, const VolumeChanges& changes) {
  for (const json& object : changes.made)
    if (const auto made = pass.calls.apply(shima_volume_kind(), object); !made)
      return refused(pass, object, made.status());
  for (const auto& [volume, object] : changes.statuses) {
    const auto written = pass.calls.apply_status(shima_volume_kind(), object);
    if (!written && written.status().code() == Code::kNotFound) continue;  // deleted meanwhile
    if (!written) return refused(pass, object, written.status());
    pass.state.volumes.status_written(volume, object["status"], pass.now_ms);
  }
  for (const ObjectPointer& object : changes.removed)
    if (const Status removed = pass.calls.remove(shima_volume_kind(), namespace_of(*object), name_of(*object),
                                                 text_at(*object, "/metadata/uid"));
        !removed && removed.code() != Code::kConflict)
      return refused(pass, *object, removed);
  return false;
}

}  // namespace

void write_volumes(ClusterPass& pass) {
  ClusterState& state = pass.state;
  if (pass.api_is_away || !pass.view.watched(shima_volume_kind())) return;
  const bool is_new = pass.snapshot->number == 0 || state.volumes_done != pass.snapshot->number;
  if (!is_new && state.volumes_put_off == 0) return;
  ObjectMap found;
  const std::string prefix = pass.identity.name_space + "/";
  const ObjectMap all = pass.view.all(shima_volume_kind());
  for (auto each = all.lower_bound(prefix); each != all.end() && each->first.starts_with(prefix); ++each)
    found.insert(*each);
  const VolumeChanges changes =
      state.volumes.changes(pass.identity, *pass.snapshot, found, pass.now_ms, pass.wall_us);
  const bool was_refused = make_all(pass, changes);
  state.volumes_done = pass.snapshot->number;
  state.volumes_put_off = changes.put_off + changes.made.size();  // what was made gets its status next
  if (state.volumes_put_off > 0 && !was_refused) pass.look_again_after(2'000);
}

}  // namespace shima
