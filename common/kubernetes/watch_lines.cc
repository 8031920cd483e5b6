#include "common/kubernetes/watch_lines.h"

#include <nlohmann/json.hpp>

namespace shima {
namespace {

using nlohmann::json;

constexpr size_t kShownBytes = 500;  // of what somebody else says

std::string shown(std::string_view text) {
  std::string result(text.substr(0, kShownBytes));
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f)
      c = c == '\n' ? ' ' : '?';
  return result;
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Code code_of(int http_code, const std::string& reason) {
  if (http_code == 401 || http_code == 403) return Code::kPermissionDenied;
  if (http_code == 404) return Code::kNotFound;
  if (http_code == 409) return reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kConflict;
  if (http_code == 410) return Code::kRequestTooOld;
  if (http_code == 500) return Code::kInternal;
  if (http_code == 429 || http_code > 500) return Code::kUnavailable;
  return Code::kInvalidArgument;
}

Status status_of_object(int http_code, const json& object, const std::string& what) {
  const std::string reason = text_of(object, "reason");
  std::string words = shown(text_of(object, "message"));
  if (words.empty()) words = shown(reason);
  if (words.empty()) words = "without a word why";
  // How an API server refuses an apply of fields that its definition does not have (kubernetes issue 122480).
  const bool is_misfit = words.find("failed to create typed patch object") != std::string::npos;
  return {is_misfit ? Code::kInvalidArgument : code_of(http_code, reason),
          "the API server answered " + std::to_string(http_code) + " to " + what + ": " + words};
}

int code_in(const json& object) {
  const auto code = object.find("code");
  if (code != object.end() && code->is_number_integer()) {
    const auto value = code->get<int64_t>();
    if (value >= 400 && value < 600) return static_cast<int>(value);
  }
  const std::string reason = text_of(object, "reason");
  return reason == "Expired" || reason == "Gone" ? 410 : 500;
}

Status corrupt(const std::string& found, std::string_view line) {
  return {Code::kCorrupt, "wanted a watch event from the API server, found " + found + ": " + shown(line)};
}

Status parse_line(std::string_view line, std::vector<WatchEvent>& events) {
  json document = json::parse(line, nullptr, false);
  if (!document.is_object()) return corrupt("no JSON object", line);
  const std::string type = text_of(document, "type");
  const auto object = document.find("object");
  if (object == document.end() || !object->is_object()) return corrupt("no object in it", line);
  if (type == "ERROR") return status_of_object(code_in(*object), *object, "a watch");
  WatchEvent event;
  if (type == "ADDED")
    event.type = WatchEvent::Type::kAdded;
  else if (type == "MODIFIED")
    event.type = WatchEvent::Type::kModified;
  else if (type == "DELETED")
    event.type = WatchEvent::Type::kDeleted;
  else if (type == "BOOKMARK")
    event.type = WatchEvent::Type::kBookmark;
  else
    return corrupt("one of unknown type", line);
  event.object = std::move(*object);
  events.push_back(std::move(event));
  return Status::ok();
}

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

}  // namespace

Status WatchLines::feed(std::string_view piece, std::vector<WatchEvent>& events) {
  while (!piece.empty()) {
    const size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (line_.size() + part.size() > max_line_bytes_) {
      line_.clear();
      return {Code::kCorrupt, "wanted watch events of at most " + std::to_string(max_line_bytes_) +
                                  " bytes from the API server, found a longer line"};
    }
    line_ += part;
    if (end == std::string_view::npos) return Status::ok();
    piece.remove_prefix(end + 1);
    std::string line;
    line.swap(line_);
    if (!is_blank(line)) SHIMA_RETURN_IF_ERROR(parse_line(line, events));
  }
  return Status::ok();
}

Status status_of_answer(int http_code, std::string_view body, const std::string& what) {
  const json object = json::parse(body, nullptr, false);
  if (object.is_object()) return status_of_object(http_code, object, what);
  const std::string words = body.empty() ? "nothing" : shown(body);
  return {code_of(http_code, ""),
          "the API server answered " + std::to_string(http_code) + " to " + what + ": " + words};
}

}  // namespace shima
