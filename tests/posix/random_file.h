// RandomFile: random operations on one file through some front end, against a model of its bytes (in the
// spirit of fsx). What all front ends have is here: read, write, append, change of the size, the whole file
// compared. A front end adds how these are done, and steps of its own.
//
// With several views (mounts or servers of the same volume) each operation goes through one of them, drawn at
// random: what one did, all must see. Threads: one at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tests/posix/byte_model.h"
#include "tests/posix/random_run.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"
#include "tests/posix/weighted_steps.h"

namespace shima {

class RandomFile {
 public:
  virtual ~RandomFile();
  RandomFile(const RandomFile&) = delete;
  RandomFile& operator=(const RandomFile&) = delete;

  void run();  // ends the process at the first difference

 protected:
  static constexpr uint64_t kAlignment = 4096;
  struct Range {
    uint64_t offset = 0, length = 0;
  };

  explicit RandomFile(RandomFileOptions options);

  // How the front end does it; each fails by log_ if it is refused, and checks what else the front end tells.
  // The model is as it was before.
  // Returns how many bytes it got; fewer than asked for also where the front end has a limit.
  virtual uint64_t read_at(size_t view, Range range) = 0;  // into buffer_
  virtual void write_at(size_t view, uint64_t offset, std::span<const uint8_t> bytes) = 0;
  virtual void append_bytes(size_t view, std::span<const uint8_t> bytes) = 0;
  virtual void set_size(size_t view, uint64_t size) = 0;
  // Size and times, after some of the steps; now and then the rest of what the model has.
  virtual void check_attributes(size_t view) = 0;

  size_t any_view() { return random_.below(views_); }
  Range any_range();
  uint64_t any_new_size();
  std::string name() const;  // of a file of this run
  void compare(const char* what, uint64_t offset, const void* got, uint64_t size);
  static std::string text(const std::string& what, Range range);

  const RandomFileOptions options_;
  SeededRandom random_;
  StepLog log_;
  ByteModel model_;
  WeightedSteps steps_;
  size_t views_ = 1;
  uint64_t check_attributes_one_in_ = 1;
  uint8_t* buffer_ = nullptr;  // aligned; max_size and two alignments

 private:
  void read();
  void write();
  void append();
  void change_size();
  void check_all();
};

}  // namespace shima
