// NfsRandomFile: RandomFile through NFSv3: READ, WRITE stable and not, COMMIT, several WRITEs at once,
// SETATTR of the size, GETATTR. Attributes that an answer carries must be right, too.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/posix/nfs/nfs3_client.h"
#include "tests/posix/random_file.h"

namespace shima {

class NfsRandomFile : public RandomFile {
 public:
  // `servers`: HOST:PORT, at least one; several are access servers of the same volume.
  NfsRandomFile(RandomFileOptions options, const std::vector<std::string>& servers,
                const std::string& volume);
  ~NfsRandomFile() override;

 protected:
  uint64_t read_at(size_t view, Range range) override;
  void write_at(size_t view, uint64_t offset, std::span<const uint8_t> bytes) override;
  void append_bytes(size_t view, std::span<const uint8_t> bytes) override;
  void set_size(size_t view, uint64_t size) override;
  void check_attributes(size_t view) override;

 private:
  Nfs3Client& any_client() { return *clients_[any_view()]; }
  void write_several();
  void set_size_and_more();
  void write_nothing();

  // Fails unless the call was done and what it says of the file fits: the sizes before and after it.
  void check_done(const char* what, const NfsAnswer& answer, const Nfs3Client& client, uint64_t before,
                  uint64_t after);
  fattr3 attributes(Nfs3Client& client, uint64_t size);  // checked

  std::vector<std::unique_ptr<Nfs3Client>> clients_;
  std::string file_;  // its handle
  int64_t last_ctime_ns_ = 0;
};

}  // namespace shima
