#include "coreserver/placement/even_spread.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <tuple>

namespace shima {
namespace {

bool roomier(const PlacementServer& a, const PlacementServer& b) {
  return std::tie(b.free_bytes, a.id) < std::tie(a.free_bytes, b.id);
}

// The choice of a secondary for each group, given the primaries. Servers are named by their number in
// `servers`.
class SecondaryChoice {
 public:
  SecondaryChoice(const std::vector<PlacementServer>& servers, const std::vector<size_t>& primaries)
      : servers_(servers), primaries_(primaries), load_(servers.size(), 0), total_(servers.size(), 0) {
    for (size_t primary : primaries) total_[primary]++;
  }

  std::vector<size_t> choose() {
    for (size_t group = 0; group < primaries_.size(); group++) choose_least_loaded(group);
    for (size_t from = 0; from < servers_.size();) {
      // A path that ends two below its start makes the spread more even; without such a path it is as even as
      // can be.
      from = move_one_along_a_path(from) ? 0 : from + 1;
    }
    return secondaries_;
  }

 private:
  bool may_hold(size_t group, size_t server) const {
    return servers_[primaries_[group]].failure_domain != servers_[server].failure_domain;
  }

  void choose_least_loaded(size_t group) {
    size_t best = servers_.size();
    for (size_t s = 0; s < servers_.size(); s++) {
      if (!may_hold(group, s)) continue;
      if (best == servers_.size() || std::tie(load_[s], total_[s]) < std::tie(load_[best], total_[best]))
        best = s;
    }
    secondaries_.push_back(best);
    load_[best]++;
    total_[best]++;
  }

  // Searches breadth first from `start` over "one of its groups may move there" for a server with at least
  // two fewer.
  bool move_one_along_a_path(size_t start) {
    constexpr size_t kNone = static_cast<size_t>(-1);
    std::vector<size_t> moved_group(servers_.size(), kNone);  // the group whose move reached the server
    std::deque<size_t> queue{start};
    while (!queue.empty()) {
      const size_t at = queue.front();
      queue.pop_front();
      if (load_[at] + 2 <= load_[start]) {
        move_back_along(start, at, moved_group);
        return true;
      }
      for (size_t group = 0; group < secondaries_.size(); group++) {
        if (secondaries_[group] != at) continue;
        for (size_t s = 0; s < servers_.size(); s++) {
          if (s == start || moved_group[s] != kNone || !may_hold(group, s)) continue;
          moved_group[s] = group;
          queue.push_back(s);
        }
      }
    }
    return false;
  }

  void move_back_along(size_t start, size_t end, const std::vector<size_t>& moved_group) {
    load_[start]--;
    load_[end]++;
    for (size_t at = end; at != start;) {
      const size_t before = secondaries_[moved_group[at]];
      secondaries_[moved_group[at]] = at;
      at = before;
    }
  }

  const std::vector<PlacementServer>& servers_;
  const std::vector<size_t>& primaries_;
  std::vector<size_t> load_;   // secondaries a server
  std::vector<size_t> total_;  // primaries and first choices of secondaries a server
  std::vector<size_t> secondaries_;
};

}  // namespace

std::vector<ServerId> spread_evenly(std::vector<PlacementServer> servers, size_t groups) {
  std::sort(servers.begin(), servers.end(), roomier);
  std::vector<ServerId> chosen;
  for (size_t group = 0; group < groups; group++) chosen.push_back(servers[group % servers.size()].id);
  return chosen;
}

std::vector<Pair> spread_pairs_evenly(std::vector<PlacementServer> servers, size_t groups) {
  std::map<std::string, size_t> domain_size;
  for (const PlacementServer& server : servers) domain_size[server.failure_domain]++;
  // Primaries that do not divide evenly go to small domains first: those of a large one can only have their
  // secondaries outside of it.
  std::sort(servers.begin(), servers.end(), [&](const PlacementServer& a, const PlacementServer& b) {
    const size_t size_a = domain_size[a.failure_domain], size_b = domain_size[b.failure_domain];
    return size_a != size_b ? size_a < size_b : roomier(a, b);
  });
  std::vector<size_t> primaries;
  for (size_t group = 0; group < groups; group++) primaries.push_back(group % servers.size());
  const std::vector<size_t> secondaries = SecondaryChoice(servers, primaries).choose();
  std::vector<Pair> pairs;
  for (size_t group = 0; group < groups; group++) {
    pairs.push_back({servers[primaries[group]].id, servers[secondaries[group]].id});
  }
  return pairs;
}

}  // namespace shima
