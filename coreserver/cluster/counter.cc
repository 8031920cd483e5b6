#include "coreserver/cluster/counter.h"

#include <algorithm>
#include <functional>

#include "coreserver/cluster/records.h"
#include "coreserver/cluster/retry_deadline.h"

namespace shima {
namespace {

// Writes next(last) until it is written, and returns it; writes nothing if it is the same.
Result<uint64_t> change(EtcdClient& etcd, std::string_view counter, uint32_t timeout_ms,
                        const std::function<uint64_t(uint64_t)>& next) {
  const std::string key = counter_key(counter);
  RetryDeadline deadline(timeout_ms);
  for (;;) {
    Result<EtcdKeyValue> item = etcd.get(key);
    Status status = item.status();
    if (item || status.code() == Code::kNotFound) {
      uint64_t last = 0;
      EtcdRevision expected;
      if (item) {
        Result<uint64_t> decoded = decode_counter(*item);
        if (!decoded) return decoded.status();
        last = *decoded;
        expected = item->mod_revision;
      }
      const uint64_t wanted = next(last);
      if (wanted == last) return last;
      Result<EtcdRevision> won = etcd.compare_and_swap(key, expected, encode_counter(wanted));
      if (won) return wanted;
      status = won.status();
    }
    // After an unknown outcome the number may or may not be taken: the next read shows, and nobody else has
    // it.
    bool worth_it = status.code() == Code::kConflict || status.code() == Code::kUnavailable ||
                    status.code() == Code::kDeadlineExceeded;
    if (!worth_it) return status;
    if (deadline.is_over()) return {Code::kUnavailable, status.message()};
    deadline.pause();
  }
}

}  // namespace

Result<uint64_t> next_number(EtcdClient& etcd, std::string_view counter, uint32_t timeout_ms) {
  return change(etcd, counter, timeout_ms, [](uint64_t last) { return last + 1; });
}

Status skip_numbers_up_to(EtcdClient& etcd, std::string_view counter, uint64_t number, uint32_t timeout_ms) {
  return change(etcd, counter, timeout_ms, [number](uint64_t last) { return std::max(last, number); })
      .status();
}

}  // namespace shima
