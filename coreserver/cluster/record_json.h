// Records of etcd as JSON: what is common to all of them. Private to coreserver/cluster: includes protobuf.
//
// Each record says its magic and its version. Errors: kCorrupt, with the key and what to do.
// Threads: any; no state.
#pragma once

#include <google/protobuf/util/json_util.h>

#include <string>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"
#include "coreserver/cluster/records.h"
#include "coreserver/cluster/unknown_fields.h"

namespace shima {

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

inline Status corrupt_record(const EtcdKeyValue& item, const std::string& what) {
  return {Code::kCorrupt, "etcd key " + item.key + ": " + what +
                              "; it was written by a newer Shima or changed by hand: upgrade this program or "
                              "put the record right"};
}

// Magic and version are checked before anything else, so that a newer record is called that and not
// malformed. Members at the top that are not known go to `unknown`: a compare-and-swap must not drop them.
// Those within a nested message are refused, since there is no telling whose they are once members were added
// or taken away.
template <typename Record>
Result<Record> from_json(const EtcdKeyValue& item, const std::string& magic, std::string& unknown) {
  google::protobuf::util::JsonParseOptions lenient, strict;
  lenient.ignore_unknown_fields = true;
  Record record;
  auto status = google::protobuf::util::JsonStringToMessage(item.value, &record, lenient);
  if (!status.ok())
    return corrupt_record(item, "is not a " + magic + " record in JSON (" + status.ToString() + ")");
  if (record.magic() != magic)
    return corrupt_record(item, "found magic \"" + record.magic() + "\", wanted \"" + magic + "\"");
  if (record.version() == 0 || record.version() > kRecordVersion) {
    return corrupt_record(item, "found version " + std::to_string(record.version()) + ", wanted 1 to " +
                                    std::to_string(kRecordVersion));
  }
  record.Clear();
  status = google::protobuf::util::JsonStringToMessage(item.value, &record, strict);
  if (status.ok()) return record;
  Result<SplitRecord> split = split_unknown_fields(*Record::descriptor(), item.value);
  if (!split) return corrupt_record(item, split.status().message());
  record.Clear();
  status = google::protobuf::util::JsonStringToMessage(split->known, &record, strict);
  if (!status.ok())
    return corrupt_record(item,
                          "has a nested field or a value that is not known (" + status.ToString() + ")");
  unknown = std::move(split->unknown);
  return record;
}

}  // namespace shima
