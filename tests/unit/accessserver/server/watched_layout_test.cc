#include "accessserver/server/watched_layout.h"

#include <gtest/gtest.h>

#include <vector>

namespace shima {
namespace {

class FakeLayouts : public LayoutSource {
 public:
  explicit FakeLayouts(Result<VolumeLayout>& next) : next_(next) {}
  Result<VolumeLayout> fetch(const std::string&) override { return next_; }

 private:
  Result<VolumeLayout>& next_;
};

VolumeLayout layout_of(uint64_t id) {
  VolumeLayout layout;
  layout.name = "vm";
  layout.volume = VolumeId(id);
  return layout;
}

class WatchedLayoutTest : public testing::Test {
 protected:
  Result<VolumeLayout> next{layout_of(7)};
  std::vector<uint64_t> gone;
  WatchedLayout watched{std::make_unique<FakeLayouts>(next), [this](uint64_t id) { gone.push_back(id); }};
};

TEST_F(WatchedLayoutTest, PassesOnTheVolumesLayout) {
  for (int i = 0; i < 2; i++) EXPECT_EQ(watched.fetch("vm")->volume, VolumeId(7));
  EXPECT_TRUE(gone.empty());
}

TEST_F(WatchedLayoutTest, AVolumeThatWasNeverThereIsNotGone) {
  next = Status(Code::kNotFound, "no such volume");
  EXPECT_EQ(watched.fetch("vm").status().code(), Code::kNotFound);
  EXPECT_TRUE(gone.empty());
}

TEST_F(WatchedLayoutTest, ADeletedVolumeIsGone) {
  ASSERT_TRUE(watched.fetch("vm").is_ok());
  next = Status(Code::kNotFound, "no such volume");
  EXPECT_EQ(watched.fetch("vm").status().code(), Code::kNotFound);
  EXPECT_EQ(gone, (std::vector<uint64_t>{7}));
}

TEST_F(WatchedLayoutTest, AnotherVolumeOfItsNameIsNotTheVolume) {
  ASSERT_TRUE(watched.fetch("vm").is_ok());
  next = layout_of(8);
  EXPECT_EQ(watched.fetch("vm").status().code(), Code::kNotFound);
  EXPECT_EQ(gone, (std::vector<uint64_t>{7}));
}

TEST_F(WatchedLayoutTest, ServersThatDoNotAnswerSayNothingAboutTheVolume) {
  ASSERT_TRUE(watched.fetch("vm").is_ok());
  next = Status(Code::kUnavailable, "nobody answers");
  EXPECT_EQ(watched.fetch("vm").status().code(), Code::kUnavailable);
  next = layout_of(7);
  EXPECT_TRUE(watched.fetch("vm").is_ok());
  EXPECT_TRUE(gone.empty());
}

}  // namespace
}  // namespace shima
