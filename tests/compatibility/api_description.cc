#include "tests/compatibility/api_description.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <sstream>

#include "shima/cluster/v1/cluster.pb.h"
#include "shima/cluster/v1/disks.pb.h"
#include "shima/cluster/v1/records.pb.h"
#include "shima/data/v1/data.pb.h"
#include "shima/metadata/v1/metadata.pb.h"
#include "shima/mounter/v1/mounter.pb.h"
#include "shima/replication/v1/replication.pb.h"
#include "shima/stats/v1/stats.pb.h"
#include "shima/volume/v1/volume.pb.h"

namespace shima {
namespace {

namespace pb = google::protobuf;

constexpr const char* kHere = "here";

std::string type_of(const pb::FieldDescriptor& field) {
  if (field.is_map())
    return "map<" + type_of(*field.message_type()->map_key()) + ", " +
           type_of(*field.message_type()->map_value()) + ">";
  std::string type = field.type_name();
  if (field.message_type()) type = field.message_type()->full_name();
  if (field.enum_type()) type = field.enum_type()->full_name();
  if (field.is_repeated()) type = "repeated " + type;
  if (field.has_optional_keyword()) type = "optional " + type;
  if (const auto* oneof = field.real_containing_oneof()) type += " of oneof " + oneof->name();
  return type;
}

void describe(const pb::EnumDescriptor& type, ApiDescription& out) {
  out["enum " + type.full_name()] = kHere;
  for (int i = 0; i < type.value_count(); ++i)
    out["value " + type.full_name() + " " + std::to_string(type.value(i)->number())] = type.value(i)->name();
  for (int i = 0; i < type.reserved_range_count(); ++i)
    for (int n = type.reserved_range(i)->start; n <= type.reserved_range(i)->end; ++n)
      out["reserved " + type.full_name() + " " + std::to_string(n)] = kHere;
}

void describe(const pb::Descriptor& message, ApiDescription& out) {
  if (message.options().map_entry()) return;
  const std::string& name = message.full_name();
  out["message " + name] = kHere;
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    out["field " + name + " " + std::to_string(field.number())] = field.name() + ", " + type_of(field);
  }
  for (int i = 0; i < message.reserved_range_count(); ++i)
    for (int n = message.reserved_range(i)->start; n < message.reserved_range(i)->end; ++n)
      out["reserved " + name + " " + std::to_string(n)] = kHere;
  for (int i = 0; i < message.nested_type_count(); ++i) describe(*message.nested_type(i), out);
  for (int i = 0; i < message.enum_type_count(); ++i) describe(*message.enum_type(i), out);
}

void describe(const pb::ServiceDescriptor& service, ApiDescription& out) {
  out["service " + service.full_name()] = kHere;
  for (int i = 0; i < service.method_count(); ++i) {
    const pb::MethodDescriptor& method = *service.method(i);
    const auto stream = [](bool is) { return is ? std::string("stream ") : std::string(); };
    out["method " + method.full_name()] =
        stream(method.client_streaming()) + method.input_type()->full_name() + " to " +
        stream(method.server_streaming()) + method.output_type()->full_name();
  }
}

// "field M 3" -> "reserved M 3".
std::string reservation_of(const std::string& key) { return "reserved" + key.substr(key.find(' ')); }

}  // namespace

std::vector<const pb::FileDescriptor*> api_files() {
  return {cluster::v1::GetStatusRequest::descriptor()->file(),
          cluster::v1::DisksRecord::descriptor()->file(),
          cluster::v1::SiteRecord::descriptor()->file(),
          data::v1::Header::descriptor()->file(),
          metadata::v1::JobRequest::descriptor()->file(),
          mounter::v1::StartRequest::descriptor()->file(),
          replication::v1::ShowGroupsRequest::descriptor()->file(),
          stats::v1::GetStatsRequest::descriptor()->file(),
          volume::v1::GetVolumeRequest::descriptor()->file()};
}

ApiDescription describe_api(const std::vector<const pb::FileDescriptor*>& files) {
  ApiDescription out;
  for (const pb::FileDescriptor* file : files) {
    for (int i = 0; i < file->message_type_count(); ++i) describe(*file->message_type(i), out);
    for (int i = 0; i < file->enum_type_count(); ++i) describe(*file->enum_type(i), out);
    for (int i = 0; i < file->service_count(); ++i) describe(*file->service(i), out);
  }
  return out;
}

std::string text_of(const ApiDescription& description) {
  std::string text;
  for (const auto& [key, value] : description) text += key + ": " + value + "\n";
  return text;
}

ApiDescription api_description_from(const std::string& text) {
  ApiDescription description;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) description[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return description;
}

std::vector<std::string> breaks_of_api(const ApiDescription& before, const ApiDescription& now) {
  std::vector<std::string> breaks;
  for (const auto& [key, value] : before) {
    const auto found = now.find(key);
    const bool numbered = key.starts_with("field ") || key.starts_with("value ");
    if (found == now.end()) {
      if (numbered && now.contains(reservation_of(key))) continue;
      breaks.push_back(key + " (" + value + ") is gone" +
                       (numbered ? "; reserve its number, or put it back" : "; put it back"));
    } else if (found->second != value) {
      breaks.push_back(key + " was " + value + " and is " + found->second +
                       "; give what is new a number of its own");
    }
  }
  return breaks;
}

}  // namespace shima
