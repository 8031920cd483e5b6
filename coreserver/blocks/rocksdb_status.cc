#include "coreserver/blocks/rocksdb_status.h"

#include <rocksdb/status.h>

namespace shima {

Status from_rocksdb(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) return Status::ok();
  Code code = Code::kInternal;
  if (status.IsNoSpace()) {
    code = Code::kNoSpace;
  } else if (status.IsCorruption()) {
    code = Code::kCorrupt;
  } else if (status.IsIOError() || status.IsPathNotFound()) {
    code = Code::kIo;
  }
  return {code, "index of the disk: " + what + ": " + status.ToString()};
}

}  // namespace shima
