#include "csi/server/field_sizes.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>

#include <string>
#include <vector>

#include "csi/server/node_identity.h"

namespace shima {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

size_t text_limit(const FieldDescriptor& field) {
  if (field.name() == "node_id") return kMaxNodeIdBytes;
  return field.name().ends_with("_path") ? kMaxPathFieldBytes : kMaxTextBytes;
}

grpc::Status too_big(const std::string& field, size_t found, size_t wanted, const std::string& unit) {
  return {grpc::StatusCode::INVALID_ARGUMENT, field + " has " + std::to_string(found) + " " + unit +
                                                  ", wanted at most " + std::to_string(wanted) +
                                                  "; give less"};
}

size_t map_bytes(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  size_t bytes = 0;
  for (int i = 0; i < reflection.FieldSize(message, &field); i++) {
    const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
    bytes += entry.GetReflection()->GetString(entry, field.message_type()->map_key()).size();
    bytes += entry.GetReflection()->GetString(entry, field.message_type()->map_value()).size();
  }
  return bytes;
}

size_t texts_bytes(const Message& message, const FieldDescriptor& field) {
  size_t bytes = 0;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); i++)
    bytes += message.GetReflection()->GetRepeatedString(message, &field, i).size();
  return bytes;
}

grpc::Status check_repeated(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  if (field.is_map()) {
    const size_t bytes = map_bytes(message, field);
    return bytes <= kMaxMapBytes ? grpc::Status::OK : too_big(field.name(), bytes, kMaxMapBytes, "bytes");
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    const size_t bytes = texts_bytes(message, field);
    return bytes <= kMaxMountFlagsBytes ? grpc::Status::OK
                                        : too_big(field.name(), bytes, kMaxMountFlagsBytes, "bytes");
  }
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return grpc::Status::OK;
  const int count = reflection.FieldSize(message, &field);
  if (count > kMaxRepeated)
    return too_big(field.name(), static_cast<size_t>(count), static_cast<size_t>(kMaxRepeated), "items");
  for (int i = 0; i < count; i++) {
    grpc::Status status = check_field_sizes(reflection.GetRepeatedMessage(message, &field, i));
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

grpc::Status check_field(const Message& message, const FieldDescriptor& field) {
  if (field.is_repeated()) return check_repeated(message, field);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE)
    return check_field_sizes(message.GetReflection()->GetMessage(message, &field));
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_STRING) return grpc::Status::OK;
  const size_t bytes = message.GetReflection()->GetString(message, &field).size();
  const size_t limit = text_limit(field);
  return bytes <= limit ? grpc::Status::OK : too_big(field.name(), bytes, limit, "bytes");
}

}  // namespace

grpc::Status check_field_sizes(const Message& request) {
  std::vector<const FieldDescriptor*> fields;
  request.GetReflection()->ListFields(request, &fields);
  for (const FieldDescriptor* field : fields) {
    grpc::Status status = check_field(request, *field);
    if (!status.ok()) return status;
  }
  return grpc::Status::OK;
}

}  // namespace shima
