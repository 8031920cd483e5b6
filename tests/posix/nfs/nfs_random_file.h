// NfsRandomFile: random operations on one file through NFSv3 (READ, WRITE stable and not, COMMIT, several
// WRITEs at once, SETATTR of the size, GETATTR), against a model of its bytes.
//
// With several servers (access servers of one volume) each operation goes through one of them, drawn at
// random: what one did, all must show. Attributes that an answer carries must be right, too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/byte_model.h"
#include "tests/posix/nfs/nfs3_client.h"
#include "tests/posix/seeded_random.h"
#include "tests/posix/step_log.h"

namespace shima {

struct NfsRandomFileOptions {
  std::vector<std::string> servers;  // HOST:PORT, at least one
  std::string volume;
  uint64_t seed = 1;
  uint64_t operations = 100'000;
  uint64_t max_size = 1 << 20;  // bytes
  uint64_t max_io = 64 << 10;   // bytes of one operation
  bool trace = false;           // print every step
  std::string again;            // the command line, for the report
};

class NfsRandomFile {
 public:
  explicit NfsRandomFile(NfsRandomFileOptions options);
  ~NfsRandomFile();
  NfsRandomFile(const NfsRandomFile&) = delete;
  NfsRandomFile& operator=(const NfsRandomFile&) = delete;

  void run();  // ends the process at the first difference

 private:
  struct Range {
    uint64_t offset = 0, length = 0;
  };
  Nfs3Client& any_client() { return *clients_[random_.below(clients_.size())]; }
  Range any_range();

  void step();
  void read();
  void write();
  void write_several();
  void append();
  void truncate();
  void set_size_and_more();
  void write_nothing();
  void check_all();
  void check_attributes();

  // Fails unless the call was done and what it says of the file fits. `before`: the size before it.
  void check_done(const char* what, const NfsAnswer& answer, const Nfs3Client& client, uint64_t before);
  void compare(const char* what, uint64_t offset, const std::string& got);

  const NfsRandomFileOptions options_;
  SeededRandom random_;
  StepLog log_;
  ByteModel model_;
  std::vector<std::unique_ptr<Nfs3Client>> clients_;
  std::string name_, file_;  // file_: its handle
  std::vector<uint8_t> buffer_;
  int64_t last_ctime_ns_ = 0;
};

}  // namespace shima
