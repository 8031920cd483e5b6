#include "coreserver/journal/journal_index.h"

#include <algorithm>

namespace shima {

void JournalIndex::add_segment(SegmentFilePtr file, uint64_t first_number) {
  std::lock_guard lock(mutex_);
  used_bytes_ += file->bytes;
  Segment segment;
  segment.first_number = first_number;
  uint32_t number = file->number;
  segment.file = std::move(file);
  segments_.emplace(number, std::move(segment));
}

void JournalIndex::seal_segment(uint32_t segment, uint64_t end) {
  std::lock_guard lock(mutex_);
  segments_.at(segment).sealed = true;
  segments_.at(segment).end = end;
}

std::vector<uint32_t> JournalIndex::dead_segments() const {
  std::lock_guard lock(mutex_);
  std::vector<uint32_t> dead;
  for (const auto& [number, s] : segments_) {
    bool held = !unrepaired_.empty() && damaged_segments_.contains(number);
    if (s.sealed && s.live_records == 0 && !held) dead.push_back(number);
  }
  return dead;
}

// The state that is written anew is the group's newest, with the numbers of the original entries.
void JournalIndex::collect_controls(GroupId id, uint32_t segment, std::vector<Control>& out) const {
  auto it = groups_.find(id);
  if (it == groups_.end()) return;
  const Group& g = it->second;
  auto voids_older = [&](uint64_t before) {
    return std::any_of(segments_.begin(), segments_.end(),
                       [&](const auto& s) { return s.first != segment && s.second.first_number < before; });
  };
  if (g.dropped_segment == segment && voids_older(g.dropped_before)) {
    out.push_back({EntryType::kDrop, id, Sequence(0), g.dropped_before});
  }
  for (const Truncation& t : g.truncations) {
    if (t.segment == segment && voids_older(t.before))
      out.push_back({EntryType::kTruncate, id, t.after, t.before});
  }
  if (g.released && (g.release_unwritten || g.release_segment == segment)) {
    out.push_back({EntryType::kRelease, id, g.released, 0});
  }
}

std::vector<Control> JournalIndex::controls_to_keep(uint32_t segment) const {
  std::lock_guard lock(mutex_);
  std::vector<Control> out;
  const Segment& s = segments_.at(segment);
  for (GroupId id : s.controls) collect_controls(id, segment, out);
  for (const auto& [id, range] : s.groups) {
    auto it = groups_.find(id);
    bool unwritten = it != groups_.end() && it->second.release_unwritten;
    if (unwritten && !s.controls.contains(id))
      out.push_back({EntryType::kRelease, id, it->second.released, 0});
  }
  return out;
}

bool JournalIndex::is_oldest(uint32_t segment) const {
  std::lock_guard lock(mutex_);
  return segments_.begin()->first == segment;
}

SegmentFilePtr JournalIndex::remove_segment(uint32_t segment) {
  std::lock_guard lock(mutex_);
  auto it = segments_.find(segment);
  SegmentFilePtr file = it->second.file;
  used_bytes_ -= file->bytes;
  segments_.erase(it);
  damaged_segments_.erase(segment);
  forget_needless_controls();
  return file;
}

// A truncation or drop is over once no segment with older entries is left.
void JournalIndex::forget_needless_controls() {
  uint64_t oldest = UINT64_MAX;
  for (const auto& [number, s] : segments_) oldest = std::min(oldest, s.first_number);
  for (auto it = groups_.begin(); it != groups_.end();) {
    Group& g = it->second;
    std::erase_if(g.truncations, [&](const Truncation& t) { return t.before <= oldest; });
    if (g.dropped_before <= oldest) g.dropped_before = g.dropped_segment = 0;
    bool empty = g.locations.empty() && !g.released && g.truncations.empty() && g.dropped_before == 0;
    it = empty ? groups_.erase(it) : std::next(it);
  }
}

SegmentFilePtr JournalIndex::file(uint32_t segment) const {
  std::lock_guard lock(mutex_);
  auto it = segments_.find(segment);
  return it == segments_.end() ? nullptr : it->second.file;
}

std::optional<uint32_t> JournalIndex::emptiest_segment(double max_live_share) const {
  std::lock_guard lock(mutex_);
  std::optional<uint32_t> best;
  double best_share = max_live_share;
  for (const auto& [number, s] : segments_) {
    if (!s.sealed || s.unmovable || s.live_records == 0) continue;
    double share = static_cast<double>(s.live_bytes) / static_cast<double>(s.end);
    if (share > best_share || (best && share == best_share)) continue;
    best_share = share;
    best = number;
  }
  return best;
}

void JournalIndex::set_unmovable(uint32_t segment) {
  std::lock_guard lock(mutex_);
  if (auto it = segments_.find(segment); it != segments_.end()) it->second.unmovable = true;
}

std::vector<LiveRecord> JournalIndex::live_records(uint32_t segment, uint64_t max_bytes) const {
  std::lock_guard lock(mutex_);
  std::vector<LiveRecord> out;
  uint64_t bytes = 0;
  auto it = segments_.find(segment);
  if (it == segments_.end()) return out;
  for (const auto& [id, range] : it->second.groups) {
    auto g = groups_.find(id);
    if (g == groups_.end() || g->second.locations.empty()) continue;
    const Group& group = g->second;
    uint64_t begin = std::max(range.low, group.first).value;
    uint64_t end = std::min(range.high.value + 1, group.first.value + group.locations.size());
    for (uint64_t sequence = begin; sequence < end && bytes < max_bytes; ++sequence) {
      const Location& location = group.locations[sequence - group.first.value];
      if (location.segment != segment) continue;
      out.push_back({id, Sequence(sequence), location});
      bytes += location.length;
    }
  }
  return out;
}

void JournalIndex::add_live(GroupId group, Sequence sequence, const Location& location) {
  Segment& s = segments_.at(location.segment);
  ++s.live_records;
  s.live_bytes += location.length;
  live_bytes_ += location.length;
  auto [it, added] = s.groups.try_emplace(group, Range{sequence, sequence});
  it->second.low = std::min(it->second.low, sequence);
  it->second.high = std::max(it->second.high, sequence);
}

void JournalIndex::drop_live(const Location& location) {
  Segment& s = segments_.at(location.segment);
  SHIMA_CHECK(s.live_records > 0 && s.live_bytes >= location.length,
              "a segment's live records are counted right");
  --s.live_records;
  s.live_bytes -= location.length;
  live_bytes_ -= location.length;
}

void JournalIndex::commit_record(GroupId id, uint64_t life, Sequence sequence, Location location) {
  std::lock_guard lock(mutex_);
  Group& group = groups_[id];
  group.life = life;
  if (sequence <= group.released) return;
  if (group.locations.empty()) group.first = sequence;
  SHIMA_CHECK(sequence.value == group.first.value + group.locations.size(),
              "a group's records are contiguous");
  group.locations.push_back(location);
  add_live(id, sequence, location);
}

void JournalIndex::commit_move(const LiveRecord& from, Location to) {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(from.group);
  if (it == groups_.end() || it->second.locations.empty() || from.sequence < it->second.first) return;
  uint64_t index = from.sequence.value - it->second.first.value;
  if (index >= it->second.locations.size() || it->second.locations[index] != from.location) return;
  drop_live(from.location);
  it->second.locations[index] = to;
  add_live(from.group, from.sequence, to);
}

void JournalIndex::truncate(Group& group, Sequence after) {
  while (!group.locations.empty() && group.first.value + group.locations.size() - 1 > after.value) {
    drop_live(group.locations.back());
    group.locations.pop_back();
  }
}

void JournalIndex::commit_control(const Control& c, uint64_t life, uint32_t segment) {
  std::lock_guard lock(mutex_);
  Group& group = groups_[c.group];
  segments_.at(segment).controls.insert(c.group);
  if (c.type != EntryType::kDrop) group.life = life;
  switch (c.type) {
    case EntryType::kRelease:
      if (c.sequence >= group.released) {
        group.release_segment = segment;
        group.release_unwritten = false;
        unwritten_.erase(c.group);
      }
      break;
    case EntryType::kTruncate: {
      bool is_new = note_truncation(group.truncations, {c.sequence, c.before, segment});
      if (is_new) truncate(group, c.sequence);
      break;
    }
    case EntryType::kDrop:
      group.dropped_segment = segment;
      if (c.before <= group.dropped_before) break;
      truncate(group, Sequence(0));
      group = Group{.dropped_before = c.before, .dropped_segment = segment};
      unwritten_.erase(c.group);
      repaired(c.group, Sequence(UINT64_MAX));
      break;
    default:
      SHIMA_CHECK(false, "only control entries come here");
  }
}

uint64_t JournalIndex::life(GroupId id) const {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(id);
  return it == groups_.end() ? 0 : it->second.life;
}

Sequence JournalIndex::expected_next(GroupId id) const {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(id);
  if (it == groups_.end() || it->second.locations.empty()) return Sequence(0);
  return Sequence(it->second.first.value + it->second.locations.size());
}

Sequence JournalIndex::first(GroupId id) const {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(id);
  return it == groups_.end() || it->second.locations.empty() ? Sequence(0) : it->second.first;
}

Sequence JournalIndex::released(GroupId id) const {
  std::lock_guard lock(mutex_);
  auto it = groups_.find(id);
  return it == groups_.end() ? Sequence(0) : it->second.released;
}

bool JournalIndex::release(GroupId id, Sequence upto) {
  std::lock_guard lock(mutex_);
  Group& group = groups_[id];
  if (upto <= group.released) return false;
  group.released = upto;
  group.release_unwritten = true;
  unwritten_.insert(id);
  bool freed = false;
  while (!group.locations.empty() && group.first <= upto) {
    const Location& location = group.locations.front();
    drop_live(location);
    const Segment& s = segments_.at(location.segment);
    freed = freed || (s.sealed && s.live_records == 0);
    group.locations.pop_front();
    group.first = group.first.next();
  }
  if (!unrepaired_.empty()) {
    repaired(id, upto);
    freed = freed || unrepaired_.empty();
  }
  return freed;
}

void JournalIndex::repaired(GroupId id, Sequence released) {
  auto it = unrepaired_.find(id);
  if (it != unrepaired_.end() && released >= it->second) unrepaired_.erase(it);
}

std::vector<Control> JournalIndex::unwritten_releases() const {
  std::lock_guard lock(mutex_);
  std::vector<Control> out;
  for (GroupId id : unwritten_) out.push_back({EntryType::kRelease, id, groups_.at(id).released, 0});
  return out;
}

std::vector<Location> JournalIndex::find(GroupId id, Sequence first, Sequence last,
                                         uint64_t max_bytes) const {
  std::lock_guard lock(mutex_);
  std::vector<Location> out;
  auto it = groups_.find(id);
  if (it == groups_.end()) return out;
  const Group& group = it->second;
  uint64_t end = group.first.value + group.locations.size();
  if (group.locations.empty() || first < group.first || first.value >= end) return out;
  uint64_t bytes = 0;
  for (uint64_t s = first.value; s < end && s <= last.value; ++s) {
    const Location& location = group.locations[s - group.first.value];
    if (!out.empty() && bytes + location.length > max_bytes) break;
    bytes += location.length;
    out.push_back(location);
  }
  return out;
}

void JournalIndex::load(GroupId id, const ReplayedGroup& replayed) {
  std::lock_guard lock(mutex_);
  Group& group = groups_[id];
  group.released = replayed.released;
  group.release_segment = replayed.released_segment;
  group.truncations = replayed.truncations;
  group.dropped_before = replayed.dropped_before;
  group.dropped_segment = replayed.dropped_segment;
  group.life = replayed.life;
  for (const auto& [sequence, r] : replayed.records) {
    if (group.locations.empty()) group.first = sequence;
    SHIMA_CHECK(sequence.value == group.first.value + group.locations.size(),
                "recovered records are contiguous");
    group.locations.push_back({r.segment, r.offset, r.length});
    add_live(id, sequence, group.locations.back());
  }
}

void JournalIndex::note_control(GroupId group, uint32_t segment) {
  std::lock_guard lock(mutex_);
  segments_.at(segment).controls.insert(group);
}

void JournalIndex::hold_damaged(std::set<uint32_t> segments, std::map<GroupId, Sequence> until_released) {
  std::lock_guard lock(mutex_);
  damaged_segments_ = std::move(segments);
  unrepaired_ = std::move(until_released);
}

uint64_t JournalIndex::used_bytes() const {
  std::lock_guard lock(mutex_);
  return used_bytes_;
}

uint64_t JournalIndex::live_bytes() const {
  std::lock_guard lock(mutex_);
  return live_bytes_;
}

uint64_t JournalIndex::segment_count() const {
  std::lock_guard lock(mutex_);
  return segments_.size();
}

}  // namespace shima
