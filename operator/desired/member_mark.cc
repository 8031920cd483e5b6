#include "operator/desired/member_mark.h"

#include <map>

namespace shima {
namespace {

using Phase = MemberMark::Phase;

constexpr size_t kMostBytes = 128;
const std::map<Phase, std::string> kWords = {{Phase::kBegun, "begun"},
                                             {Phase::kLeaving, "leaving"},
                                             {Phase::kAdding, "adding"},
                                             {Phase::kJoining, "joining"}};

}  // namespace

std::string mark_text(const MemberMark& mark) {
  const auto word = kWords.find(mark.phase);
  return word == kWords.end() ? "" : word->second + " " + mark.claim;
}

Result<MemberMark> mark_from(const std::string& text) {
  if (text.empty()) return MemberMark();
  for (const auto& [phase, word] : kWords) {
    if (!text.starts_with(word + " ")) continue;
    const std::string claim = text.substr(word.size() + 1);
    if (!claim.empty() && text.size() <= kMostBytes && claim.find_first_of(" \t\r\n") == std::string::npos)
      return MemberMark{phase, claim};
  }
  return Status(Code::kInvalidArgument,
                "found \"" + text.substr(0, kMostBytes) +
                    "\", wanted begun, leaving, adding or joining, and the uid of a claim");
}

}  // namespace shima
