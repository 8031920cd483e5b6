#include "csi/server/loggable_message.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/reflection.h>

#include <algorithm>
#include <cstdio>

#include "csi/v1/csi.pb.h"

namespace shima {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Deeper ones are not in the interface; hostile ones end here.
constexpr int kMaxDepth = 8;

class MessageText {
 public:
  std::string take() && { return std::move(text_); }

  void add_message(const Message& message, int depth) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<const FieldDescriptor*> fields;
    reflection.ListFields(message, &fields);
    bool first = true;
    for (const FieldDescriptor* field : fields) {
      if (full()) return;
      if (!first) text_ += ' ';
      first = false;
      text_ += field->name() + "=";
      if (field->options().GetExtension(::csi::v1::csi_secret)) {
        text_ += "(secret)";
      } else if (field->is_repeated()) {
        add_repeated(message, *field, depth);
      } else {
        add_single(message, *field, depth);
      }
    }
  }

 private:
  bool full() {
    if (text_.size() < kMaxShownMessageBytes) return false;
    if (!text_.ends_with("...")) text_ += "...";
    return true;
  }

  void add_repeated(const Message& message, const FieldDescriptor& field, int depth) {
    const Reflection& reflection = *message.GetReflection();
    text_ += '[';
    for (int i = 0; i < reflection.FieldSize(message, &field) && !full(); i++) {
      if (i > 0) text_ += ' ';
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        add_nested(reflection.GetRepeatedMessage(message, &field, i), depth);
      } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        text_ += quoted(reflection.GetRepeatedString(message, &field, i));
      } else {
        text_ += '?';  // the interface repeats messages and texts only
      }
    }
    text_ += ']';
  }

  void add_single(const Message& message, const FieldDescriptor& field, int depth) {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return add_nested(reflection.GetMessage(message, &field), depth);
      case FieldDescriptor::CPPTYPE_STRING:
        text_ += quoted(reflection.GetString(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_BOOL:
        text_ += reflection.GetBool(message, &field) ? "true" : "false";
        return;
      case FieldDescriptor::CPPTYPE_ENUM:
        text_ += std::to_string(reflection.GetEnumValue(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_INT32:
        text_ += std::to_string(reflection.GetInt32(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_INT64:
        text_ += std::to_string(reflection.GetInt64(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_UINT32:
        text_ += std::to_string(reflection.GetUInt32(message, &field));
        return;
      case FieldDescriptor::CPPTYPE_UINT64:
        text_ += std::to_string(reflection.GetUInt64(message, &field));
        return;
      default:
        text_ += '?';  // not in the interface
    }
  }

  void add_nested(const Message& message, int depth) {
    text_ += '{';
    if (depth < kMaxDepth) add_message(message, depth + 1);
    text_ += '}';
  }

  std::string text_;
};

// Null: there is no such field, or it is something else.
const FieldDescriptor* text_field(const Message& message, const char* name) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  const bool text = field && !field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
  return text ? field : nullptr;
}

}  // namespace

std::string quoted(std::string_view text, size_t max_bytes) {
  std::string out = "\"";
  for (const char c : text.substr(0, max_bytes)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      char hex[5];
      snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += hex;
    }
  }
  return out + (text.size() > max_bytes ? "\"..." : "\"");
}

std::string loggable_text(const Message& message) {
  MessageText text;
  text.add_message(message, 0);
  return std::move(text).take();
}

std::string subject_of(const Message& message) {
  for (const char* name : {"volume_id", "source_volume_id", "volume", "name"}) {
    if (const FieldDescriptor* field = text_field(message, name))
      return message.GetReflection()->GetString(message, field);
  }
  return "";
}

std::string path_of(const Message& message) {
  const FieldDescriptor* field = text_field(message, "path");
  return field ? message.GetReflection()->GetString(message, field) : "";
}

}  // namespace shima
