#include "coreserver/jobs/kv_view.h"

#include "common/types/byte_order.h"

namespace shima {
namespace {

constexpr char kBatchVersion = 1;
constexpr char kDelete = 0;
constexpr char kPut = 1;

void append_bytes(std::string& out, std::string_view bytes) {
  append_little_endian<uint32_t>(out, static_cast<uint32_t>(bytes.size()));
  out.append(bytes);
}

bool take_bytes(std::string_view& in, std::string& bytes) {
  uint32_t length = 0;
  if (!take_little_endian(in, length) || in.size() < length) return false;
  bytes.assign(in.substr(0, length));
  in.remove_prefix(length);
  return true;
}

Status corrupt(const char* what) {
  return {Code::kCorrupt, std::string("a batch of metadata ") + what + "; the record is damaged"};
}

}  // namespace

std::string encode_kv_batch(const KvBatch& batch) {
  std::string out(1, kBatchVersion);
  for (const KvChange& change : batch) {
    out.push_back(change.value ? kPut : kDelete);
    append_bytes(out, change.key);
    if (change.value) append_bytes(out, *change.value);
  }
  return out;
}

Result<KvBatch> decode_kv_batch(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kBatchVersion) return corrupt("has an unknown version");
  bytes.remove_prefix(1);
  KvBatch batch;
  while (!bytes.empty()) {
    const char kind = bytes[0];
    bytes.remove_prefix(1);
    if (kind != kDelete && kind != kPut) return corrupt("has a change that is neither put nor delete");
    KvChange change;
    if (!take_bytes(bytes, change.key)) return corrupt("ends inside a key");
    if (change.key.empty()) return corrupt("has an empty key");
    if (kind == kPut && !take_bytes(bytes, change.value.emplace())) return corrupt("ends inside a value");
    batch.push_back(std::move(change));
  }
  return batch;
}

}  // namespace shima
