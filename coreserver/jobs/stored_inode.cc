#include "coreserver/jobs/stored_inode.h"

#include <algorithm>

#include "common/types/byte_order.h"
#include "coreserver/jobs/jobs.h"

namespace shima {
namespace {

using metadata::v1::FileType;

constexpr uint8_t kInodeVersion = 1;
constexpr uint8_t kEntryVersion = 1;
constexpr uint8_t kSymlinkVersion = 1;
constexpr uint8_t kCountersVersion = 1;
constexpr uint8_t kHasVerifier = 1;
constexpr uint8_t kMtimeWasSet = 2;

bool is_file_type(int type) {
  return type > metadata::v1::FILE_TYPE_UNSPECIFIED && type <= metadata::v1::FILE_TYPE_SOCKET;
}

bool take_version(std::string_view& in, uint8_t version) {
  uint8_t found = 0;
  return take_little_endian(in, found) && found == version;
}

bool take_type(std::string_view& in, FileType& type) {
  uint8_t number = 0;
  if (!take_little_endian(in, number) || !is_file_type(number)) return false;
  type = static_cast<FileType>(number);
  return true;
}

bool plausible(uint64_t inode, const metadata::v1::Attributes& a) {
  return a.inode() == inode && is_file_type(a.type()) && (a.mode() & ~07777u) == 0 &&
         a.nlink() <= kMaxLinks && (a.type() != metadata::v1::FILE_TYPE_REGULAR || a.size() <= kMaxFileBytes);
}

}  // namespace

void StoredInode::update_directory_size() {
  attributes.set_size(std::max(kDirectoryBytes, entries * kEntryBytes));
}

std::string encode_inode(const StoredInode& inode) {
  std::string out;
  append_little_endian(out, kInodeVersion);
  append_little_endian<uint8_t>(
      out, (inode.has_verifier ? kHasVerifier : 0) | (inode.mtime_was_set ? kMtimeWasSet : 0));
  append_little_endian(out, inode.next_cookie);
  append_little_endian(out, inode.entries);
  append_little_endian(out, inode.verifier);
  append_little_endian(out, inode.orphan_number);
  append_little_endian(out, inode.xattr_name_bytes);
  append_little_endian(out, inode.xattr_bytes);
  inode.attributes.AppendToString(&out);
  return out;
}

std::optional<StoredInode> decode_inode(uint64_t inode, std::string_view value) {
  StoredInode out;
  uint8_t flags = 0;
  if (!take_version(value, kInodeVersion) || !take_little_endian(value, flags) ||
      !take_little_endian(value, out.next_cookie) || !take_little_endian(value, out.entries) ||
      !take_little_endian(value, out.verifier) || !take_little_endian(value, out.orphan_number) ||
      !take_little_endian(value, out.xattr_name_bytes) || !take_little_endian(value, out.xattr_bytes)) {
    return std::nullopt;
  }
  if (!out.attributes.ParseFromArray(value.data(), static_cast<int>(value.size()))) return std::nullopt;
  if (!plausible(inode, out.attributes) || out.next_cookie < kFirstEntryCookie) return std::nullopt;
  out.has_verifier = flags & kHasVerifier;
  out.mtime_was_set = flags & kMtimeWasSet;
  return out;
}

StoredInode initial_root() {
  StoredInode root;
  root.attributes.set_inode(kRootInode);
  root.attributes.set_type(metadata::v1::FILE_TYPE_DIRECTORY);
  root.attributes.set_mode(0755);
  root.attributes.set_nlink(2);
  root.attributes.set_generation(1);
  root.attributes.set_change(1);
  root.attributes.set_parent(kRootInode);
  root.update_directory_size();
  return root;
}

std::string encode_entry(const StoredEntry& entry) {
  std::string out;
  append_little_endian(out, kEntryVersion);
  append_little_endian(out, static_cast<uint8_t>(entry.type));
  append_little_endian(out, entry.inode);
  append_little_endian(out, entry.cookie);
  return out;
}

std::optional<StoredEntry> decode_entry(std::string_view value) {
  StoredEntry entry;
  if (!take_version(value, kEntryVersion) || !take_type(value, entry.type) ||
      !take_little_endian(value, entry.inode) || !take_little_endian(value, entry.cookie) || !value.empty()) {
    return std::nullopt;
  }
  return entry;
}

std::string encode_cookie_entry(const StoredEntry& entry, std::string_view name) {
  std::string out;
  append_little_endian(out, kEntryVersion);
  append_little_endian(out, static_cast<uint8_t>(entry.type));
  append_little_endian(out, entry.inode);
  out.append(name);
  return out;
}

std::optional<StoredEntry> decode_cookie_entry(uint64_t cookie, std::string_view value, std::string& name) {
  StoredEntry entry;
  entry.cookie = cookie;
  if (!take_version(value, kEntryVersion) || !take_type(value, entry.type) ||
      !take_little_endian(value, entry.inode)) {
    return std::nullopt;
  }
  if (value.empty() || value.size() > kMaxNameBytes) return std::nullopt;
  name.assign(value);
  return entry;
}

std::string encode_symlink(std::string_view target) {
  std::string out;
  append_little_endian(out, kSymlinkVersion);
  out.append(target);
  return out;
}

std::optional<std::string> decode_symlink(std::string_view value) {
  if (!take_version(value, kSymlinkVersion) || value.empty() || value.size() > kMaxSymlinkBytes)
    return std::nullopt;
  return std::string(value);
}

std::string encode_counters(const Counters& counters) {
  std::string out;
  append_little_endian(out, kCountersVersion);
  append_little_endian(out, counters.next_inode);
  append_little_endian(out, counters.inodes);
  append_little_endian(out, counters.orphans_so_far);
  return out;
}

std::optional<Counters> decode_counters(std::string_view value) {
  Counters counters;
  if (!take_version(value, kCountersVersion) || !take_little_endian(value, counters.next_inode) ||
      !take_little_endian(value, counters.inodes) || !take_little_endian(value, counters.orphans_so_far) ||
      !value.empty()) {
    return std::nullopt;
  }
  return counters;
}

}  // namespace shima
