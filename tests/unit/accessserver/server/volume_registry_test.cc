#include "accessserver/server/volume_registry.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>

#include "tests/unit/accessserver/server/named_file_system.h"

namespace shima {
namespace {

using Opened = Result<std::shared_ptr<FileSystem>>;

// A gate that work waits at until the test lets it through.
class Gate {
 public:
  void close() { set(false); }
  void open() { set(true); }
  void pass() {
    std::unique_lock lock(mutex_);
    waiting_++;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    waiting_--;
  }
  void wait_for_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ > 0; });
  }

 private:
  void set(bool open) {
    std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int waiting_ = 0;
};

class FakeVolumes : public VolumeSource {
 public:
  Opened open(const std::string& name) override {
    opens++;
    open_gate.pass();
    std::lock_guard lock(mutex);
    auto found = ids.find(name);
    if (found == ids.end()) return Status(Code::kNotFound, "there is no volume " + name);
    return std::shared_ptr<FileSystem>(std::make_shared<NamedFileSystem>(name, found->second));
  }
  Result<std::vector<VolumeName>> list() override {
    lists++;
    std::vector<VolumeName> names;
    {
      std::lock_guard lock(mutex);
      for (const auto& [name, id] : ids) names.push_back({name, id});
    }
    list_gate.pass();
    return names;
  }
  void add(const std::string& name, uint64_t id) {
    std::lock_guard lock(mutex);
    ids[name] = id;
  }

  std::atomic<int> opens{0}, lists{0};
  Gate open_gate, list_gate;
  std::mutex mutex;
  std::map<std::string, uint64_t> ids = {{"a", 1}, {"b", 2}};
};

class VolumeRegistryTest : public testing::Test {
 protected:
  std::future<Opened> by_name(const std::string& name) {
    auto promise = std::make_shared<std::promise<Opened>>();
    registry.by_name(name, [promise](Opened opened) { promise->set_value(std::move(opened)); });
    return promise->get_future();
  }
  std::future<Opened> by_id(uint64_t id) {
    auto promise = std::make_shared<std::promise<Opened>>();
    registry.by_id(id, [promise](Opened opened) { promise->set_value(std::move(opened)); });
    return promise->get_future();
  }

  FakeVolumes volumes;
  VolumeRegistry registry{volumes, {parse_export_rule("10.0.0.0/8:ro:root_squash").value()}, 4};
};

TEST_F(VolumeRegistryTest, AVolumeIsOpenedOnceAndThenThere) {
  EXPECT_EQ(registry.open_now(1), nullptr);
  auto first = by_name("a").get();
  ASSERT_TRUE(first.is_ok());
  EXPECT_EQ((*first)->volume_id(), 1u);
  EXPECT_EQ(by_name("a").get().value(), *first);
  EXPECT_EQ(by_id(1).get().value(), *first);
  EXPECT_EQ(registry.open_now(1), *first);
  EXPECT_EQ(volumes.opens, 1);
  EXPECT_EQ(volumes.lists, 0);
}

TEST_F(VolumeRegistryTest, SeveralCallersShareOneOpening) {
  volumes.open_gate.close();
  auto first = by_name("a"), second = by_name("a"), third = by_id(1);
  volumes.open_gate.wait_for_somebody();
  volumes.open_gate.open();
  auto files = first.get().value();
  EXPECT_EQ(second.get().value(), files);
  EXPECT_EQ(third.get().value(), files);
  EXPECT_EQ(volumes.opens, 1);
}

TEST_F(VolumeRegistryTest, AVolumeThatIsSlowToOpenHoldsUpNoOther) {
  volumes.open_gate.close();
  auto slow = by_name("a");
  volumes.open_gate.wait_for_somebody();
  std::promise<Result<std::vector<std::string>>> names;
  registry.list([&](Result<std::vector<std::string>> listed) { names.set_value(std::move(listed)); });
  EXPECT_EQ(names.get_future().get().value(), (std::vector<std::string>{"a", "b"}));
  volumes.open_gate.open();
  EXPECT_TRUE(slow.get().is_ok());
}

TEST_F(VolumeRegistryTest, UnknownNamesAndIdsAreNotFoundAndAskedForAnew) {
  EXPECT_EQ(by_name("c").get().status().code(), Code::kNotFound);
  EXPECT_EQ(by_id(3).get().status().code(), Code::kNotFound);
  volumes.add("c", 3);
  EXPECT_EQ(by_id(3).get().value()->volume_name(), "c");
}

