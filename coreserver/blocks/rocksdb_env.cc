#include "coreserver/blocks/rocksdb_env.h"

#include <rocksdb/file_system.h>

#include <algorithm>

namespace shima {
namespace {

using rocksdb::FileOptions;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

IOStatus to_rocksdb(const Status& status) {
  if (status.is_ok()) return IOStatus::OK();
  if (status.code() == Code::kNotFound) return IOStatus::PathNotFound(status.message());
  if (status.code() == Code::kNoSpace) return IOStatus::NoSpace(status.message());
  return IOStatus::IOError(status.message());
}

// Reads up to n bytes; fewer only at the end of the file.
IOStatus read_some(const FileHandle& file, uint64_t offset, size_t n, Slice* result, char* scratch) {
  auto size = file.size();
  if (!size) return to_rocksdb(size.status());
  const size_t count = offset >= *size ? 0 : static_cast<size_t>(std::min<uint64_t>(n, *size - offset));
  *result = Slice(scratch, count);
  if (count == 0) return IOStatus::OK();
  return to_rocksdb(file.read_at(offset, {reinterpret_cast<uint8_t*>(scratch), count}));
}

class SequentialFile : public rocksdb::FSSequentialFile {
 public:
  explicit SequentialFile(std::unique_ptr<FileHandle> file) : file_(std::move(file)) {}
  IOStatus Read(size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
    const IOStatus status = read_some(*file_, offset_, n, result, scratch);
    if (status.ok()) offset_ += result->size();
    return status;
  }
  IOStatus Skip(uint64_t n) override {
    offset_ += n;
    return IOStatus::OK();
  }

 private:
  std::unique_ptr<FileHandle> file_;
  uint64_t offset_ = 0;
};

class RandomAccessFile : public rocksdb::FSRandomAccessFile {
 public:
  explicit RandomAccessFile(std::unique_ptr<FileHandle> file) : file_(std::move(file)) {}
  IOStatus Read(uint64_t offset, size_t n, const IOOptions&, Slice* result, char* scratch,
                IODebugContext*) const override {
    return read_some(*file_, offset, n, result, scratch);
  }
  IOStatus Prefetch(uint64_t, size_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  std::unique_ptr<FileHandle> file_;
};

class WritableFile : public rocksdb::FSWritableFile {
 public:
  WritableFile(std::unique_ptr<FileHandle> file, uint64_t size) : file_(std::move(file)), size_(size) {}
  using FSWritableFile::Append;
  IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
    const std::span<const uint8_t> piece(reinterpret_cast<const uint8_t*>(data.data()), data.size());
    const Status status = file_->write_at(size_, {&piece, 1});
    if (status.is_ok()) size_ += data.size();
    return to_rocksdb(status);
  }
  IOStatus Truncate(uint64_t size, const IOOptions&, IODebugContext*) override {
    size_ = size;
    return to_rocksdb(file_->truncate(size));
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return to_rocksdb(file_->sync()); }
  uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }

 private:
  std::unique_ptr<FileHandle> file_;
  uint64_t size_;
};

class Directory : public rocksdb::FSDirectory {
 public:
  Directory(Disk& disk, std::string path) : disk_(disk), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return to_rocksdb(disk_.sync_directory(path_));
  }

 private:
  Disk& disk_;
  const std::string path_;
};

class DiskFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit DiskFileSystem(Disk& disk)
      : rocksdb::FileSystemWrapper(rocksdb::FileSystem::Default()), disk_(disk) {}
  const char* Name() const override { return "ShimaDiskFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* result, IODebugContext*) override {
    auto file = disk_.open(path, Disk::Mode::kRead);
    if (file) result->reset(new SequentialFile(std::move(*file)));
    return to_rocksdb(file.status());
  }
  IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>* result,
                               IODebugContext*) override {
    auto file = disk_.open(path, Disk::Mode::kRead);
    if (file) result->reset(new RandomAccessFile(std::move(*file)));
    return to_rocksdb(file.status());
  }
  IOStatus NewWritableFile(const std::string& path, const FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return open_to_write(path, true, result);
  }
  IOStatus ReopenWritableFile(const std::string& path, const FileOptions&,
                              std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext*) override {
    return open_to_write(path, false, result);
  }
  IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path, const FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) override {
    const IOStatus renamed = RenameFile(old_path, path, options.io_options, dbg);
    return renamed.ok() ? NewWritableFile(path, options, result, dbg) : renamed;
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&,
                        std::unique_ptr<rocksdb::FSDirectory>* result, IODebugContext*) override {
    result->reset(new Directory(disk_, path));
    return IOStatus::OK();
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return to_rocksdb(disk_.remove(path));
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return to_rocksdb(disk_.rename(from, to));
  }
  IOStatus LinkFile(const std::string&, const std::string&, const IOOptions&, IODebugContext*) override {
    return IOStatus::NotSupported("links of index files");
  }
  IOStatus Truncate(const std::string& path, size_t size, const IOOptions&, IODebugContext*) override {
    auto file = disk_.open(path, Disk::Mode::kReadWrite);
    return to_rocksdb(file ? (*file)->truncate(size) : file.status());
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, uint64_t* size, IODebugContext*) override {
    auto file = disk_.open(path, Disk::Mode::kRead);
    if (!file) return to_rocksdb(file.status());
    auto found = (*file)->size();
    if (found) *size = *found;
    return to_rocksdb(found.status());
  }

 private:
  IOStatus open_to_write(const std::string& path, bool anew,
                         std::unique_ptr<rocksdb::FSWritableFile>* result) {
    auto file = disk_.open(path, Disk::Mode::kOpenOrCreate);
    if (!file) return to_rocksdb(file.status());
    if (anew) {
      if (Status status = (*file)->truncate(0); !status.is_ok()) return to_rocksdb(status);
    }
    auto size = (*file)->size();
    if (!size) return to_rocksdb(size.status());
    result->reset(new WritableFile(std::move(*file), *size));
    return IOStatus::OK();
  }

  Disk& disk_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_rocksdb_env(Disk& disk) {
  return rocksdb::NewCompositeEnv(std::make_shared<DiskFileSystem>(disk));
}

}  // namespace shima
