// Two access servers, several clients, every step in random order: what they see is linearizable (I6).
//
// A file is seen as cells of half a block: a write of one cell is a piece of one block, which is what is
// promised to be atomic. Histories are short, so that the search for an order is quick, and many. A failure
// prints its seed and its history.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <random>

#include "tests/unit/accessserver/fileops/linear_history.h"
#include "tests/unit/accessserver/fileops/race.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr uint64_t kCell = 2048;
constexpr uint64_t kCells = 8;

// One file: a character a cell, '.' for zeros.
struct FileModel {
  std::string cells;
  std::string key() const { return cells; }
};

std::string cells_of(const Buffer& bytes) {
  std::string cells;
  for (size_t at = 0; at < bytes.size(); at += kCell) {
    auto piece = bytes.slice(at, std::min(kCell, bytes.size() - at)).span();
    bool same = std::ranges::all_of(piece, [&](uint8_t byte) { return byte == piece[0]; });
    cells += !same ? '?' : piece[0] == 0 ? '.' : static_cast<char>(piece[0]);
  }
  return cells;
}

class FileRace : public Race {
 public:
  enum class Kind { kWrites, kAppends };

  FileRace(MemoryVolume& volume, std::vector<FileSystem*> servers, uint64_t file, Kind kind, uint64_t seed)
      : Race(volume, seed), servers_(std::move(servers)), file_(file), kind_(kind) {}

  LinearHistory<FileModel> history;
  std::string trouble;  // with times
  int errors = 0;       // of operations that change the file

 protected:
  void next(int client, std::function<void()> done) override {
    FileSystem& files = *servers_[static_cast<size_t>(client) % servers_.size()];
    switch (random(8)) {
      case 0:
      case 1:
        return kind_ == Kind::kWrites ? write(files, done) : append(files, done);
      case 2:
        return truncate(files, done);
      case 3:
      case 4:
        return read(files, done);
      case 5:
        return kind_ == Kind::kWrites ? punch(files, done) : append(files, done);
      case 6:
        return kind_ == Kind::kWrites ? extend(files, done) : read(files, done);
      default:
        return look(client, files, done);
    }
  }

 private:
  // EIO is an answer only where some are made to be lost.
  void changed(size_t number, int error, const std::function<void(FileModel&)>& effect) {
    auto apply = [=](FileModel& model) {
      effect(model);
      return error == 0 || error == ETIMEDOUT;
    };
    if (error == ETIMEDOUT) {
      history.lose(number, std::to_string(error), apply);
    } else {
      history.end(number, std::to_string(error), apply);
    }
    if (error != 0) errors++;
  }

  void write(FileSystem& files, const std::function<void()>& done) {
    uint64_t cell = random(kCells);
    char what = letter();
    size_t number = history.begin("write " + std::to_string(cell) + " " + what);
    FileWrite write{.inode = file_,
                    .offset = cell * kCell,
                    .bytes = Buffer::copy_of(std::string(kCell, what)),
                    .credentials = random(2) ? checked() : user(0)};
    files.write(std::move(write), [=, this](const FileWritten& written) {
      changed(number, written.error, [=](FileModel& model) {
        if (model.cells.size() <= cell) model.cells.resize(cell + 1, '.');
        model.cells[cell] = what;
      });
      if (written.has_attributes) newest_mtime_ns_ = std::max(newest_mtime_ns_, written.after.mtime_ns());
      done();
    });
  }

  void append(FileSystem& files, const std::function<void()>& done) {
    char what = letter();
    size_t number = history.begin(std::string("append ") + what);
    FileWrite write{.inode = file_,
                    .bytes = Buffer::copy_of(std::string(kCell, what)),
                    .append = true,
                    .credentials = checked()};
    files.write(std::move(write), [=, this](const FileWritten& written) {
      history.end(number, std::to_string(written.offset / kCell) + " error " + std::to_string(written.error),
                  [=](FileModel& model) {
                    bool fits = written.error == 0 && written.offset == model.cells.size() * kCell;
                    model.cells += what;
                    return fits;
                  });
      done();
    });
  }