TEST_F(VolumeRegistryTest, CallersByIdShareListingsThatBeganAfterTheyAsked) {
  volumes.list_gate.close();
  auto first = by_id(77);
  volumes.list_gate.wait_for_somebody();  // has read the names already
  volumes.add("new", 9);
  std::vector<std::future<Opened>> later;
  for (int i = 0; i < 20; i++) later.push_back(by_id(9));
  volumes.list_gate.open();
  EXPECT_EQ(first.get().status().code(), Code::kNotFound);
  for (auto& opened : later) EXPECT_TRUE(opened.get().is_ok());
  EXPECT_EQ(volumes.lists, 2);
}

TEST_F(VolumeRegistryTest, ADeletedVolumeLeavesAndItsSuccessorIsOpenedAnew) {
  auto old = by_name("a").get().value();
  volumes.add("a", 11);
  registry.forget(1);
  EXPECT_EQ(registry.open_now(1), nullptr);
  EXPECT_EQ(old->volume_name(), "a");  // who holds it keeps it
  EXPECT_EQ(by_name("a").get().value()->volume_id(), 11u);
  EXPECT_EQ(by_id(1).get().status().code(), Code::kNotFound);
}

TEST_F(VolumeRegistryTest, StopAnswersAllAndLetsGo) {
  std::weak_ptr<FileSystem> held = by_name("b").get().value();
  volumes.open_gate.close();
  auto slow = by_name("a");
  volumes.open_gate.wait_for_somebody();
  std::thread stopping([&] { registry.stop(); });
  volumes.open_gate.open();
  EXPECT_EQ(slow.wait_for(std::chrono::seconds(10)), std::future_status::ready);  // opened or refused
  stopping.join();
  EXPECT_TRUE(held.expired());
  EXPECT_TRUE(registry.open_volumes().empty());
  EXPECT_EQ(by_name("b").get().status().code(), Code::kUnavailable);
  EXPECT_EQ(by_id(2).get().status().code(), Code::kUnavailable);
}

TEST_F(VolumeRegistryTest, VolumesThatWereForgottenAreOpenedAnew) {
  auto old = by_name("a").get().value();
  volumes.open_gate.close();
  auto under_way = by_name("b");
  volumes.open_gate.wait_for_somebody();
  registry.forget_all();
  volumes.open_gate.open();
  EXPECT_EQ(under_way.get().status().code(), Code::kUnavailable);  // begun before
  EXPECT_EQ(registry.open_now(1), nullptr);
  EXPECT_EQ(registry.open_now(2), nullptr);
  EXPECT_NE(by_name("a").get().value(), old);
  EXPECT_TRUE(by_name("b").get().is_ok());
}

TEST_F(VolumeRegistryTest, PublicationsAndRulesBothDecide) {
  std::map<std::string, PublishedAccess> published = {{"a", PublishedAccess::kReadWrite},
                                                      {"none", PublishedAccess::kNone},
                                                      {"ro", PublishedAccess::kReadOnly},
                                                      {"unknown", PublishedAccess::kUnknown}};
  VolumeRegistry open(volumes, {parse_export_rule("10.0.0.0/8:rw:root_squash").value()}, 1);
  open.set_publications([&](const std::string& volume, const std::string&) { return published.at(volume); });
  EXPECT_TRUE(open.access("a", "10.1.2.3").allowed);
  EXPECT_FALSE(open.access("a", "10.1.2.3").read_only);
  EXPECT_EQ(open.access("a", "10.1.2.3").squash, Squash::kRoot);
  EXPECT_FALSE(open.access("a", "192.168.0.1").allowed);
  EXPECT_FALSE(open.access("none", "10.1.2.3").allowed);
  EXPECT_FALSE(open.access("none", "10.1.2.3").try_later);
  EXPECT_TRUE(open.access("ro", "10.1.2.3").allowed);
  EXPECT_TRUE(open.access("ro", "10.1.2.3").read_only);
  EXPECT_FALSE(open.access("unknown", "10.1.2.3").allowed);
  EXPECT_TRUE(open.access("unknown", "10.1.2.3").try_later);
}

TEST_F(VolumeRegistryTest, TheRulesSayWhoMayDoWhat) {
  EXPECT_TRUE(registry.access("a", "10.1.2.3").read_only);
  EXPECT_EQ(registry.access("a", "10.1.2.3").squash, Squash::kRoot);
  EXPECT_FALSE(registry.access("a", "192.168.0.1").allowed);
}

}  // namespace
}  // namespace shima
