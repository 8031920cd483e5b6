// PURE: `options` of core servers and access servers, and parameters of StorageClasses: checked against what
// the programs declare.
//
// An option must be declared by the program, have a value that it takes, fit the others, and not be one that
// the operator sets itself. Errors: kInvalidArgument, with `path` (of the map in the spec) and the option's
// name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/options.h"
#include "common/status/status.h"

namespace shima {

Status check_core_server_options(const std::map<std::string, std::string>& options, const std::string& path);
Status check_access_server_options(const std::map<std::string, std::string>& options,
                                   const std::string& path);
// What may stand in `options`: declared by the program, possible as a flag, and not set by the operator.
std::vector<OptionSpec> free_core_server_options();
std::vector<OptionSpec> free_access_server_options();

Status check_class_parameters(const std::map<std::string, std::string>& parameters, const std::string& path);

}  // namespace shima
