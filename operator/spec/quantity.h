// PURE: Kubernetes' quantities ("100m", "1.5", "64Gi", "1e3"), as far as the operator reads them.
//
// Source: Kubernetes, k8s.io/apimachinery/pkg/api/resource, grammar of Quantity.
#pragma once

#include <cstdint>
#include <string>

#include "common/status/status.h"

namespace shima {

// Whether Kubernetes would take it as an amount, not negative.
bool valid_quantity(const std::string& text);
// A whole number of bytes from 1; fractions of a byte are rounded up. kInvalidArgument: "found ..., wanted
// ...".
Result<uint64_t> quantity_bytes(const std::string& text);
// 10737418240 -> "10Gi": the greatest binary suffix that divides it.
std::string bytes_quantity(uint64_t bytes);

}  // namespace shima
