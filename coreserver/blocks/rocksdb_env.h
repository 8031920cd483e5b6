// A RocksDB environment whose files go through a Disk, so that a crash test may lose what RocksDB did not
// sync.
//
// Appended data is given to the Disk's file and is durable only on Sync; until then readers of the same
// process see it, since a Disk shows unsynced bytes to all handles of a path. Locks, threads and time are the
// system's.
#pragma once

#include <rocksdb/env.h>

#include <memory>

#include "common/runtime/disk.h"

namespace shima {

// `disk` must outlive the environment, and the environment every database that uses it.
std::unique_ptr<rocksdb::Env> make_rocksdb_env(Disk& disk);

}  // namespace shima
