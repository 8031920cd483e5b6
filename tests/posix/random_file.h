// RandomFile: random operations on one file by real system calls, against a model of its bytes (in the spirit
// of fsx): read, write, append, O_DIRECT, truncate up and down, punch, zero range, fallocate, shared mmap,
// SEEK_DATA and SEEK_HOLE, reopen.
//
// With several directories (mounts of the same volume by several access servers) each operation goes through
// one of them, drawn at random: what one did, all must see. Without O_DIRECT, fallocate or shared mmap in a
// file system these operations are left out, and that is said.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/posix/byte_model.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"

namespace shima {

struct RandomFileOptions {
  std::vector<std::string> directories;  // at least one
  uint64_t seed = 1;
  uint64_t operations = 100'000;
  uint64_t max_size = 1 << 20;  // bytes
  uint64_t max_io = 64 << 10;   // bytes of one operation
  bool trace = false;           // print every step
  std::string again;            // the command line, for the report
};

class RandomFile {
 public:
  explicit RandomFile(RandomFileOptions options);
  ~RandomFile();
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;

  void run();  // ends the process at the first difference

 private:
  static constexpr uint64_t kAlignment = 4096;

  struct View {  // the file through one of the directories
    std::string path;
    int plain = -1, append = -1, direct = -1;
  };
  struct Range {
    uint64_t offset = 0, length = 0;
  };

  void open_all(View& view);
  void close_all(View& view);
  void find_out_what_works();
  int try_fallocate(int mode);
  View& any_view() { return views_[random_.below(views_.size())]; }
  Range any_range();
  Range any_range_inside();  // of a file that is not empty
  Range any_aligned_range();

  void step();
  void read();
  void write();
  void append();
  void direct_read();
  void direct_write();
  void truncate();
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
  void check_all();
  void check_size();

  void compare(const char* what, uint64_t offset, const uint8_t* got, uint64_t size);
  uint8_t* map(const View& view, Range range, int protection, uint64_t& map_length, uint8_t** base);
  void sync_mapping();

  const RandomFileOptions options_;
  SeededRandom random_;
  StepLog log_;
  ByteModel model_;
  std::vector<View> views_;
  uint8_t* buffer_ = nullptr;  // aligned
  bool has_direct_ = false, has_punch_ = false, has_zero_ = false, has_allocate_ = false, has_mmap_ = false;
  uint8_t* kept_ = nullptr;  // mapping of [0, kept_length_)
  uint64_t kept_length_ = 0;
  std::array<int64_t, 2> last_mtime_{};  // s, ns
};

}  // namespace shima
