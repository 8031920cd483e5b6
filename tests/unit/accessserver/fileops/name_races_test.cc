// Two access servers, several clients, every step in random order: what they see of names, and of the sizes
// of files behind them, is linearizable (I6). A failure prints its seed and its history.
#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>

#include "tests/unit/accessserver/fileops/linear_history.h"
#include "tests/unit/accessserver/fileops/race.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

// Names of files, and their sizes, which follow them.
struct NamesModel {
  std::map<std::string, uint64_t> names;  // inode
  std::map<uint64_t, uint64_t> sizes;     // bytes, by inode
  std::string key() const {
    std::string all;
    for (const auto& [name, inode] : names) all += name + "=" + std::to_string(inode) + " ";
    for (const auto& [inode, size] : sizes) all += std::to_string(inode) + ":" + std::to_string(size) + " ";
    return all;
  }
};

class NameRace : public Race {
 public:
  NameRace(MemoryVolume& volume, std::vector<FileSystem*> servers, uint64_t directory, uint64_t seed)
      : Race(volume, seed), servers_(std::move(servers)), directory_(directory) {}

  LinearHistory<NamesModel> history;

 protected:
  void next(int client, std::function<void()> done) override {
    FileSystem& files = *servers_[static_cast<size_t>(client) % servers_.size()];
    switch (random(5)) {
      case 0:
        return create(files, done);
      case 1:
        return rename(files, done);
      case 2:
        return truncate_by_create(files, done);
      default:
        return lookup(files, done);
    }
  }

 private:
  std::string name() { return std::string(1, static_cast<char>('a' + random(3))); }
  static JobRequest job() {
    JobRequest request;
    *request.mutable_credentials() = checked();
    return request;
  }

  void create(FileSystem& files, const std::function<void()>& done) {
    std::string name = this->name();
    size_t number = history.begin("create " + name);
    JobRequest request = create_request(name, 0);
    request.mutable_create()->set_how(metadata::v1::Create::GUARDED);
    files.run(std::move(request), [=, this](const JobReply& reply) {
      int error = reply.error();
      uint64_t inode = reply.attributes().inode();
      history.end(number, std::to_string(inode) + " error " + std::to_string(error), [=](NamesModel& model) {
        if (model.names.contains(name)) return error == EEXIST;
        model.names[name] = inode;
        model.sizes[inode] = 0;
        return error == 0;
      });
      done();
    });
  }

  JobRequest create_request(const std::string& name, uint64_t size) const {
    JobRequest request = job();
    request.mutable_create()->set_parent(directory_);
    request.mutable_create()->set_name(name);
    request.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
    request.mutable_create()->mutable_set()->set_size(size);
    return request;
  }

  // open(2) with O_CREAT and O_TRUNC, to a size that is not always 0.
  void truncate_by_create(FileSystem& files, const std::function<void()>& done) {
    std::string name = this->name();
    uint64_t size = random(4) * 1000;
    size_t number = history.begin("create or truncate " + name + " to " + std::to_string(size));
    files.run(create_request(name, size), [=, this](const JobReply& reply) {
      int error = reply.error();
      uint64_t inode = reply.attributes().inode();
      history.end(number, std::to_string(inode) + " error " + std::to_string(error), [=](NamesModel& model) {
        auto [it, fresh] = model.names.try_emplace(name, inode);
        model.sizes[it->second] = size;
        return error == 0 && it->second == inode;
      });
      done();
    });
  }

  void rename(FileSystem& files, const std::function<void()>& done) {
    std::string from = name(), to = name();
    bool exchange = random(3) == 0;
    size_t number = history.begin("rename " + from + " " + to + (exchange ? " exchange" : ""));
    JobRequest request = job();
    request.mutable_rename()->set_from_parent(directory_);
    request.mutable_rename()->set_from_name(from);
    request.mutable_rename()->set_to_parent(directory_);
    request.mutable_rename()->set_to_name(to);
    request.mutable_rename()->set_exchange(exchange);
    files.run(std::move(request), [=, this](const JobReply& reply) {
      int error = reply.error();
      history.end(number, std::to_string(error), [=](NamesModel& model) {
        auto source = model.names.find(from);
        if (source == model.names.end() || (exchange && !model.names.contains(to))) return error == ENOENT;
        if (from == to) return error == 0;
        if (exchange) {
          std::swap(model.names[from], model.names[to]);
        } else {
          model.names[to] = source->second;
          model.names.erase(from);
        }
        return error == 0;
      });
      done();
    });
  }

  void lookup(FileSystem& files, const std::function<void()>& done) {
    std::string name = this->name();
    size_t number = history.begin("lookup " + name);
    JobRequest request = job();
    request.mutable_lookup()->set_parent(directory_);
    request.mutable_lookup()->set_name(name);
    files.run(std::move(request), [=, this](const JobReply& reply) {
      int error = reply.error();
      uint64_t inode = reply.attributes().inode(), size = reply.attributes().size();
      history.end(number,
                  std::to_string(inode) + " size " + std::to_string(size) + " error " + std::to_string(error),
                  [=](NamesModel& model) {
                    auto it = model.names.find(name);
                    if (it == model.names.end()) return error == ENOENT;
                    return error == 0 && it->second == inode && model.sizes[inode] == size;
                  });
      done();
    });
  }

  const std::vector<FileSystem*> servers_;
  const uint64_t directory_;
};

class NameRaces : public testing::TestWithParam<uint64_t> {};

TEST_P(NameRaces, AreLinearizable) {
  MemoryVolume volume({.data_groups = 3, .block_size = 4096, .seed = GetParam(), .reorder = true});
  BlockingFileSystem one(volume, restless_options()), two(volume, restless_options());
  for (int round = 0; round < 100; round++) {
    JobRequest make;
    *make.mutable_credentials() = checked();
    make.mutable_create()->set_parent(kRootInode);
    make.mutable_create()->set_name("directory" + std::to_string(round));
    make.mutable_create()->set_type(metadata::v1::FILE_TYPE_DIRECTORY);
    make.mutable_create()->set_how(metadata::v1::Create::GUARDED);
    JobReply made = one.run(make);
    ASSERT_EQ(made.error(), 0) << made.message();
    NameRace race(volume, {&one.files(), &two.files()}, made.attributes().inode(), GetParam() * 1000 + round);
    race.run(5, 5);
    ASSERT_TRUE(race.history.is_linearizable({})) << "seed " << GetParam() << " round " << round << "\n"
                                                  << race.history.to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, NameRaces,
                         testing::Range<uint64_t>(first_race_seed(), first_race_seed() + 8));

}  // namespace
}  // namespace shima
