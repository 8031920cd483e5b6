#include "coreserver/blocks/data_files.h"

#include <array>
#include <cstdio>
#include <utility>

#include "common/types/byte_order.h"

namespace shima {
namespace {

constexpr std::string_view kMagic = "SHIMABLK";
constexpr uint32_t kVersion = 1;
constexpr std::string_view kUnfinished = ".new";  // a file whose making a crash may have interrupted

uint32_t checksum_of(std::string_view bytes) {
  return crc32c({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

Status bad_header(const std::string& what) {
  return {Code::kCorrupt, "the header of a data file is wrong: " + what};
}

}  // namespace

std::string encode_data_file_header(const DataFileHeader& header) {
  std::string page(kMagic);
  append_little_endian(page, kVersion);
  append_little_endian(page, header.number);
  append_little_endian(page, header.disk_id);
  append_little_endian(page, header.slot_size);
  append_little_endian(page, header.slots);
  append_little_endian(page, checksum_of(page));
  page.resize(kDataFileHeaderBytes, '\0');
  return page;
}

Result<DataFileHeader> decode_data_file_header(std::string_view page) {
  if (!page.starts_with(kMagic)) return bad_header("it does not begin with " + std::string(kMagic));
  std::string_view in = page.substr(kMagic.size());
  DataFileHeader header;
  uint32_t version, checksum;
  if (!take_little_endian(in, version) || !take_little_endian(in, header.number) ||
      !take_little_endian(in, header.disk_id) || !take_little_endian(in, header.slot_size) ||
      !take_little_endian(in, header.slots)) {
    return bad_header("it is too short");
  }
  const std::string_view covered = page.substr(0, page.size() - in.size());
  if (!take_little_endian(in, checksum)) return bad_header("it is too short");
  if (version != kVersion) {
    return bad_header("format version " + std::to_string(version) + ", this program knows " +
                      std::to_string(kVersion));
  }
  if (checksum != checksum_of(covered)) return bad_header("its checksum does not match");
  if (!is_block_size(header.slot_size) || header.slots == 0) {
    return bad_header("slot size " + std::to_string(header.slot_size) + ", slots " +
                      std::to_string(header.slots));
  }
  return header;
}

std::string data_file_name(uint32_t number) {
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "data-%04u.shb", number);
  return name.data();
}

bool parse_data_file_name(const std::string& name, uint32_t& number) {
  if (std::sscanf(name.c_str(), "data-%u.shb", &number) != 1) return false;
  return name == data_file_name(number);
}

Result<std::unique_ptr<DataFiles>> DataFiles::open(Disk& disk, const std::string& directory, uint64_t disk_id,
                                                   uint64_t slots_per_file) {
  if (slots_per_file == 0 || slots_per_file > (1u << 24)) {
    return Status(Code::kInvalidArgument,
                  "slots_per_file is " + std::to_string(slots_per_file) + "; allowed are 1 to 16777216");
  }
  std::unique_ptr<DataFiles> files(new DataFiles(disk, directory, disk_id, slots_per_file));
  SHIMA_RETURN_IF_ERROR(disk.make_directories(directory));
  auto names = disk.list(directory);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    uint32_t number;
    if (name.ends_with(kUnfinished)) {
      SHIMA_RETURN_IF_ERROR(disk.remove(directory + "/" + name));
    } else if (parse_data_file_name(name, number)) {
      SHIMA_RETURN_IF_ERROR(files->open_file(number, Disk::Mode::kReadWrite));
    }
  }
  return files;
}

Result<std::unique_ptr<DataFiles>> DataFiles::open_to_look(Disk& disk, const std::string& directory,
                                                           uint64_t disk_id) {
  std::unique_ptr<DataFiles> files(new DataFiles(disk, directory, disk_id, 1));
  auto names = disk.list(directory);
  if (!names) return names.status();
  for (const std::string& name : *names) {
    uint32_t number;
    if (parse_data_file_name(name, number))
      SHIMA_RETURN_IF_ERROR(files->open_file(number, Disk::Mode::kRead));
  }
  return files;
}

Status DataFiles::open_file(uint32_t number, Disk::Mode mode) {
  const std::string path = directory_ + "/" + data_file_name(number);
  auto handle = disk_.open(path, mode);
  if (!handle) return handle.status();
  auto bytes = (*handle)->size();
  if (!bytes) return bytes.status();
  std::string page(kDataFileHeaderBytes, '\0');
  if (*bytes < page.size()) return {Code::kCorrupt, path + ": it is shorter than its header"};
  SHIMA_RETURN_IF_ERROR((*handle)->read_at(0, {reinterpret_cast<uint8_t*>(page.data()), page.size()}));
  auto header = decode_data_file_header(page);
  if (!header) return header.status().with_context(path);
  if (header->disk_id != disk_id_) {
    return {Code::kCorrupt, path + ": it belongs to disk " + std::to_string(header->disk_id) +
                                ", this is disk " + std::to_string(disk_id_) +
                                "; put the file back where it came from"};
  }
  if (header->number != number) {
    return {Code::kCorrupt, path + ": its header says that it is " + data_file_name(header->number)};
  }
  auto file = std::make_unique<File>();
  file->header = *header;
  file->handle = std::move(*handle);
  file->claimed.assign(header->slots, false);
  std::unique_lock lock(files_mutex_);
  files_[number] = std::move(file);
  return Status::ok();
}

Status DataFiles::claim(SlotId slot, uint32_t block_size) {
  File* file = find(slot);
  const std::string name = "slot " + std::to_string(slot.number) + " of " + data_file_name(slot.file);
  if (file == nullptr)
    return {Code::kCorrupt, "the index names " + name + ", but there is no such file in " + directory_};
  if (slot.number >= file->header.slots || block_size != file->header.slot_size) {
    return {Code::kCorrupt, "the index names " + name + " for a block of " + std::to_string(block_size) +
                                " bytes; the file has " + std::to_string(file->header.slots) + " slots of " +
                                std::to_string(file->header.slot_size)};
  }
  if (file->claimed[slot.number]) return {Code::kCorrupt, "two blocks of the index name " + name};
  file->claimed[slot.number] = true;
  return Status::ok();
}

void DataFiles::finish_claims() {
  std::lock_guard slots_lock(slots_mutex_);
  std::shared_lock files_lock(files_mutex_);
  for (auto it = files_.rbegin(); it != files_.rend(); ++it) {
    File& file = *it->second;
    for (uint32_t n = file.header.slots; n-- > 0;) {
      if (!file.claimed[n]) free_[file.header.slot_size].push_back({it->first, n});
    }
    file.claimed = {};
  }
}

// Under slots_mutex_. The file appears under its name only when its header is durable.
Status DataFiles::make_file(uint32_t slot_size) {
  uint32_t number = 0;
  {
    std::shared_lock lock(files_mutex_);
    if (!files_.empty()) number = files_.rbegin()->first + 1;
  }
  const std::string path = directory_ + "/" + data_file_name(number);
  const std::string unfinished = path + std::string(kUnfinished);
  const DataFileHeader header{number, disk_id_, slot_size, static_cast<uint32_t>(slots_per_file_)};
  {
    auto handle = disk_.open(unfinished, Disk::Mode::kOpenOrCreate);
    if (!handle) return handle.status();
    SHIMA_RETURN_IF_ERROR((*handle)->truncate(kDataFileHeaderBytes + slots_per_file_ * slot_size));
    const std::string page = encode_data_file_header(header);
    const std::array<std::span<const uint8_t>, 1> pieces{
        std::span(reinterpret_cast<const uint8_t*>(page.data()), page.size())};
    SHIMA_RETURN_IF_ERROR((*handle)->write_at(0, pieces));
    const Status synced = (*handle)->sync();
    SHIMA_CHECK(synced.is_ok(), "sync of a new data file failed: " + synced.message());
  }
  SHIMA_RETURN_IF_ERROR(disk_.rename(unfinished, path));
  SHIMA_RETURN_IF_ERROR(disk_.sync_directory(directory_));
  SHIMA_RETURN_IF_ERROR(open_file(number, Disk::Mode::kReadWrite));
  std::vector<SlotId>& free = free_[slot_size];
  for (uint32_t n = header.slots; n-- > 0;) free.push_back({number, n});
  return Status::ok();
}

Result<SlotId> DataFiles::allocate(uint32_t slot_size) {
  std::lock_guard lock(slots_mutex_);
  if (free_[slot_size].empty()) SHIMA_RETURN_IF_ERROR(make_file(slot_size));
  std::vector<SlotId>& free = free_[slot_size];
  const SlotId slot = free.back();
  free.pop_back();
  return slot;
}

void DataFiles::give_back_unused(SlotId slot) {
  File* file = find(slot);
  std::lock_guard lock(slots_mutex_);
  free_[file->header.slot_size].push_back(slot);
}

void DataFiles::quarantine(SlotId slot) {
  std::lock_guard lock(slots_mutex_);
  quarantined_.push_back(slot);
}

std::vector<SlotId> DataFiles::take_quarantined() {
  std::lock_guard lock(slots_mutex_);
  return std::exchange(quarantined_, {});
}

void DataFiles::release(const std::vector<SlotId>& slots) {
  // Before reuse, or the punch could hit the next block's bytes.
  for (SlotId slot : slots) punch(slot, 0, find(slot)->header.slot_size);
  for (SlotId slot : slots) give_back_unused(slot);
}

DataFiles::File* DataFiles::find(SlotId slot) const {
  std::shared_lock lock(files_mutex_);
  auto found = files_.find(slot.file);
  return found == files_.end() ? nullptr : found->second.get();
}

Status DataFiles::write(SlotId slot, uint32_t offset, std::span<const std::span<const uint8_t>> pieces) {
  File* file = find(slot);
  SHIMA_CHECK(file != nullptr, "a slot has a data file");
  const Status status = file->handle->write_at(position(*file, slot, offset), pieces);
  file->dirty.store(
      true, std::memory_order_release);  // after the write: a sync that began before need not cover it
  return status;
}

Status DataFiles::read(SlotId slot, uint32_t offset, std::span<uint8_t> out) const {
  File* file = find(slot);
  SHIMA_CHECK(file != nullptr, "a slot has a data file");
  return file->handle->read_at(position(*file, slot, offset), out);
}

void DataFiles::punch(SlotId slot, uint32_t offset, uint32_t length) {
  File* file = find(slot);
  SHIMA_CHECK(file != nullptr, "a slot has a data file");
  static_cast<void>(file->handle->punch(position(*file, slot, offset), length).is_ok());
}

void DataFiles::sync_dirty() {
  std::vector<File*> dirty;
  {
    std::shared_lock lock(files_mutex_);
    for (auto& [number, file] : files_) {
      if (file->dirty.exchange(false, std::memory_order_acq_rel)) dirty.push_back(file.get());
    }
  }
  for (File* file : dirty) {
    const Status synced = file->handle->sync();
    SHIMA_CHECK(synced.is_ok(),
                "sync of " + data_file_name(file->header.number) + " failed: " + synced.message());
  }
}

bool DataFiles::has(SlotId slot, uint32_t block_size) const {
  const File* file = find(slot);
  return file != nullptr && slot.number < file->header.slots && block_size == file->header.slot_size;
}

uint64_t DataFiles::slot_count() const {
  std::shared_lock lock(files_mutex_);
  uint64_t slots = 0;
  for (const auto& [number, file] : files_) slots += file->header.slots;
  return slots;
}

uint64_t DataFiles::free_slot_count() const {
  std::lock_guard lock(slots_mutex_);
  uint64_t slots = quarantined_.size();
  for (const auto& [size, free] : free_) slots += free.size();
  return slots;
}

bool DataFiles::empty() const {
  std::shared_lock lock(files_mutex_);
  return files_.empty();
}

}  // namespace shima
