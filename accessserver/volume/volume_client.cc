#include "accessserver/volume/volume_client.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <random>
#include <thread>

#include "accessserver/volume/backoff.h"
#include "accessserver/volume/volume_session.h"
#include "common/runtime/clock.h"
#include "common/types/crc32c.h"
#include "common/types/record.h"

namespace shima {
namespace {

ClientId draw_client_id() {
  std::random_device device;
  uint64_t id = (uint64_t{device()} << 32) | device();
  return ClientId(id ? id : 1);
}

Status check_layout(const VolumeLayout& layout) {
  bool power_of_two = layout.block_size != 0 && (layout.block_size & (layout.block_size - 1)) == 0;
  bool in_bounds = layout.block_size >= kChunkSize && layout.block_size <= kMaxBlockSize;
  if (!layout.volume || layout.groups.empty() || !power_of_two || !in_bounds) {
    return {Code::kInternal,
            "the record of volume " + layout.name +
                " lacks an id, groups or a block size that is a power of two from 4 KiB to 4 MiB"};
  }
  return {};
}

// Asks until the deadline; only "there is no such volume" is final.
Result<VolumeLayout> first_layout(LayoutSource& source, const std::string& name,
                                  const VolumeClientOptions& options, uint64_t seed) {
  std::mt19937_64 random(seed);
  Backoff backoff{options.retry_min_ms, options.retry_max_ms};
  uint64_t deadline = real_clock().now_ms() + options.deadline_ms;
  for (uint32_t failures = 1;; failures++) {
    Result<VolumeLayout> layout = source.fetch(name);
    if (layout || layout.status().code() == Code::kNotFound ||
        layout.status().code() == Code::kInvalidArgument)
      return layout;
    uint32_t pause = backoff.delay_ms(failures, random());
    if (real_clock().now_ms() + pause >= deadline) return layout.status();
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
  }
}

// Runs an asynchronous call and waits for its result.
template <typename T, typename Start>
T wait_for(Start start) {
  std::promise<T> promise;
  auto result = promise.get_future();
  start(promise);
  return result.get();
}

}  // namespace

Result<std::unique_ptr<VolumeClient>> VolumeClient::open(LayoutSource& source, const std::string& name,
                                                         const VolumeClientOptions& options) {
  ClientId client = options.client ? options.client : draw_client_id();
  Result<VolumeLayout> layout = first_layout(source, name, options, client.value);
  if (!layout) return layout.status();
  SHIMA_RETURN_IF_ERROR(check_layout(*layout));
  return std::unique_ptr<VolumeClient>(new VolumeSession(source, std::move(*layout), options, client));
}

Result<Buffer> VolumeClient::read(uint64_t offset, uint64_t length) { return read_site("", offset, length); }

Result<Buffer> VolumeClient::read_site(const std::string& site, uint64_t offset, uint64_t length) {
  using Answer = std::pair<Status, Buffer>;
  auto [status, bytes] = wait_for<Answer>([&](std::promise<Answer>& promise) {
    read_site(site, offset, length, [&](Status s, Buffer b) {
      promise.set_value({std::move(s), std::move(b)});
    });
  });
  if (!status) return status;
  return std::move(bytes);
}

Status VolumeClient::write(uint64_t offset, Buffer bytes) {
  return wait_for<Status>([&](std::promise<Status>& promise) {
    write(offset, std::move(bytes), [&](Status status) { promise.set_value(std::move(status)); });
  });
}

Status VolumeClient::punch(uint64_t offset, uint64_t length) {
  return wait_for<Status>([&](std::promise<Status>& promise) {
    punch(offset, length, [&](Status status) { promise.set_value(std::move(status)); });
  });
}

}  // namespace shima
