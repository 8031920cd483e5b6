#include "accessserver/fileops/range_order.h"

#include <algorithm>
#include <vector>

namespace shima {

RangeOrder::Ticket RangeOrder::enter(uint64_t start, uint64_t end, std::function<void()> go) {
  auto overlaps = [&](const Entry& entry) { return entry.start < end && start < entry.end; };
  auto in_the_way = static_cast<uint32_t>(std::ranges::count_if(entries_, overlaps));
  Ticket ticket = ++last_;
  entries_.push_back({ticket, start, end, in_the_way, in_the_way == 0 ? nullptr : std::move(go)});
  if (in_the_way == 0) go();
  return ticket;
}

void RangeOrder::leave(Ticket ticket) {
  auto left = std::ranges::find(entries_, ticket, &Entry::ticket);
  std::vector<std::function<void()>> free;
  for (auto it = std::next(left); it != entries_.end(); ++it) {
    bool overlaps = it->start < left->end && left->start < it->end;
    if (overlaps && --it->in_the_way == 0) free.push_back(std::move(it->go));
  }
  entries_.erase(left);
  for (auto& go : free) go();
}

}  // namespace shima
