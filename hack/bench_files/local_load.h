// Cases by system calls in a mounted folder: `depth` threads with one call each. Writes are O_SYNC, reads and
// writes O_DIRECT where the file system has it, so that the file system is measured and not the kernel's page
// cache.
#pragma once

#include "common/status/status.h"
#include "hack/bench_files/file_cases.h"

namespace shima {

// Runs the cases in order, in a folder below `directory` that is made for it, and prints one JSON line each.
Status run_local_cases(const std::string& directory, const std::vector<FileCase>& cases,
                       const FileBenchOptions& options);

}  // namespace shima
