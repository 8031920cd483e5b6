#include "tests/unit/coreserver/jobs/metadata_check.h"

#include <gtest/gtest.h>

#include <set>

#include "common/types/byte_order.h"
#include "coreserver/jobs/jobs.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/metadata_keys.h"
#include "coreserver/jobs/stored_inode.h"
#include "coreserver/jobs/stored_session.h"

namespace shima {
namespace {

uint64_t first_number(std::string_view key) { return last_number(key.substr(1, 8)); }

struct Names {
  uint32_t names = 0;           // of the inode
  uint64_t parent = 0;          // of a directory's name
  uint64_t entries = 0;         // in the directory
  uint32_t subdirectories = 0;  // in the directory
};

class MetadataCheck {
 public:
  explicit MetadataCheck(const MemoryKv& kv) : kv_(kv) {}

  void run() {
    inodes_.emplace(kRootInode, initial_root());
    for_each('i', [&](const std::string& key, const std::string& value) {
      std::optional<StoredInode> inode = decode_inode(first_number(key), value);
      ASSERT_TRUE(inode) << "inode " << first_number(key);
      inodes_.insert_or_assign(first_number(key), *inode);
    });
    names_[kRootInode].names = 1;
    names_[kRootInode].parent = kRootInode;
    check_names();
    for (const auto& [number, inode] : inodes_) check_inode(number, inode);
    check_orphans();
    check_sessions();
    check_counters();
  }

 private:
  void for_each(char kind, const std::function<void(const std::string&, const std::string&)>& visit) {
    for (const auto& [key, value] : kv_.entries()) {
      if (key[0] == kind) visit(key, value);
    }
  }
  size_t count(char kind) {
    size_t found = 0;
    for_each(kind, [&](const std::string&, const std::string&) { found++; });
    return found;
  }

  void check_names() {
    for_each('e', [&](const std::string& key, const std::string& value) {
      const uint64_t parent = first_number(key);
      const std::optional<StoredEntry> entry = decode_entry(value);
      ASSERT_TRUE(entry);
      EXPECT_EQ(kv_.get(cookie_key(parent, entry->cookie)), encode_cookie_entry(*entry, key.substr(9)));
      ASSERT_TRUE(inodes_.contains(entry->inode)) << "a name of an inode that is not there";
      ASSERT_TRUE(inodes_.contains(parent)) << "a name in a directory that is not there";
      EXPECT_EQ(inodes_[entry->inode].attributes.type(), entry->type);
      EXPECT_LT(entry->cookie, inodes_[parent].next_cookie);
      const bool directory = inodes_[entry->inode].is_directory();
      names_[entry->inode].names++;
      names_[entry->inode].parent = parent;
      names_[parent].entries++;
      names_[parent].subdirectories += directory;
    });
    EXPECT_EQ(count('c'), count('e'));
  }

  void check_inode(uint64_t number, const StoredInode& inode) {
    const metadata::v1::Attributes& a = inode.attributes;
    const Names& names = names_[number];
    if (inode.is_directory()) {
      EXPECT_LE(names.names, 1u) << "directory " << number;
      EXPECT_EQ(a.nlink(), names.names == 0 ? 0 : 2 + names.subdirectories) << "directory " << number;
      EXPECT_EQ(inode.entries, names.entries) << "directory " << number;
      EXPECT_EQ(a.size(), std::max(kDirectoryBytes, kEntryBytes * names.entries)) << "directory " << number;
      if (names.names > 0) {
        EXPECT_EQ(a.parent(), names.parent) << "directory " << number;
      }
    } else {
      EXPECT_EQ(a.nlink(), names.names) << "inode " << number;
      EXPECT_EQ(names.entries, 0u) << "inode " << number;
    }
    if (inode.is_regular() && !a.writers().empty()) {
      EXPECT_GE(a.high_water(), a.size()) << "inode " << number;
    }
    EXPECT_EQ(a.truncating(), a.truncating_from() > 0) << "inode " << number;
    const bool symlink = inode.is(metadata::v1::FILE_TYPE_SYMLINK);
    EXPECT_EQ(kv_.get(symlink_key(number)).has_value(), symlink) << "inode " << number;
    EXPECT_EQ(a.nlink() == 0, inode.orphan_number != 0) << "inode " << number;
    check_xattrs(number, inode);
  }

  void check_xattrs(uint64_t number, const StoredInode& inode) {
    uint64_t name_bytes = 0, bytes = 0;
    const std::string prefix = xattr_prefix(number);
    kv_.scan(prefix, prefix, [&](std::string_view key, std::string_view value) {
      name_bytes += key.size() - prefix.size() + 1;
      bytes += key.size() - prefix.size() + value.size() - 1;
      return true;
    });
    EXPECT_EQ(inode.xattr_name_bytes, name_bytes) << "inode " << number;
    EXPECT_EQ(inode.xattr_bytes, bytes) << "inode " << number;
  }

  void check_orphans() {
    std::map<uint64_t, uint64_t> orphans;  // by inode
    for_each('o', [&](const std::string& key, const std::string& value) {
      std::string_view rest = value;
      uint8_t version = 0;
      uint64_t inode = 0;
      EXPECT_TRUE(take_little_endian(rest, version) && take_little_endian(rest, inode));
      orphans[inode] = first_number(key);
    });
    for (const auto& [number, inode] : inodes_) {
      EXPECT_EQ(inode.orphan_number, orphans.contains(number) ? orphans[number] : 0) << "inode " << number;
    }
    for (const auto& [inode, number] : orphans) EXPECT_TRUE(inodes_.contains(inode)) << "orphan " << number;
  }

  void check_sessions() {
    std::set<std::pair<uint64_t, uint64_t>> locks, noted;
    for_each('l', [&](const std::string& key, const std::string& value) {
      const std::optional<LockTable> table = LockTable::decode(value);
      ASSERT_TRUE(table);
      EXPECT_FALSE(table->locks().empty());
      EXPECT_TRUE(inodes_.contains(first_number(key)));
      for (uint64_t session : table->sessions()) locks.emplace(session, first_number(key));
    });
    for_each('L', [&](const std::string& key, const std::string&) {
      noted.emplace(first_number(key), last_number(key));
    });
    EXPECT_EQ(locks, noted);
    std::set<std::pair<uint64_t, uint64_t>> holds, held;
    for_each('H', [&](const std::string& key, const std::string&) {
      holds.emplace(first_number(key), last_number(key));
    });
    for_each('h', [&](const std::string& key, const std::string&) {
      held.emplace(last_number(key), first_number(key));
    });
    EXPECT_EQ(holds, held);
    locks.merge(holds);
    for (const auto& [session, inode] : locks) {
      EXPECT_TRUE(kv_.get(session_key(session))) << "session " << session << " is over, but has " << inode;
    }
  }

  void check_counters() {
    const std::optional<std::string> value = kv_.get(counters_key());
    const std::optional<Counters> counters = value ? decode_counters(*value) : Counters{};
    ASSERT_TRUE(counters);
    EXPECT_EQ(counters->inodes, inodes_.size());
    EXPECT_LT(inodes_.rbegin()->first, counters->next_inode);
    uint64_t newest = 0;
    for_each('o', [&](const std::string& key, const std::string&) { newest = first_number(key); });
    EXPECT_LE(newest, counters->orphans_so_far);
  }

  const MemoryKv& kv_;
  std::map<uint64_t, StoredInode> inodes_;
  std::map<uint64_t, Names> names_;
};

}  // namespace

void check_metadata(const MemoryKv& kv) { MetadataCheck(kv).run(); }

}  // namespace shima
