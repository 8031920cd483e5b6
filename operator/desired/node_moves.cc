#include "operator/desired/node_moves.h"

#include <algorithm>

namespace shima {
namespace {

constexpr size_t kNamed = 3;  // of a node's servers, in a text for people

// Empty: none.
std::string servers_on(const std::string& node, const NodeMove& move,
                       const std::vector<std::string>& removed_sites, const NodeUse& use) {
  const bool servers_go =
      std::find(removed_sites.begin(), removed_sites.end(), move.from) != removed_sites.end();
  const auto found = use.servers.find(node);
  if (servers_go || found == use.servers.end()) return {};
  const std::vector<std::string>& names = found->second;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kNamed ? text + " and " + std::to_string(names.size() - kNamed) + " more" : text;
}

std::string attachments_on(const std::string& node, const NodeUse& use) {
  if (!use.attachments_unknown.empty()) return use.attachments_unknown;
  const auto found = use.attachments.find(node);
  if (found == use.attachments.end() || found->second == 0) return {};
  return found->second == 1 ? "1 attached volume" : std::to_string(found->second) + " attached volumes";
}

std::string told_move(const std::string& node, const NodeMove& move, const std::string& holds) {
  return "node " + node + " would move from site " + move.from + " to " +
         (move.to.empty() ? "none" : "site " + move.to) + "; held by " + holds;
}

}  // namespace

MoveDecision decide_moves(const SiteMap& sites, const std::vector<std::string>& removed_sites,
                          const NodeUse& use) {
  MoveDecision decision;
  for (const auto& [node, move] : sites.moves) {
    std::string holds = servers_on(node, move, removed_sites, use);
    if (holds.empty()) holds = attachments_on(node, use);
    if (holds.empty()) {
      decision.now[node] = move;
    } else {
      decision.waiting.push_back(told_move(node, move, holds));
    }
  }
  return decision;
}

}  // namespace shima
