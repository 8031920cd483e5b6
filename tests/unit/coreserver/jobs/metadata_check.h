// check_metadata: what must hold for a volume's metadata after any jobs, checked over all of its keys.
//
// Each value decodes; names (`e`) and cookies (`c`) agree; links, entries, sizes and parents are as the names
// say; an inode without a name is an orphan under its number and the other way round; symbolic links have
// targets; locks and holds are noted under their sessions; the counters count.
#pragma once

#include "tests/unit/coreserver/jobs/memory_kv.h"

namespace shima {

// Failures are those of GoogleTest.
void check_metadata(const MemoryKv& kv);

}  // namespace shima
