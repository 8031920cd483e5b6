// FileReader: reads that are linearizable with writes, truncations and extensions of all access servers.
//
// Under one truncate sequence a file only grows. So the bytes of a range below a size that was committed
// before the read began may be fetched while the attributes are: if these then show the same sequence, the
// range was inside the file all the time. Any other range needs a size first, since bytes fetched before a
// size are not those that were there when it became so. If the range is cut off by the size, the attributes
// are fetched once more after the bytes: the same size and sequence before and after prove that the file
// ended there when the bytes were read. (In a file that grows on and on inside the range, the last try is
// taken as it is.) Bytes from a group that knows a later truncation than the attributes are thrown away.
// Threads: the loop.
#pragma once

#include <functional>
#include <memory>

#include "accessserver/fileops/attribute_source.h"
#include "accessserver/fileops/file_context.h"
#include "accessserver/fileops/writing_marks.h"

namespace shima {

class FileReader {
 public:
  using Done = std::function<void(FileBytes)>;

  FileReader(FileContext& context, AttributeSource& attributes, WritingMarks& marks)
      : context_(context), attributes_(attributes), marks_(marks) {}
  void read(uint64_t inode, uint64_t offset, uint32_t length, metadata::v1::Credentials credentials,
            Done done);

 private:
  struct Read {
    uint64_t inode, offset;
    uint32_t length;
    metadata::v1::Credentials credentials;
    Done done;
    uint32_t tries = 0, ends_tried = 0;
    uint64_t known_sequence =
        0;                // side by side: the truncate sequence under which the range is inside the file
    int waiting_for = 0;  // side by side: answers
    Status status;
    Buffer bytes;
    uint64_t fence = 0;
    int error = 0;
    FileAttributes attributes;
  };
  using ReadPtr = std::shared_ptr<Read>;

  void read_side_by_side(const ReadPtr& read);
  void both_there(const ReadPtr& read);
  void read_one_by_one(const ReadPtr& read);
  void read_below_size(const ReadPtr& read);
  void prove_end(const ReadPtr& read);
  void again(const ReadPtr& read);
  void end(const ReadPtr& read, int error);

  FileContext& context_;
  AttributeSource& attributes_;
  WritingMarks& marks_;
};

}  // namespace shima
