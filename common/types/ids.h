// Identities and positions of Shima as types of their own, so that no two can be mixed up.
//
// Purpose: a Term is never passed where a Sequence is wanted. All are 64-bit unless said otherwise.
// Zero means "none" for all of them: the first real term, sequence, incarnation and volume are 1.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace shima {

// A number with a meaning. Tag is an empty struct which makes the type unique.
template <typename Tag, typename Rep = uint64_t>
struct Strong {
  Rep value = 0;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr explicit operator bool() const { return value != 0; }
  constexpr Strong next() const { return Strong(value + 1); }
  constexpr Strong prev() const { return Strong(value - 1); }
};

using ServerId = Strong<struct ServerIdTag>;        // a core server; given once, at its first registration
using VolumeId = Strong<struct VolumeIdTag>;        // drawn at creation, never reused
using InodeId = Strong<struct InodeIdTag>;          // a file of a volume; until files exist: always 1
using BlockIndex = Strong<struct BlockIndexTag>;    // number of a block in its file, from 0
using Term = Strong<struct TermTag>;                // counts configurations of a group; higher fences lower
using Sequence = Strong<struct SequenceTag>;        // position in a group's log, contiguous, first is 1
using ClientId = Strong<struct ClientIdTag>;        // one volume client process, drawn at random
using RequestId = Strong<struct RequestIdTag>;      // counts a client's requests, first is 1
using Incarnation = Strong<struct IncarnationTag>;  // counts the starts of a server
using ConfigVersion = Strong<struct ConfigVersionTag>;      // counts changes of a volume's record
using GroupIndex = Strong<struct GroupIndexTag, uint32_t>;  // number of a replica group in its volume, from 0

// One replica group of one volume.
struct GroupId {
  VolumeId volume;
  GroupIndex index;
  constexpr auto operator<=>(const GroupId&) const = default;
};

// A position in a log. Compares by term first: a record of a higher term is newer.
struct Position {
  Term term;
  Sequence sequence;
  constexpr auto operator<=>(const Position&) const = default;
};

inline std::string to_string(GroupId g) {
  return std::to_string(g.volume.value) + "/" + std::to_string(g.index.value);
}
inline std::string to_string(Position p) {
  return std::to_string(p.term.value) + ":" + std::to_string(p.sequence.value);
}

}  // namespace shima

template <typename Tag, typename Rep>
struct std::hash<shima::Strong<Tag, Rep>> {
  size_t operator()(const shima::Strong<Tag, Rep>& v) const noexcept { return std::hash<Rep>()(v.value); }
};
template <>
struct std::hash<shima::GroupId> {
  size_t operator()(const shima::GroupId& g) const noexcept {
    return std::hash<uint64_t>()(g.volume.value * 0x9e3779b97f4a7c15ull + g.index.value);
  }
};
