// PURE: the options that people may set by the charts' values, as JSON for charts/render.
//
// {"operator": [...], "coreServers": [...], "accessServers": [...]}; of each option: name, type ("string",
// "integer", "bytes", "duration", "bool", "list"), unit, default, min, max, allowed, help. Numbers that
// people may write with a suffix ("64MiB", "5s") have their bounds in bytes and ms.
#pragma once

#include <nlohmann/json.hpp>

namespace shima {

nlohmann::json declared_options();

}  // namespace shima
