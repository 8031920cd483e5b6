// Messages between the members of a replica group, as the core sees them. data.proto has their wire form and
// more words.
//
// PURE. Messages may be lost, delayed, doubled and reordered; `term` and `round` tell old ones from new.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/types/record.h"
#include "coreserver/replication/term_history.h"

namespace shima::replication {

// Primary to member, on each connection and in each new term: "this is my log; cut yours back to what we
// share".
struct Hello {
  Term term;
  uint64_t round = 0;  // counts this primary incarnation's greetings to the member
  Position last;
  Sequence committed;
  std::vector<TermStart> terms;
};

// The answer to Hello.
struct Welcome {
  Term term;  // the member's; if higher than the primary's, the primary is deposed
  uint64_t round = 0;
  bool accepted = false;
  Sequence last;              // the member's log equals the primary's up to here
  Sequence durable;           // and is fdatasync'ed up to here
  bool no_space = false;      // its disk is full
  bool needs_resync = false;  // a resync broke off: it takes nothing but another one
};

// Primary to member: records in order, and how far things are. May hold no records.
struct Append {
  Term term;
  uint64_t round = 0;
  Sequence committed;
  Sequence trim;      // to the secondary: every whole remote is durable up to here (the paper's step 5)
  bool fold = false;  // to the secondary: there is no whole remote; keep the records as blocks (R7)
  std::vector<RecordPtr> records;
};

// Member to primary: how far it is.
struct Appended {
  Term term;
  uint64_t round = 0;
  Sequence last;          // in hand
  Sequence durable;       // fdatasync'ed
  bool no_space = false;  // its disk is full
  bool behind = false;    // a record was missing: send again from last + 1
};

// Primary to a remote whose missing records are gone (R7): forget what you have; blocks follow; then the log
// goes on after `position`. The pieces of blocks themselves travel beside the core.
struct ResyncBegin {
  Term term;
  uint64_t round = 0;
};
struct ResyncEnd {
  Term term;
  uint64_t round = 0;
  Position position;
  std::string window;  // RequestWindow as of `position`
};

using Message = std::variant<Hello, Welcome, Append, Appended, ResyncBegin, ResyncEnd>;

}  // namespace shima::replication
