#include "cli/dump/dump_blocks.h"

#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "coreserver/blocks/inspect.h"

namespace shima {
namespace {

void print_json(const Inspection& inspection) {
  nlohmann::ordered_json out;
  out["disk_id"] = inspection.disk_id;
  out["verified"] = inspection.verified;
  out["groups"] = nlohmann::ordered_json::array();
  for (const GroupContents& group : inspection.groups) {
    nlohmann::ordered_json item;
    item["volume"] = group.group.volume.value;
    item["group"] = group.group.index.value;
    item["blocks"] = group.blocks;
    item["present_bytes"] = group.present_bytes;
    item["newest_term"] = group.newest.term.value;
    item["newest_sequence"] = group.newest.sequence.value;
    item["checkpoint_bytes"] = group.checkpoint_bytes;
    item["metadata_keys"] = group.kv.keys;
    item["metadata_bytes"] = group.kv.bytes;
    if (inspection.verified) item["metadata_checksum"] = group.kv_checksum;
    if (inspection.verified) {
      item["bad_blocks"] = nlohmann::ordered_json::array();
      for (const BlockKey& key : group.bad_blocks) {
        item["bad_blocks"].push_back({{"inode", key.inode.value}, {"block", key.block.value}});
      }
    }
    out["groups"].push_back(std::move(item));
  }
  std::printf("%s\n", out.dump(2).c_str());
}

void print_table(const Inspection& inspection) {
  std::printf("disk %llu\n", static_cast<unsigned long long>(inspection.disk_id));
  std::printf("%-24s %10s %16s %20s %12s%s\n", "GROUP", "BLOCKS", "PRESENT BYTES", "NEWEST VERSION",
              "CHECKPOINT", inspection.verified ? "  CHECKSUMS" : "");
  for (const GroupContents& group : inspection.groups) {
    const std::string checked =
        group.bad_blocks.empty() ? "  ok" : "  " + std::to_string(group.bad_blocks.size()) + " bad";
    std::printf("%-24s %10llu %16llu %20s %10llu B%s\n", to_string(group.group).c_str(),
                static_cast<unsigned long long>(group.blocks),
                static_cast<unsigned long long>(group.present_bytes), to_string(group.newest).c_str(),
                static_cast<unsigned long long>(group.checkpoint_bytes),
                inspection.verified ? checked.c_str() : "");
  }
  for (const GroupContents& group : inspection.groups) {
    if (group.kv.keys == 0) continue;
    std::printf("metadata of group %s: %llu keys, %llu bytes", to_string(group.group).c_str(),
                static_cast<unsigned long long>(group.kv.keys),
                static_cast<unsigned long long>(group.kv.bytes));
    if (inspection.verified) std::printf(", checksum %08x", group.kv_checksum);
    std::printf("\n");
  }
  for (const GroupContents& group : inspection.groups) {
    for (const BlockKey& key : group.bad_blocks) {
      std::printf("bad: group %s, inode %llu, block %llu\n", to_string(group.group).c_str(),
                  static_cast<unsigned long long>(key.inode.value),
                  static_cast<unsigned long long>(key.block.value));
    }
  }
}

}  // namespace

int dump_blocks(const DumpBlocksOptions& options) {
  if (options.output != "table" && options.output != "json") {
    std::fprintf(stderr, "shima-dump: -o is \"%s\"; allowed are table and json\n", options.output.c_str());
    return 2;
  }
  InspectOptions inspect{std::nullopt, options.verify};
  if (!options.group.empty()) {
    auto group = parse_group(options.group);
    if (!group) {
      std::fprintf(stderr, "shima-dump: %s\n", group.status().message().c_str());
      return 2;
    }
    inspect.only = *group;
  }
  const std::unique_ptr<Disk> disk = make_posix_disk();
  auto inspection = inspect_blocks(*disk, options.directory, inspect);
  if (!inspection) {
    std::fprintf(stderr, "shima-dump: %s\n", inspection.status().to_string().c_str());
    return 1;
  }
  options.output == "json" ? print_json(*inspection) : print_table(*inspection);
  for (const GroupContents& group : inspection->groups) {
    if (!group.bad_blocks.empty()) return 1;
  }
  return 0;
}

}  // namespace shima
