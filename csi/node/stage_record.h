// StageRecord: what the node plug-in remembers of a volume that is staged on this node, written before each
// thing it does, so that a plug-in that was killed at any point is followed by one that knows what may be
// there.
//
// PURE: JSON, one file a volume, "VOLUME.json". Records are read as input: kCorrupt, with what is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status/status.h"

namespace shima {

enum class StagePhase { kStaging, kStaged, kUnstaging };
enum class FileProtocol { kFuse, kNfs };

struct PublishedTarget {
  std::string path;
  bool read_only = false;
  std::vector<std::string> flags;  // of CSI's mount_flags, sorted

  bool operator==(const PublishedTarget&) const = default;
};

struct StageRecord {
  std::string volume;
  std::string staging_path;
  bool block = false;  // a loop device on the volume's disk image, not the volume's tree
  bool read_only = false;
  FileProtocol protocol = FileProtocol::kFuse;
  std::vector<std::string> flags;       // of CSI's mount_flags, sorted
  std::optional<uint32_t> mount_group;  // of CSI's volume_mount_group
  uint64_t publication = 0;             // that the FUSE mount is made with
  uint64_t size_bytes = 0;
  StagePhase phase = StagePhase::kStaging;
  std::optional<uint32_t> loop;            // number of the device, intended or set up
  std::optional<uint32_t> read_only_loop;  // the same, of read-only targets
  std::vector<PublishedTarget> targets;

  PublishedTarget* find_target(std::string_view path);
  bool wants_loop() const { return block && !read_only; }
  bool wants_read_only_loop() const;

  // May a repeated NodeStageVolume be answered with what there is (CSI 1.12, NodeStageVolume,
  // "incompatible")?
  bool compatible_with(const StageRecord& wanted) const;
};

// Records are files named after volumes: 1 to 63 of [a-z0-9.-], no dot in front. No volume has another name.
bool can_name_record(std::string_view volume);

std::string to_json(const StageRecord& record);
Result<StageRecord> stage_record_from_json(const std::string& text);

}  // namespace shima