  void truncate(FileSystem& files, const std::function<void()>& done) {
    // An append is ordered with other appends and with truncations that make the file shorter, not with
    // others that make it longer at the same time (AppendQueue).
    uint64_t cells = kind_ == Kind::kAppends ? 0 : random(kCells + 1);
    size_t number = history.begin("truncate " + std::to_string(cells));
    JobRequest request;
    *request.mutable_credentials() = checked();
    request.mutable_set_attributes()->set_inode(file_);
    request.mutable_set_attributes()->mutable_set()->set_size(cells * kCell);
    files.run(std::move(request), [=, this](const JobReply& reply) {
      int error = reply.error();
      changed(number, error, [=](FileModel& model) { model.cells.resize(cells, '.'); });
      done();
    });
  }

  void punch(FileSystem& files, const std::function<void()>& done) {
    uint64_t cell = random(kCells);
    size_t number = history.begin("punch " + std::to_string(cell));
    files.allocate(file_, AllocateKind::kPunchHole, cell * kCell, kCell, true, checked(),
                   [=, this](int error) {
                     changed(number, error, [=](FileModel& model) {
                       if (cell < model.cells.size()) model.cells[cell] = '.';
                     });
                     done();
                   });
  }

  void extend(FileSystem& files, const std::function<void()>& done) {
    uint64_t cells = 1 + random(kCells);
    size_t number = history.begin("extend " + std::to_string(cells));
    files.allocate(file_, AllocateKind::kAllocate, 0, cells * kCell, false, checked(), [=, this](int error) {
      changed(number, error, [=](FileModel& model) {
        if (model.cells.size() < cells) model.cells.resize(cells, '.');
      });
      done();
    });
  }

  void read(FileSystem& files, const std::function<void()>& done) {
    uint64_t cell = random(kCells);
    uint64_t cells = cell % 2 == 0 ? 1 + random(2) : 1;  // inside one block
    size_t number = history.begin("read " + std::to_string(cell) + " " + std::to_string(cells));
    files.read(file_, cell * kCell, static_cast<uint32_t>(cells * kCell), checked(),
               [=, this](FileBytes bytes) {
                 std::string seen = cells_of(bytes.bytes);
                 int error = bytes.error;
                 history.end(number, '"' + seen + "\" error " + std::to_string(error), [=](FileModel& model) {
                   std::string expected = cell < model.cells.size() ? model.cells.substr(cell, cells) : "";
                   return error == ETIMEDOUT || (error == 0 && seen == expected);
                 });
                 done();
               });
  }

  void look(int client, FileSystem& files, const std::function<void()>& done) {
    size_t number = history.begin("look");
    JobRequest request;
    request.mutable_get_attributes()->set_inode(file_);
    int64_t at_least_ns = std::max(newest_mtime_ns_, seen_mtime_ns_[client]);
    files.run(std::move(request), [=, this](const JobReply& reply) {
      uint64_t size = reply.attributes().size();
      int error = reply.error();
      history.end(number, std::to_string(size / kCell) + " error " + std::to_string(error),
                  [=](FileModel& model) {
                    return error == ETIMEDOUT || (error == 0 && size == model.cells.size() * kCell);
                  });
      int64_t mtime = reply.attributes().mtime_ns();
      if (error == 0 && mtime < at_least_ns) {
        trouble += "operation " + std::to_string(number) + " saw an mtime " +
                   std::to_string(at_least_ns - mtime) + " ns older than one before it\n";
      }
      if (reply.attributes().truncating()) trouble += "a truncation under way was shown\n";
      seen_mtime_ns_[client] = std::max(seen_mtime_ns_[client], mtime);
      done();
    });
  }

  const std::vector<FileSystem*> servers_;
  const uint64_t file_;
  const Kind kind_;
  int64_t newest_mtime_ns_ = 0;           // of writes that are done
  std::map<int, int64_t> seen_mtime_ns_;  // by client
};

uint64_t create_in_spite_of_faults(BlockingFileSystem& files, const std::string& name) {
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_create()->set_parent(kRootInode);
  request.mutable_create()->set_name(name);
  request.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
  JobReply reply = files.run(request);
  for (int i = 0; i < 100 && reply.error() != 0; i++) reply = files.run(request);
  EXPECT_EQ(reply.error(), 0) << reply.message();
  return reply.attributes().inode();
}

