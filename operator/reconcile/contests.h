// Contests: objects that someone else changes again and again while we put them back, and who that is.
//
// PURE. One change is a slip, and nobody is told; two without a quiet quarter of an hour between them
// (ApplyLedger) are a contest. Threads: none.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "operator/reconcile/apply_ledger.h"

namespace shima {

class Contests {
 public:
  // `object`: as the other has left it, with metadata.managedFields. `name`: for people.
  void note(const std::string& key, const std::string& name, const nlohmann::json& object);
  // Sentences for people; forgets those that are over.
  std::vector<std::string> told(const ApplyLedger& ledger, uint64_t now_ms);

 private:
  std::map<std::string, std::string> sentences_;  // by the ledger's key
};

// The field manager other than ours that has written last, by metadata.managedFields, without subresources,
// which are nobody's wish; empty: none is known.
std::string last_other_manager(const nlohmann::json& object);

}  // namespace shima
