#include "operator/reconcile/contests.h"

#include "operator/reconcile/object_api.h"
#include "operator/reconcile/object_fields.h"

namespace shima {

using nlohmann::json;

namespace {

constexpr char kPatchManager[] = "shima";  // of patches that name none: the client's User-Agent

}  // namespace

std::string last_other_manager(const json& object) {
  const json* fields = value_at(object, "/metadata/managedFields");
  std::string manager, newest;
  if (!fields || !fields->is_array()) return manager;
  for (const json& each : *fields) {
    const std::string name = text_at(each, "/manager"), time = text_at(each, "/time");
    if (name.empty() || name == kFieldManager || name == kPatchManager ||
        !text_at(each, "/subresource").empty() || time < newest)
      continue;
    manager = name;
    newest = time;
  }
  return manager;
}

void Contests::note(const std::string& key, const std::string& name, const json& object) {
  const std::string manager = last_other_manager(object);
  sentences_[key] =
      name + " is changed again and again by " + (manager.empty() ? "someone" : "\"" + manager + "\"") +
      ", and put back later and later (in the end every 5 minutes); only one of both may write it";
}

std::vector<std::string> Contests::told(const ApplyLedger& ledger, uint64_t now_ms) {
  std::erase_if(sentences_, [&](const auto& each) { return ledger.times_put_back(each.first, now_ms) == 0; });
  std::vector<std::string> sentences;
  for (const auto& [key, sentence] : sentences_) sentences.push_back(sentence);
  return sentences;
}

}  // namespace shima
