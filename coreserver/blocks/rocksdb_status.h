// RocksDB's errors as ours. Private to what keeps its state in a disk's index (blocks/, metadata/).
#pragma once

#include <string>

#include "common/status/status.h"

namespace rocksdb {
class Status;
}

namespace shima {

// What kind of failure of RocksDB this is, in our codes; `what` was being done.
Status from_rocksdb(const rocksdb::Status& status, const std::string& what);

}  // namespace shima
