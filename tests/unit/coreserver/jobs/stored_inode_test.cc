#include "coreserver/jobs/stored_inode.h"

#include <gtest/gtest.h>

#include <random>

#include "coreserver/jobs/jobs.h"
#include "coreserver/jobs/lock_table.h"
#include "coreserver/jobs/stored_session.h"

namespace shima {
namespace {

StoredInode sample_inode() {
  StoredInode inode;
  inode.attributes.set_inode(77);
  inode.attributes.set_type(metadata::v1::FILE_TYPE_REGULAR);
  inode.attributes.set_mode(04755);
  inode.attributes.set_nlink(3);
  inode.attributes.set_size(kMaxFileBytes);
  inode.attributes.add_writers(9);
  inode.next_cookie = 1000;
  inode.entries = 5;
  inode.has_verifier = true;
  inode.verifier = 0x1122334455667788;
  inode.orphan_number = 4;
  inode.xattr_name_bytes = 10;
  inode.xattr_bytes = 20;
  inode.mtime_was_set = true;
  return inode;
}

TEST(StoredInode, ComesBackAsItWas) {
  const StoredInode inode = sample_inode();
  const std::optional<StoredInode> decoded = decode_inode(77, encode_inode(inode));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->attributes.SerializeAsString(), inode.attributes.SerializeAsString());
  EXPECT_EQ(encode_inode(*decoded), encode_inode(inode));
  EXPECT_EQ(decoded->next_cookie, 1000u);
  EXPECT_EQ(decoded->entries, 5u);
  EXPECT_TRUE(decoded->has_verifier);
  EXPECT_TRUE(decoded->mtime_was_set);
  EXPECT_EQ(decoded->verifier, 0x1122334455667788u);
}

TEST(StoredInode, RotIsRefused) {
  const std::string good = encode_inode(sample_inode());
  EXPECT_FALSE(decode_inode(78, good)) << "the inode of another key";
  EXPECT_FALSE(decode_inode(77, "\2" + good.substr(1))) << "version";
  for (size_t length = 0; length < 40; length++) EXPECT_FALSE(decode_inode(77, good.substr(0, length)));
  StoredInode bad = sample_inode();
  bad.attributes.set_mode(010000);
  EXPECT_FALSE(decode_inode(77, encode_inode(bad)));
  bad = sample_inode();
  bad.attributes.set_size(kMaxFileBytes + 1);
  EXPECT_FALSE(decode_inode(77, encode_inode(bad)));
  bad = sample_inode();
  bad.attributes.set_type(static_cast<metadata::v1::FileType>(8));
  EXPECT_FALSE(decode_inode(77, encode_inode(bad)));
}

TEST(StoredEntry, ComesBackAsItWasAndRotIsRefused) {
  const StoredEntry entry{.inode = 12, .type = metadata::v1::FILE_TYPE_FIFO, .cookie = 34};
  const std::string good = encode_entry(entry);
  const std::optional<StoredEntry> decoded = decode_entry(good);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->inode, 12u);
  EXPECT_EQ(decoded->type, metadata::v1::FILE_TYPE_FIFO);
  EXPECT_EQ(decoded->cookie, 34u);
  EXPECT_FALSE(decode_entry(good + "x"));
  EXPECT_FALSE(decode_entry(std::string_view(good).substr(1)));
  EXPECT_FALSE(decode_entry(std::string("\1\10", 2) + good.substr(2))) << "type";

  std::string name;
  const std::string by_cookie = encode_cookie_entry(entry, "name");
  ASSERT_TRUE(decode_cookie_entry(34, by_cookie, name));
  EXPECT_EQ(name, "name");
  EXPECT_FALSE(decode_cookie_entry(34, encode_cookie_entry(entry, ""), name));
  EXPECT_FALSE(decode_cookie_entry(34, encode_cookie_entry(entry, std::string(256, 'n')), name));
}

TEST(Counters, ComeBackAsTheyWereAndRotIsRefused) {
  const Counters counters{.next_inode = 9, .inodes = 7, .orphans_so_far = 3};
  const std::string good = encode_counters(counters);
  EXPECT_EQ(decode_counters(good), counters);
  EXPECT_FALSE(decode_counters(good + "x"));
  EXPECT_FALSE(decode_counters(std::string_view(good).substr(0, good.size() - 1)));
  EXPECT_FALSE(decode_counters(""));
}

TEST(StoredValues, RandomDamageNeverCrashesADecoder) {
  std::mt19937 random(7);
  LockTable locks;
  ASSERT_TRUE(locks.set({metadata::v1::LOCK_KIND_POSIX, metadata::v1::LOCK_TYPE_READ, 0, 9, 1, 2, 3}));
  const std::string values[] = {encode_inode(sample_inode()),
                                encode_entry({1, metadata::v1::FILE_TYPE_FIFO, 3}), encode_counters({}),
                                encode_session({.name = "x"}), locks.encode()};
  std::string name;
  for (int round = 0; round < 20000; round++) {
    std::string value = values[random() % std::size(values)];
    value[random() % value.size()] = static_cast<char>(random());
    if (random() % 4 == 0) value.resize(random() % value.size());
    if (auto inode = decode_inode(77, value)) {
      EXPECT_EQ(inode->attributes.inode(), 77u);
    }
    if (auto entry = decode_entry(value)) {
      EXPECT_EQ(encode_entry(*entry), value);
    }
    if (auto counters = decode_counters(value)) {
      EXPECT_EQ(encode_counters(*counters), value);
    }
    if (auto table = LockTable::decode(value)) {
      EXPECT_EQ(table->encode(), value);
    }
    if (decode_session(value)) {
      EXPECT_LE(value.size(), 10u + 255u);
    }
    if (decode_cookie_entry(5, value, name)) {
      EXPECT_LE(name.size(), kMaxNameBytes);
    }
  }
}

}  // namespace
}  // namespace shima
