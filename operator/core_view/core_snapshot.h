// What the core servers of one cluster say, as plain data; core_answers.h reads it from their answers.
//
// An answer of a server that does not reach etcd is old: health says so, and which volumes exist is then not
// known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/status/status.h"
#include "operator/status/health_view.h"

namespace shima {

// A site's copy, as the home's primaries see it: the worst of the volume's groups.
struct CopyView {
  bool connected = true;
  bool whole = true;
  uint64_t lag_bytes = 0;  // summed over the groups
  double lag_seconds = 0;

  bool operator==(const CopyView&) const = default;
};

// What its primaries know of a volume that its record does not say.
struct VolumeCopies {
  uint64_t used_bytes = 0;                  // bytes of its blocks at the home
  std::map<std::string, CopyView> by_site;  // the other sites
  uint64_t told_ms = 0;                     // of the operator's clock, when all of them were asked

  bool operator==(const VolumeCopies&) const = default;
};

struct PublicationView {
  std::string node;
  std::string site;
  bool read_only = false;

  bool operator==(const PublicationView&) const = default;
};

struct VolumeView {
  std::string name;
  std::string home;
  std::vector<std::string> sites;  // the home first
  std::string ack;                 // "local", "all"
  uint64_t size_bytes = 0;         // 0: no quota
  bool deleting = false;
  bool health_known = false;         // a server that reaches etcd has told of it; else `reasons` do not count
  std::vector<std::string> reasons;  // for people: why it is not healthy; empty: it is
  std::vector<PublicationView> publications;  // by node
  std::map<std::string, std::string> labels;  // what its maker wanted remembered
  std::optional<VolumeCopies> copies;         // as they were told last; none: never
  bool copies_are_old = false;                // asked for again and again, and not all of its primaries tell

  bool operator==(const VolumeView&) const = default;
};

// A publication that was taken away from a node that is out of service.
struct FencingResult {
  std::string node;
  std::string volume;
  Status status;  // kOk: every core server refuses what comes from the node's mount
};

struct CoreSnapshot {
  uint64_t number = 0;    // counts the looks
  uint64_t taken_ms = 0;  // of the operator's clock, when the answers were asked for
  uint64_t told_ms = 0;   // when a server that reaches etcd was asked last, and answered; 0: never
  HealthView health;
  bool volumes_known = false;       // `volumes` are all that there are, as etcd has them now
  uint64_t listed_ms = 0;           // when their list was asked for; where there are many not in each look
  std::vector<VolumeView> volumes;  // by name
};

}  // namespace shima