// A round without faults has no errors, either. `faults`: gets the number of operations that failed.
void race_for_a_file(MemoryVolume& volume, FileRace::Kind kind, uint64_t seed, int rounds,
                     int* faults = nullptr) {
  BlockingFileSystem one(volume, restless_options()), two(volume, restless_options());
  for (int round = 0; round < rounds; round++) {
    uint64_t file = create_in_spite_of_faults(one, "file" + std::to_string(round));
    FileRace race(volume, {&one.files(), &two.files()}, file, kind,
                  seed * 1000 + static_cast<uint64_t>(round));
    race.run(5, 5);
    std::string where = "seed " + std::to_string(seed) + " round " + std::to_string(round) + "\n";
    ASSERT_TRUE(race.history.is_linearizable({})) << where << race.history.to_string();
    ASSERT_EQ(race.trouble, "") << where << race.history.to_string();
    if (faults == nullptr) {
      ASSERT_EQ(race.errors, 0) << where << race.history.to_string();
    } else {
      *faults += race.errors;
    }
  }
}

class Races : public testing::TestWithParam<uint64_t> {};

TEST_P(Races, OfWritesTruncationsHolesAndReadsAreLinearizable) {
  MemoryVolume volume({.data_groups = 3, .block_size = 4096, .seed = GetParam(), .reorder = true});
  race_for_a_file(volume, FileRace::Kind::kWrites, GetParam(), 120);
}

TEST_P(Races, OfAppendsTruncationsAndReadsAreLinearizable) {
  MemoryVolume volume({.data_groups = 3, .block_size = 4096, .seed = GetParam(), .reorder = true});
  race_for_a_file(volume, FileRace::Kind::kAppends, GetParam(), 30);
}

TEST_P(Races, OverANetworkWithDelaysAreLinearizable) {
  MemoryVolume volume({.data_groups = 3, .block_size = 4096, .seed = GetParam(), .max_delay_ms = 2});
  race_for_a_file(volume, FileRace::Kind::kWrites, GetParam(), 6);
}

TEST_P(Races, AreLinearizableWhenRequestsAndAnswersAreLost) {
  MemoryVolume volume({.data_groups = 3, .block_size = 4096, .seed = GetParam(), .reorder = true});
  std::mt19937_64 random(GetParam());
  volume.inject([&](const MemoryVolume::Request& request) -> std::optional<MemoryVolume::Failure> {
    if (request.job && (request.job->has_open_session() || request.job->has_close_session()))
      return std::nullopt;
    if (random() % 30 != 0) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "lost"), random() % 2 == 0};
  });
  int faults = 0;
  race_for_a_file(volume, FileRace::Kind::kWrites, GetParam(), 100, &faults);
  EXPECT_GT(faults, 100);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Races, testing::Range<uint64_t>(first_race_seed(), first_race_seed() + 8));

// The checker itself must be able to say no.
TEST(TheChecker, FindsAReadOfSomethingThatWasOverwritten) {
  LinearHistory<FileModel> history;
  auto write = [&](char what) {
    size_t number = history.begin("write");
    history.end(number, "", [=](FileModel& model) {
      model.cells = what;
      return true;
    });
  };
  write('a');
  write('b');
  size_t read = history.begin("read");
  history.end(read, "a", [](FileModel& model) { return model.cells == "a"; });
  EXPECT_FALSE(history.is_linearizable({}));
}

TEST(TheChecker, LetsOperationsThatOverlapGoInAnyOrder) {
  LinearHistory<FileModel> history;
  size_t a = history.begin("write a"), b = history.begin("write b");
  for (size_t number : {b, a}) {
    history.end(number, "", [what = number == a ? 'a' : 'b'](FileModel& model) {
      model.cells = what;
      return true;
    });
  }
  size_t read = history.begin("read");
  history.end(read, "b", [](FileModel& model) { return model.cells == "b"; });
  EXPECT_TRUE(history.is_linearizable({}));
}

}  // namespace
}  // namespace shima
