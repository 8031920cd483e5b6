// What `shima-operator` does until a signal ends it.
#pragma once

#include "common/status/status.h"
#include "operator/server/operator_options.h"

namespace shima {

// Blocks the calling thread until SIGTERM or SIGINT, which the caller has blocked in all threads; then ends
// within 5 s, and gives the Lease back, so that another operator takes over at once. Errors: why it could not
// begin.
Status serve_operator(const OperatorOptions& options);

}  // namespace shima
