// VolumeSession's calls: what they become in pieces, and which groups these go to.
#include <algorithm>
#include <limits>

#include "accessserver/volume/job_codec.h"
#include "accessserver/volume/volume_session.h"
#include "common/types/block_routing.h"
#include "common/types/crc32c.h"

namespace shima {
namespace {

constexpr InodeId kTheOneFile{1};
constexpr uint64_t kPunchBlocks = 1024;  // at once: bounds pieces in memory, whatever the length
constexpr uint64_t kSeekBlocks = 64;     // at once, looking for a hole

Status check_file_range(uint64_t offset, uint64_t length) {
  constexpr uint64_t kLast = std::numeric_limits<int64_t>::max();
  if (offset <= kLast && length <= kLast - offset) return {};
  return {Code::kInvalidArgument, std::to_string(length) + " bytes at offset " + std::to_string(offset) +
                                      " end beyond the largest offset that there is"};
}

Status check_read_range(uint64_t offset, uint64_t length) {
  if (length <= kMaxFileReadBytes) return check_file_range(offset, length);
  return {Code::kInvalidArgument, "a read of " + std::to_string(length) + " bytes was asked for; at most " +
                                      std::to_string(kMaxFileReadBytes) + " are read at once"};
}

bool changes_bytes(OperationKind kind) {
  return kind == OperationKind::kWrite || kind == OperationKind::kPunch || kind == OperationKind::kTruncate;
}

}  // namespace

// ---- the one file

void VolumeSession::read(uint64_t offset, uint64_t length, ReadDone done) {
  read_site("", offset, length, std::move(done));
}

void VolumeSession::read_site(const std::string& site, uint64_t offset, uint64_t length, ReadDone done) {
  OperationPtr operation = make_operation(OperationKind::kRead, kTheOneFile, std::move(done));
  operation->site = site;
  operation->length = length;
  operation->error = check_volume_range(*operation, offset);
  cut(operation, offset, length, {});
  submit(std::move(operation));
}

void VolumeSession::read_site_file(const std::string& site, InodeId inode, uint64_t offset, uint64_t length,
                                   ReadDone done) {
  OperationPtr operation = make_operation(OperationKind::kRead, inode, std::move(done));
  operation->site = site;
  operation->length = length;
  operation->error = check_site(site);
  if (operation->error.is_ok()) operation->error = check_read_range(offset, length);
  cut(operation, offset, length, {});
  submit(std::move(operation));
}

void VolumeSession::write(uint64_t offset, Buffer bytes, Done done) {
  OperationPtr operation = make_operation(OperationKind::kWrite, kTheOneFile, std::move(done));
  operation->length = bytes.size();
  operation->error = check_volume_range(*operation, offset);
  cut(operation, offset, bytes.size(), bytes);
  submit(std::move(operation));
}

void VolumeSession::punch(uint64_t offset, uint64_t length, Done done) {
  OperationPtr operation = make_operation(OperationKind::kPunch, kTheOneFile, std::move(done));
  operation->length = length;
  operation->error = check_volume_range(*operation, offset);
  cut(operation, offset, length, {});
  submit(std::move(operation));
}

// ---- jobs and files

void VolumeSession::run_job(const metadata::v1::JobRequest& request, JobDone done) {
  OperationPtr operation = make_operation(OperationKind::kJob, {}, std::move(done));
  Result<Buffer> payload = encode_job(request);
  if (!payload) {
    operation->error = payload.status();
  } else if (!current_layout()->has_metadata) {
    operation->error = {Code::kFailedPrecondition,
                        "volume " + name_ +
                            " was made before there were files and has no metadata group: make a new volume, "
                            "and import this one's image into a file of it"};
  } else {
    PiecePtr piece = add_piece(operation, GroupIndex(data_groups_), {});
    piece->checksums = {crc32c(payload->span())};
    piece->payload = std::move(*payload);
    piece->wants_request_id = job_wants_request_id(request);
  }
  submit(std::move(operation));
}

void VolumeSession::read_file(InodeId inode, uint64_t offset, uint64_t length, BytesDone done) {
  OperationPtr operation = make_operation(OperationKind::kRead, inode, std::move(done));
  operation->may_use_own_replica = !options_.own_site.empty();
  operation->length = length;
  operation->error = check_read_range(offset, length);
  cut(operation, offset, length, {});
  submit(std::move(operation));
}

void VolumeSession::write_file(InodeId inode, uint64_t offset, Buffer bytes, WriteTags tags, Done done) {
  OperationPtr operation = make_operation(OperationKind::kWrite, inode, std::move(done));
  operation->length = bytes.size();
  operation->tags = tags;
  operation->error = check_file_range(offset, bytes.size());
  cut(operation, offset, bytes.size(), bytes);
  submit(std::move(operation));
}

void VolumeSession::punch_file(InodeId inode, uint64_t offset, uint64_t length, WriteTags tags, Done done) {
  Status range = check_file_range(offset, length);
  if (range.is_ok()) return punch_next(inode, offset, offset + length, tags, std::move(done));
  OperationPtr operation = make_operation(OperationKind::kPunch, inode, std::move(done));
  operation->error = range;
  submit(std::move(operation));
}

// Punches the first blocks of [offset, end), and then goes on at the next byte of data after them.
void VolumeSession::punch_next(InodeId inode, uint64_t offset, uint64_t end, WriteTags tags, Done done) {
  uint64_t upto = (offset / block_size_ + kPunchBlocks) * block_size_;
  if (upto >= end) {
    OperationPtr last = make_operation(OperationKind::kPunch, inode, std::move(done));
    last->tags = tags;
    last->length = end - offset;
    cut(last, offset, end - offset, {});
    return submit(std::move(last));
  }
  Done go_on = [this, inode, upto, end, tags, done = std::move(done)](Status status) {
    if (!status) return done(std::move(status));
    seek_file(inode, upto, end, false, [this, inode, end, tags, done](Status found, auto place) {
      if (!found || !place) return done(std::move(found));
      punch_next(inode, *place, end, tags, done);
    });
  };
  OperationPtr operation = make_operation(OperationKind::kPunch, inode, std::move(go_on));
  operation->tags = tags;
  operation->length = upto - offset;
  cut(operation, offset, upto - offset, {});
  submit(std::move(operation));
}

void VolumeSession::truncate_file(InodeId inode, uint64_t from, uint64_t upto, uint64_t fence, bool remove,
                                  Done done) {
  OperationPtr operation = make_operation(OperationKind::kTruncate, inode, std::move(done));
  operation->tags.fence = fence;
  operation->remove = remove;
  for (GroupIndex group : groups_with_blocks(inode, from, upto)) add_piece(operation, group, place_of(from));
  submit(std::move(operation));
}

void VolumeSession::inode_data(InodeId inode, InodeDone done) {
  OperationPtr operation = make_operation(OperationKind::kInodeData, inode, std::move(done));
  for (uint32_t group = 0; group < data_groups_; group++) add_piece(operation, GroupIndex(group), {});
  submit(std::move(operation));
}

void VolumeSession::seek_file(InodeId inode, uint64_t offset, uint64_t end, bool hole, SeekDone done) {
  if (hole && offset < end) return find_hole(inode, offset, end, 1, std::move(done));
  OperationPtr operation = make_operation(OperationKind::kSeek, inode, std::move(done));
  operation->end = end;
  for (uint32_t group = 0; group < data_groups_ && offset < end; group++)
    add_piece(operation, GroupIndex(group), place_of(offset));
  submit(std::move(operation));
}

// Asks for a hole in the first `blocks` blocks of [offset, end), and then in twice as many: most files have
// one soon, and those that have none are not walked over block by block.
void VolumeSession::find_hole(InodeId inode, uint64_t offset, uint64_t end, uint64_t blocks, SeekDone done) {
  uint64_t first = offset / block_size_;
  uint64_t beyond = std::min(first + blocks, (end - 1) / block_size_ + 1);
  SeekDone go_on = [this, inode, beyond, end, blocks, done = std::move(done)](const Status& status,
                                                                              auto place) {
    bool over = beyond > (end - 1) / block_size_;
    if (!status || place || over) return done(status, place);
    find_hole(inode, beyond * block_size_, end, std::min(blocks * 2, kSeekBlocks), done);
  };
  OperationPtr operation = make_operation(OperationKind::kSeek, inode, std::move(go_on));
  operation->hole = true;
  operation->end = end;
  for (uint64_t block = first; block < beyond; block++) {
    uint64_t from = std::max(offset, block * block_size_);
    add_piece(operation, group_of(inode, BlockIndex(block)), place_of(from));
  }
  submit(std::move(operation));
}

// ---- pieces

VolumeSession::OperationPtr VolumeSession::make_operation(OperationKind kind, InodeId inode,
                                                          Operation::Callback done) const {
  auto operation = std::make_shared<Operation>();
  operation->kind = kind;
  operation->inode = inode;
  operation->done = std::move(done);
  operation->started_us = loop_.now_us();
  operation->deadline_us = operation->started_us + uint64_t{options_.deadline_ms} * 1000;
  return operation;
}

PiecePtr VolumeSession::add_piece(const OperationPtr& operation, GroupIndex group,
                                  const BlockPiece& where) const {
  auto piece = std::make_shared<Piece>();
  piece->operation = operation;
  piece->where = where;
  piece->group = group;
  piece->wants_request_id = changes_bytes(operation->kind);
  operation->pieces.push_back(piece);
  return piece;
}

void VolumeSession::cut(const OperationPtr& operation, uint64_t offset, uint64_t length,
                        const Buffer& bytes) const {
  if (!operation->error.is_ok()) return;
  for (const BlockPiece& where : cut_at_blocks(offset, length, block_size_)) {
    PiecePtr piece = add_piece(operation, group_of(operation->inode, where.block), where);
    if (operation->kind != OperationKind::kWrite) continue;
    piece->payload = bytes.slice(where.range_offset, where.length);
    piece->checksums = write_checksums(where, piece->payload);
  }
}

std::vector<GroupIndex> VolumeSession::groups_with_blocks(InodeId inode, uint64_t from, uint64_t upto) const {
  std::vector<bool> has(data_groups_);
  if (from < upto) {
    uint64_t first = from / block_size_, last = (upto - 1) / block_size_;
    // So many blocks are in all groups but by a rare chance, and asking one in vain does no harm.
    bool many = last - first >= uint64_t{data_groups_} * 8;
    if (many) has.assign(data_groups_, true);
    for (uint64_t block = first; !many && block <= last; block++)
      has[group_of(inode, BlockIndex(block)).value] = true;
  }
  std::vector<GroupIndex> groups;
  for (uint32_t group = 0; group < data_groups_; group++) {
    if (has[group]) groups.emplace_back(group);
  }
  return groups;
}

GroupIndex VolumeSession::group_of(InodeId inode, BlockIndex block) const {
  return group_of_block(volume_, inode, block, data_groups_);
}

BlockPiece VolumeSession::place_of(uint64_t offset) const {
  return {BlockIndex(offset / block_size_), static_cast<uint32_t>(offset % block_size_), 0, 0};
}

}  // namespace shima
