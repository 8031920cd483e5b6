// What the tests of the metadata store share: records with batches, a store, and the plain truth.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "common/runtime/disk.h"
#include "common/types/crc32c.h"
#include "coreserver/blocks/block_store.h"
#include "coreserver/jobs/kv_view.h"
#include "coreserver/metadata/kv_store.h"

namespace shima {

inline constexpr GroupId kTestGroup{VolumeId(5), GroupIndex(8)};
inline constexpr uint64_t kTestDisk = 77;

inline RecordPtr make_record_of(std::string payload, uint64_t sequence, GroupId group = kTestGroup) {
  auto record = std::make_shared<Record>();
  record->header.group = group;
  record->header.position = {Term(1), Sequence(sequence)};
  record->header.kind = RecordKind::kBatch;
  record->header.length = static_cast<uint32_t>(payload.size());
  record->payload = Buffer::copy_of(payload);
  record->header.checksums = chunk_checksums(record->payload.span());
  return record;
}
inline RecordPtr make_batch(uint64_t sequence, const KvBatch& batch, GroupId group = kTestGroup) {
  return make_record_of(encode_kv_batch(batch), sequence, group);
}
inline RecordPtr make_noop(uint64_t sequence) {
  auto record = std::make_shared<Record>();
  record->header.group = kTestGroup;
  record->header.position = {Term(1), Sequence(sequence)};
  return record;
}

using ModelKv = std::map<std::string, std::string>;

inline void change(ModelKv& kv, const KvBatch& batch) {
  for (const KvChange& c : batch) {
    if (c.value) {
      kv[c.key] = *c.value;
    } else {
      kv.erase(c.key);
    }
  }
}

inline KvUsage usage_of(const ModelKv& kv) {
  KvUsage usage;
  for (const auto& [key, value] : kv) {
    usage.keys++;
    usage.bytes += key.size() + value.size();
  }
  return usage;
}

// Keys of few kinds, some of them prefixes of others, some long enough for the prefix filter; bytes of all
// values.
inline std::string random_key(std::mt19937_64& random) {
  static const std::string kinds[] = {"e", "e\xff", std::string("e\0", 2), "x", "\xff\xff"};
  std::string key = kinds[random() % 5];
  if (random() % 4 == 0) return key;
  key += std::string(7, '\0') + static_cast<char>(random() % 3 * 127);
  for (uint64_t n = random() % 3; n > 0; n--) key += static_cast<char>(random() % 2 * 255);
  return key;
}

// Batch `sequence` of an endless log that depends on nothing but the seed.
inline KvBatch random_batch(uint64_t seed, uint64_t sequence) {
  std::mt19937_64 random(seed * 1000003 + sequence);
  KvBatch batch;
  for (uint64_t n = random() % 6; n > 0; n--) {
    KvChange c{random_key(random), std::nullopt};
    if (random() % 3 != 0) c.value = std::string(random() % 40, static_cast<char>('a' + random() % 26));
    batch.push_back(std::move(c));
  }
  return batch;
}

class TestStore {
 public:
  explicit TestStore(bool through_disk = false, std::unique_ptr<Disk> disk = make_posix_disk(),
                     std::string path = "")
      : disk_(std::move(disk)), path_(std::move(path)), mine_(path_.empty()), through_disk_(through_disk) {
    if (mine_) {
      path_ = (std::filesystem::temp_directory_path() / "shima-metadata-XXXXXX").string();
      path_ = ::mkdtemp(path_.data());
    }
    open();
  }
  ~TestStore() {
    store_.reset();
    if (mine_) std::filesystem::remove_all(path_);
  }
  void open() {
    store_.reset();
    BlockStoreOptions options;
    options.index_through_disk = through_disk_;
    auto store = BlockStore::open(*disk_, path_, kTestDisk, options);
    EXPECT_TRUE(store.is_ok()) << store.status().to_string();
    store_ = std::move(*store);
  }
  BlockStore& blocks() { return *store_; }
  KvStore& kv() { return store_->kv(); }

  ModelKv contents(GroupId group = kTestGroup) {
    ModelKv found;
    const Status status = kv().scan(group, "", "", [&](std::string_view key, std::string_view value) {
      EXPECT_TRUE(found.emplace(key, value).second);
      return true;
    });
    EXPECT_TRUE(status.is_ok()) << status.to_string();
    return found;
  }

 private:
  std::unique_ptr<Disk> disk_;
  std::string path_;
  const bool mine_;
  const bool through_disk_;
  std::unique_ptr<BlockStore> store_;
};

}  // namespace shima
