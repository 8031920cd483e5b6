// A sample of each format that outlives a process or reaches another one: how today's code writes it, and
// whether today's code reads it back as what it was.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

struct FormatSample {
  std::string name;                                // of its file in a baseline, without ending
  bool text = false;                               // JSON
  std::function<std::string()> write;              // the same bytes each time
  std::function<Status(const std::string&)> read;  // kCorrupt: it cannot be read, or is not the sample
  std::string file() const { return "formats/" + name + (text ? ".json" : ".hex"); }
};

std::vector<FormatSample> wire_formats();    // frames, greetings, record headers
std::vector<FormatSample> disk_formats();    // of core servers' disks
std::vector<FormatSample> record_formats();  // JSON: in etcd, and on nodes

std::vector<FormatSample> all_formats();

// For read(): what was read against what was meant.
inline Status as_meant(bool same, const std::string& what) {
  return same ? Status::ok() : Status(Code::kCorrupt, what + " is read, but not as what was written");
}

}  // namespace shima
