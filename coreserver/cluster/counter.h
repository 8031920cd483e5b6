// Numbers that are given once and never again, from a counter in etcd.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/etcd/etcd_client.h"
#include "common/status/status.h"

namespace shima {

// The next number of `counter` (from 1 on). Blocks for at most about timeout_ms. Numbers may be left out,
// when an outcome stayed unknown. kUnavailable: try again later.
Result<uint64_t> next_number(EtcdClient& etcd, std::string_view counter, uint32_t timeout_ms);
// The next numbers are above `number`, which was given by an etcd that knew more. Same errors.
Status skip_numbers_up_to(EtcdClient& etcd, std::string_view counter, uint64_t number, uint32_t timeout_ms);

}  // namespace shima
