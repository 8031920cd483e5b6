#include "csi/host/state_file.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "csi/host/process_identity.h"

namespace shima {
namespace {

class StateFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / "shima-state-XXXXXX";
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }
  std::string path_;
};

TEST_F(StateFile, IsReadAsItWasWrittenLast) {
  const auto folder = StateFolder::open(path_ + "/a/b");
  ASSERT_TRUE(folder.is_ok()) << folder.status().to_string();
  ASSERT_TRUE(folder->write("x.json", "one").is_ok());
  ASSERT_TRUE(folder->write("x.json", "two").is_ok());
  EXPECT_EQ(*folder->read("x.json"), "two");
  EXPECT_EQ(folder->read("y.json").status().code(), Code::kNotFound);
  EXPECT_TRUE(folder->remove("x.json").is_ok());
  EXPECT_TRUE(folder->remove("x.json").is_ok());
}

TEST_F(StateFile, WhatACrashLeftHalfWrittenIsNotListed) {
  const auto folder = StateFolder::open(path_);
  ASSERT_TRUE(folder->write("b.json", "b").is_ok());
  ASSERT_TRUE(folder->write("a.json", "a").is_ok());
  std::ofstream(path_ + "/c.json.new") << "hal";
  std::ofstream(path_ + "/a.log") << "log";
  EXPECT_EQ(*folder->list(".json"), (std::vector<std::string>{"a.json", "b.json"}));
  EXPECT_TRUE(folder->remove_half_written().is_ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/c.json.new"));
  EXPECT_EQ(folder->list("")->size(), 3u);
}

TEST_F(StateFile, AListDoesNotDisturbWhatAnotherThreadWrites) {
  const auto folder = StateFolder::open(path_);
  std::atomic<bool> written = false;
  std::thread lister([&] {
    while (!written) EXPECT_TRUE(folder->list(".json").is_ok());
  });
  for (int i = 0; i < 200; ++i) {
    const Status status = folder->write("a.json", std::to_string(i));
    EXPECT_TRUE(status.is_ok()) << i << ": " << status.to_string();
  }
  written = true;
  lister.join();
}

TEST_F(StateFile, OneProcessAtATimeHasAFolder) {
  auto first = lock_folder(path_, "node.lock", 0);
  ASSERT_TRUE(first.is_ok());
  EXPECT_EQ(lock_folder(path_, "node.lock", 30).status().code(), Code::kFailedPrecondition);
  *first = OwnedFd();
  EXPECT_TRUE(lock_folder(path_, "node.lock", 0).is_ok());
}

TEST(ProcessIdentity, StartIsFieldTwentyTwoWhateverTheNameIs) {
  const std::string rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
  EXPECT_EQ(start_ticks_of_stat("42 (a b) c) (d)" + rest), 4711u);
  EXPECT_EQ(start_ticks_of_stat("42 (x) S 1 2"), std::nullopt);
  EXPECT_EQ(start_ticks_of_stat(""), std::nullopt);
}

TEST(ProcessIdentity, AnotherProcessOfTheSamePidIsNotTakenForIt) {
  auto self = identify_process(getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_TRUE(static_cast<bool>(open_process(*self)));
  self->start_ticks += 1;
  EXPECT_FALSE(static_cast<bool>(open_process(*self)));
  EXPECT_FALSE(identify_process(0).has_value());
}

}  // namespace
}  // namespace shima
