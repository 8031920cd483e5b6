// Record marking: however a stream is cut, the same records come out, each within the bound.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "accessserver/nfs/rpc/record_reader.h"

namespace shima {
namespace {

constexpr size_t kMaxRecord = 5000;

struct Outcome {
  std::vector<std::string> records;
  bool broken = false;
  bool operator==(const Outcome&) const = default;
};

Outcome cut(std::span<const uint8_t> stream, size_t step, bool direct) {
  RecordReader reader(kMaxRecord);
  Outcome outcome;
  Buffer record;
  auto note = [&] {
    SHIMA_CHECK(record.size() <= kMaxRecord, "a record beyond the bound");
    outcome.records.emplace_back(reinterpret_cast<const char*>(record.data()), record.size());
  };
  while (!stream.empty()) {
    std::span<const uint8_t> bytes = stream.first(std::min(step, stream.size()));
    stream = stream.subspan(bytes.size());
    size_t part = direct ? std::min(bytes.size(), reader.rest_of_fragment().size()) : 0;
    if (part > 0) {
      std::memcpy(reader.rest_of_fragment().data(), bytes.data(), part);
      if (reader.filled(part, record)) note();
      bytes = bytes.subspan(part);
    }
    for (;;) {
      Result<bool> complete = reader.take(bytes, record);
      if (!complete) {
        outcome.broken = true;
        return outcome;
      }
      if (!*complete) break;
      note();
    }
    SHIMA_CHECK(reader.held_bytes() <= kMaxRecord, "more memory than a record may have");
  }
  return outcome;
}

}  // namespace
}  // namespace shima

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::span<const uint8_t> stream(data + 1, size - 1);
  shima::Outcome whole = shima::cut(stream, stream.size() + 1, false);
  shima::Outcome pieces = shima::cut(stream, size_t{data[0]} + 1, true);
  SHIMA_CHECK(whole == pieces, "the records depend on how the stream was cut");
  return 0;
}
