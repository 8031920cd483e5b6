// Cases against an NFSv3 server: one connection, `depth` calls in flight, each that ends starts the next.
#pragma once

#include "common/status/status.h"
#include "hack/bench_files/file_cases.h"
#include "hack/bench_files/nfs_connection.h"

namespace shima {

// Runs the cases in order, in a folder of the export that is made for it, and prints one JSON line each.
Status run_nfs_cases(const NfsAddress& address, const std::vector<FileCase>& cases,
                     const FileBenchOptions& options);

}  // namespace shima
