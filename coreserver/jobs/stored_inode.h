// What the metadata KV keeps under its keys for inodes, directory entries and counters, and its encodings.
//
// Each value begins with a version byte; decoding refuses (nullopt) what cannot have been written by us: rot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shima/metadata/v1/metadata.pb.h"

namespace shima {

inline constexpr uint64_t kSelfCookie = 1;         // of "." in every directory
inline constexpr uint64_t kParentCookie = 2;       // of ".."
inline constexpr uint64_t kFirstEntryCookie = 3;   // of the first entry ever made in a directory
inline constexpr uint64_t kDirectoryBytes = 4096;  // least size that a directory shows
inline constexpr uint64_t kEntryBytes = 32;        // what each entry adds to it beyond that

// An inode: what everyone may see, and what only jobs need.
struct StoredInode {
  metadata::v1::Attributes attributes;
  uint64_t next_cookie = kFirstEntryCookie;  // directories: of the next entry; never given twice
  uint64_t entries = 0;                      // directories: how many, without "." and ".."
  bool has_verifier = false;                 // made by an exclusive Create with `verifier`
  uint64_t verifier = 0;
  uint64_t orphan_number = 0;     // key of the orphan record, once nlink is 0
  uint32_t xattr_name_bytes = 0;  // of all names, each with its final NUL as listxattr(2) counts
  uint32_t xattr_bytes = 0;       // of all names and values
  // The mtime was set by an attribute change (not by a write) and may lie in the future: the next write sets
  // it, even back. Otherwise it is the newest write's.
  bool mtime_was_set = false;

  bool is(metadata::v1::FileType type) const { return attributes.type() == type; }
  bool is_directory() const { return is(metadata::v1::FILE_TYPE_DIRECTORY); }
  bool is_regular() const { return is(metadata::v1::FILE_TYPE_REGULAR); }
  // Sets the size that a directory shows, from its entries.
  void update_directory_size();
};

std::string encode_inode(const StoredInode& inode);
std::optional<StoredInode> decode_inode(uint64_t inode, std::string_view value);
// The root directory before the first job that changes it.
StoredInode initial_root();

// A name in a directory.
struct StoredEntry {
  uint64_t inode = 0;
  metadata::v1::FileType type = metadata::v1::FILE_TYPE_UNSPECIFIED;
  uint64_t cookie = 0;
};

// Value of an `e` key (parent, name).
std::string encode_entry(const StoredEntry& entry);
std::optional<StoredEntry> decode_entry(std::string_view value);
// Value of a `c` key (parent, cookie).
std::string encode_cookie_entry(const StoredEntry& entry, std::string_view name);
std::optional<StoredEntry> decode_cookie_entry(uint64_t cookie, std::string_view value, std::string& name);

// Value of an `s` key: the target of a symbolic link.
std::string encode_symlink(std::string_view target);
std::optional<std::string> decode_symlink(std::string_view value);

struct Counters {
  uint64_t next_inode = 3;      // 1 is the image of a raw volume, 2 the root directory
  uint64_t inodes = 1;          // that exist, orphans included
  uint64_t orphans_so_far = 0;  // number of the newest orphan
  bool operator==(const Counters&) const = default;
};
std::string encode_counters(const Counters& counters);
std::optional<Counters> decode_counters(std::string_view value);

}  // namespace shima
