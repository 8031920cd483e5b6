// MountedRandomFile: RandomFile by real system calls in mounted directories: beside what all front ends have
// O_DIRECT, punch, zero range, fallocate, shared mmap, SEEK_DATA and SEEK_HOLE, reopen.
//
// Without O_DIRECT, fallocate or shared mmap in a file system these operations are left out, and that is
// said.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/posix/random_file.h"

namespace shima {

class MountedRandomFile : public RandomFile {
 public:
  // `directories`: at least one; several are mounts of the same volume.
  MountedRandomFile(RandomFileOptions options, const std::vector<std::string>& directories);
  ~MountedRandomFile() override;

 protected:
  uint64_t read_at(size_t view, Range range) override;
  void write_at(size_t view, uint64_t offset, std::span<const uint8_t> bytes) override;
  void append_bytes(size_t view, std::span<const uint8_t> bytes) override;
  void set_size(size_t view, uint64_t size) override;
  void check_attributes(size_t view) override;

 private:
  struct Mount {  // the file through one of the directories
    std::string path;
    int plain = -1, append = -1, direct = -1;
  };

  void open_all(Mount& mount);
  void close_all(Mount& mount);
  void find_out_what_works();
  int try_fallocate(int mode);
  void add_steps();
  Mount& any_mount() { return mounts_[any_view()]; }
  Range any_range_inside();  // of a file that is not empty
  Range any_aligned_range();

  void direct_read();
  void direct_write();
  void punch_hole();
  void zero_range();
  void allocate();
  void map_read();
  void map_write();
  void keep_mapped();
  void use_kept_mapping();
  void drop_kept_mapping();
  void seek_data();
  void seek_hole();
  void reopen();

  uint8_t* map(const Mount& mount, Range range, int protection, uint64_t& map_length, uint8_t** base);
  void sync_mapping();

  std::vector<Mount> mounts_;
  bool has_direct_ = false, has_punch_ = false, has_zero_ = false, has_allocate_ = false, has_mmap_ = false;
  uint8_t* kept_ = nullptr;  // mapping of [0, kept_length_)
  uint64_t kept_length_ = 0;
  std::array<int64_t, 2> last_mtime_{};  // s, ns
};

}  // namespace shima
