// PURE: YAML text as JSON documents: what kubectl takes, read as Kubernetes reads it.
//
// Plain scalars have the types of YAML 1.2's core schema (null, true, false, numbers); quoted ones are texts.
// Errors: kInvalidArgument with line and column; more than 100,000 values or a depth of over 100 (aliases
// within aliases) are refused.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

// Every document of a stream that is not empty. `file_name`: for errors.
Result<std::vector<nlohmann::json>> parse_yaml_documents(const std::string& text,
                                                         const std::string& file_name);

}  // namespace shima
