#include "accessserver/fileops/file_reader.h"

#include <algorithm>
#include <cerrno>

#include "accessserver/fileops/file_access.h"
#include "common/types/record.h"

namespace shima {

namespace {

constexpr uint32_t kMaxEndsTried = 16;

}  // namespace

void FileReader::read(uint64_t inode, uint64_t offset, uint32_t length, metadata::v1::Credentials credentials,
                      Done done) {
  auto read = std::make_shared<Read>(Read{.inode = inode,
                                          .offset = offset,
                                          .length = length,
                                          .credentials = std::move(credentials),
                                          .done = std::move(done)});
  if (length > kMaxTransferBytes || offset > ~0ull - length) return end(read, EINVAL);
  const FileAttributes* known = attributes_.known(inode);
  if (known == nullptr || length == 0 || offset >= known->size()) return read_one_by_one(read);
  if (offset + length <= known->size()) {
    read->known_sequence = known->truncate_sequence();
    return read_side_by_side(read);
  }
  read->attributes = *known;  // old, perhaps: prove_end() will tell
  read_below_size(read);
}

void FileReader::read_side_by_side(const ReadPtr& read) {
  read->waiting_for = 2;
  context_.read(read->inode, read->offset, read->length,
                [this, read](Status status, Buffer bytes, uint64_t fence) {
                  read->status = std::move(status);
                  read->bytes = std::move(bytes);
                  read->fence = fence;
                  if (--read->waiting_for == 0) both_there(read);
                });
  attributes_.get(read->inode, [this, read](int error, const FileAttributes& attributes) {
    read->error = error;
    read->attributes = attributes;
    if (--read->waiting_for == 0) both_there(read);
  });
}

void FileReader::both_there(const ReadPtr& read) {
  if (read->error != 0) return end(read, read->error);
  if (int error = check_may_read(read->attributes, read->credentials)) return end(read, error);
  bool inside_all_the_time = read->attributes.truncate_sequence() == read->known_sequence &&
                             read->fence <= read->known_sequence &&
                             read->offset + read->length <= read->attributes.size();
  // The attributes are newer than the call, so what they say of the size is good for a read that begins now.
  if (!inside_all_the_time) return read_below_size(read);
  end(read, context_.errno_of(read->status));
}

void FileReader::read_one_by_one(const ReadPtr& read) {
  attributes_.get(read->inode, [this, read](int error, const FileAttributes& attributes) {
    if (error == 0) error = check_may_read(attributes, read->credentials);
    if (error != 0) return end(read, error);
    read->attributes = attributes;
    read_below_size(read);
  });
}

void FileReader::read_below_size(const ReadPtr& read) {
  uint64_t size = read->attributes.size();
  uint64_t length = read->offset >= size ? 0 : std::min<uint64_t>(read->length, size - read->offset);
  read->bytes = Buffer();
  if (length == 0) return end(read, 0);
  context_.read(read->inode, read->offset, length, [this, read](Status status, Buffer bytes, uint64_t fence) {
    if (!status.is_ok()) return end(read, context_.errno_of(status));
    if (fence == kRemovedFence) return end(read, ESTALE);
    if (fence > read->attributes.truncate_sequence()) return again(read);
    read->bytes = std::move(bytes);
    bool cut_off = read->bytes.size() < read->length;
    if (cut_off) return prove_end(read);
    end(read, 0);
  });
}

void FileReader::prove_end(const ReadPtr& read) {
  attributes_.get(read->inode, [this, read](int error, const FileAttributes& attributes) {
    if (error == 0) error = check_may_read(attributes, read->credentials);
    if (error != 0) return end(read, error);
    bool ended_there = attributes.size() == read->attributes.size() &&
                       attributes.truncate_sequence() == read->attributes.truncate_sequence();
    bool only_grew = attributes.truncate_sequence() == read->attributes.truncate_sequence();
    if (ended_there || (only_grew && ++read->ends_tried > kMaxEndsTried)) {
      if (ended_there) read->attributes = attributes;
      return end(read, 0);
    }
    if (++read->tries > kMaxTries) return end(read, EIO);
    read->attributes = attributes;
    read_below_size(read);
  });
}

void FileReader::again(const ReadPtr& read) {
  if (++read->tries > kMaxTries) return end(read, EIO);
  context_.again(read->tries, [this, read] { read_one_by_one(read); });
}

void FileReader::end(const ReadPtr& read, int error) {
  FileBytes result;
  result.error = error;
  if (error != 0) {
    result.attributes = std::move(read->attributes);
    return read->done(std::move(result));
  }
  result.bytes = std::move(read->bytes);
  result.end = read->offset + result.bytes.size() >= read->attributes.size();
  marks_.merge(read->attributes, [done = std::move(read->done), result = std::move(result)](
                                     int merge_error, const FileAttributes& attributes) mutable {
    result.error = merge_error;
    result.attributes = attributes;
    if (merge_error != 0) result.bytes = Buffer();
    done(std::move(result));
  });
}

}  // namespace shima
