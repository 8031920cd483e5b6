// The state machine of a list and the watch that follows it.
#include "common/kubernetes/object_cache.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "common/kubernetes/resource_path.h"

namespace shima {
namespace {

using nlohmann::json;
using Type = WatchEvent::Type;

json object(const std::string& name, uint64_t version, const std::string& value = "") {
  return {{"metadata",
           {{"name", name},
            {"namespace", "ns"},
            {"uid", "uid-" + name},
            {"resourceVersion", std::to_string(version)}}},
          {"value", value}};
}

json bookmark(uint64_t version) { return {{"metadata", {{"resourceVersion", std::to_string(version)}}}}; }

// Effects as one line: "changed ns/a, watch 7".
std::string words(const std::vector<ObjectCache::Effect>& effects) {
  std::string text;
  for (const auto& effect : effects) {
    text += text.empty() ? "" : ", ";
    if (const auto* changed = std::get_if<ObjectCache::Changed>(&effect)) text += "changed " + changed->key;
    if (const auto* watch = std::get_if<ObjectCache::Watch>(&effect))
      text += "watch " + watch->resource_version;
    if (const auto* wait = std::get_if<ObjectCache::Wait>(&effect))
      text += "wait " + std::to_string(wait->delay_ms);
    if (std::holds_alternative<ObjectCache::List>(effect)) text += "list";
  }
  return text;
}

class ObjectCacheTest : public testing::Test {
 protected:
  std::string step(ObjectCache::Event event) {
    std::vector<ObjectCache::Effect> effects;
    cache_.step(std::move(event), effects);
    return words(effects);
  }
  std::string tick() { return step(ObjectCache::Tick{}); }
  std::string listed(std::vector<json> items, const std::string& version) {
    return step(ObjectCache::Listed{{std::move(items), version}});
  }
  std::string watched(Type type, json what) { return step(ObjectCache::Watched{{type, std::move(what)}}); }
  std::string ended(Code code, uint64_t lasted_ms = 100) {
    return step(ObjectCache::WatchEnded{code == Code::kOk ? Status::ok() : Status(code, "why"), lasted_ms});
  }
  void begin() {
    EXPECT_EQ(tick(), "list");
    EXPECT_EQ(listed({object("a", 1), object("b", 2)}, "5"), "changed ns/a, changed ns/b, watch 5");
  }

  ObjectCache cache_{[] { return 0; }, {1000, 8000}};  // without luck: a half of each delay
};

TEST_F(ObjectCacheTest, ListsFirstAndWatchesFromThere) {
  EXPECT_FALSE(cache_.has_synced());
  begin();
  EXPECT_TRUE(cache_.has_synced());
  EXPECT_EQ(cache_.objects().size(), 2u);
  ASSERT_TRUE(cache_.find("ns/a"));
  EXPECT_FALSE(cache_.find("ns/c"));
}

TEST_F(ObjectCacheTest, EventsChangeTheObjects) {
  begin();
  EXPECT_EQ(watched(Type::kAdded, object("c", 6)), "changed ns/c");
  EXPECT_EQ(watched(Type::kModified, object("a", 7, "new")), "changed ns/a");
  EXPECT_EQ(watched(Type::kDeleted, object("b", 8)), "changed ns/b");
  EXPECT_EQ((*cache_.find("ns/a"))["value"], "new");
  EXPECT_FALSE(cache_.find("ns/b"));
  EXPECT_EQ(ended(Code::kOk), "watch 8");
}

TEST_F(ObjectCacheTest, ABookmarkMovesThePositionAndChangesNothing) {
  begin();
  EXPECT_EQ(watched(Type::kBookmark, bookmark(100)), "");
  EXPECT_EQ(ended(Code::kOk), "watch 100");
}

TEST_F(ObjectCacheTest, EventsThatAreNotNewerAreDropped) {
  begin();
  EXPECT_EQ(watched(Type::kModified, object("a", 10, "new")), "changed ns/a");
  EXPECT_EQ(watched(Type::kModified, object("a", 10, "new")), "");
  EXPECT_EQ(watched(Type::kModified, object("a", 9, "old")), "");
  EXPECT_EQ(watched(Type::kDeleted, object("b", 3)), "");
  EXPECT_EQ((*cache_.find("ns/a"))["value"], "new");
  EXPECT_TRUE(cache_.find("ns/b"));
  EXPECT_EQ(cache_.resource_version(), "10");
}

TEST_F(ObjectCacheTest, VersionsAreComparedAsNumbersOfAnyLength) {
  tick();
  listed({object("a", 1)}, "99999999999999999999999");
  EXPECT_EQ(watched(Type::kBookmark, {{"metadata", {{"resourceVersion", "100000000000000000000000"}}}}), "");
  EXPECT_EQ(cache_.resource_version(), "100000000000000000000000");
}

TEST_F(ObjectCacheTest, VersionsThatAreNoNumbersAreTakenAsTheyCome) {
  tick();
  EXPECT_EQ(listed({}, "opaque-b"), "watch opaque-b");
  json next = object("a", 1);
  next["metadata"]["resourceVersion"] = "opaque-a";
  EXPECT_EQ(watched(Type::kAdded, next), "changed ns/a");
  EXPECT_EQ(cache_.resource_version(), "opaque-a");
}

TEST_F(ObjectCacheTest, A410ListsAnewAndReportsWhatVanished) {
  begin();
  EXPECT_EQ(ended(Code::kRequestTooOld), "list");
  EXPECT_EQ(cache_.objects().size(), 2u) << "what was known stays until the list has come";
  EXPECT_EQ(listed({object("a", 1), object("c", 30)}, "40"), "changed ns/b, changed ns/c, watch 40");
}

TEST_F(ObjectCacheTest, AnObjectMadeAnewUnderTheSameNameIsAChange) {
  begin();
  ended(Code::kRequestTooOld);
  json again = object("a", 1);
  again["metadata"]["uid"] = "another";
  EXPECT_EQ(listed({again, object("b", 2)}, "40"), "changed ns/a, watch 40");
}

TEST_F(ObjectCacheTest, A410RightAfterAListWaits) {
  begin();
  EXPECT_EQ(ended(Code::kRequestTooOld), "list");
  EXPECT_EQ(listed({}, "40"), "changed ns/a, changed ns/b, watch 40");
  EXPECT_EQ(ended(Code::kRequestTooOld), "wait 1000");
  EXPECT_EQ(tick(), "list");
}

TEST_F(ObjectCacheTest, FailedListsWaitLongerAndLonger) {
  EXPECT_EQ(tick(), "list");
  for (const char* delay : {"wait 500", "wait 1000", "wait 2000", "wait 4000", "wait 4000"}) {
    EXPECT_EQ(step(ObjectCache::ListFailed{{Code::kUnavailable, "away"}}), delay);
    EXPECT_EQ(cache_.trouble().message(), "away");
    EXPECT_EQ(tick(), "list");
  }
  EXPECT_EQ(listed({}, "1"), "watch 1");
  EXPECT_TRUE(cache_.trouble().is_ok());
}

TEST_F(ObjectCacheTest, TheServersWishToWaitIsHeeded) {
  tick();
  EXPECT_EQ(step(ObjectCache::ListFailed{{Code::kUnavailable, "429"}, 60'000}), "wait 60000");
}

TEST_F(ObjectCacheTest, ABrokenWatchGoesOnFromThereAfterAWhile) {
  begin();
  watched(Type::kModified, object("a", 10));
  EXPECT_EQ(ended(Code::kUnavailable), "wait 500");
  EXPECT_FALSE(cache_.trouble().is_ok());
  EXPECT_EQ(tick(), "watch 10");
  EXPECT_EQ(ended(Code::kUnavailable), "wait 1000");
  EXPECT_EQ(tick(), "watch 10");
  watched(Type::kModified, object("a", 11));
  EXPECT_TRUE(cache_.trouble().is_ok());
  EXPECT_EQ(ended(Code::kUnavailable), "wait 500") << "something new came: all is well again";
}

TEST_F(ObjectCacheTest, WatchesThatTheServerEndsAtOnceDoNotSpin) {
  begin();
  EXPECT_EQ(ended(Code::kOk, 1), "wait 500");
  EXPECT_EQ(tick(), "watch 5");
  EXPECT_EQ(ended(Code::kOk, 1), "wait 1000");
  EXPECT_EQ(tick(), "watch 5");
  EXPECT_EQ(ended(Code::kOk, 300'000), "watch 5") << "a quiet watch is no trouble";
  EXPECT_TRUE(cache_.trouble().is_ok());
}

TEST_F(ObjectCacheTest, AWatchThatHasBegunIsNoTroubleAnyMore) {
  begin();
  ended(Code::kUnavailable);
  EXPECT_EQ(tick(), "watch 5");
  EXPECT_FALSE(cache_.trouble().is_ok());
  EXPECT_EQ(step(ObjectCache::WatchBegun{}), "");
  EXPECT_TRUE(cache_.trouble().is_ok());
  EXPECT_EQ(ended(Code::kUnavailable), "wait 1000") << "but if it breaks at once, the next one waits longer";
}

TEST_F(ObjectCacheTest, AfterManyFailedWatchesItLists) {
  begin();
  for (int i = 1; i < 5; ++i) {
    ended(Code::kUnavailable);
    EXPECT_EQ(tick(), "watch 5") << i;
  }
  ended(Code::kUnavailable);
  EXPECT_EQ(tick(), "list");
}

TEST_F(ObjectCacheTest, AWatchThatTheServerFailedAtGoesOnFromWhereItWas) {
  begin();
  EXPECT_EQ(ended(Code::kInternal), "wait 500");
  EXPECT_EQ(tick(), "watch 5") << "a list of thousands of objects would not help it";
}

TEST_F(ObjectCacheTest, AWatchThatIsRefusedForAnotherReasonLists) {
  begin();
  EXPECT_EQ(ended(Code::kInvalidArgument), "wait 500");
  EXPECT_EQ(tick(), "list");
}

TEST_F(ObjectCacheTest, ABookmarkOfAnEarlierTimeMeansARestoredServer) {
  begin();
  EXPECT_EQ(watched(Type::kBookmark, bookmark(3)), "wait 500");
  EXPECT_EQ(tick(), "list");
  EXPECT_EQ(listed({object("a", 1)}, "3"), "changed ns/b, watch 3");
}

TEST_F(ObjectCacheTest, ObjectsWithoutNameOrVersionAreNotKept) {
  EXPECT_EQ(tick(), "list");
  EXPECT_EQ(listed({json::object()}, "5"), "wait 500");
  EXPECT_EQ(cache_.trouble().code(), Code::kCorrupt);
  tick();
  EXPECT_EQ(listed({}, ""), "wait 1000");
  tick();
  listed({}, "5");
  EXPECT_EQ(watched(Type::kAdded, {{"metadata", {{"name", 7}}}}), "wait 2000");
  EXPECT_EQ(tick(), "list");
  listed({}, "5");
  EXPECT_EQ(watched(Type::kBookmark, json::object()), "wait 4000");
}

// An API server in miniature: a history of edits, of which the older part is forgotten now and then.
class Model {
 public:
  explicit Model(uint64_t seed) : random_(seed) {}

  void edit() {
    const std::string name = "object-" + std::to_string(random_() % 12);
    const uint64_t version = version_ += 1 + random_() % 3;
    const auto found = objects_.find("ns/" + name);
    if (found == objects_.end()) {
      objects_["ns/" + name] = object(name, version, std::to_string(random_()));
      history_.push_back({version, {Type::kAdded, objects_["ns/" + name]}});
    } else if (random_() % 3 == 0) {
      json last = found->second;
      last["metadata"]["resourceVersion"] = std::to_string(version);
      objects_.erase(found);
      history_.push_back({version, {Type::kDeleted, last}});
    } else {
      found->second = object(name, version, std::to_string(random_()));
      history_.push_back({version, {Type::kModified, found->second}});
    }
  }
  void compact() {
    while (history_.size() > random_() % 10) {
      compacted_ = history_.front().first;
      history_.pop_front();
    }
  }
  ObjectList list() const {
    ObjectList list;
    for (const auto& [key, one] : objects_) list.items.push_back(one);
    list.resource_version = std::to_string(version_);
    return list;
  }
  bool is_forgotten(uint64_t version) const { return version < compacted_; }
  // The first event after `version`, nullptr: there is none.
  const WatchEvent* after(uint64_t version) const {
    for (const auto& [at, event] : history_)
      if (at > version) return &event;
    return nullptr;
  }
  const WatchEvent* any(uint64_t pick) const {
    return history_.empty() ? nullptr : &history_[pick % history_.size()].second;
  }
  uint64_t version() const { return version_; }
  const std::map<std::string, json>& objects() const { return objects_; }

 private:
  std::mt19937_64 random_;
  uint64_t version_ = 100, compacted_ = 0;
  std::map<std::string, json> objects_;
  std::deque<std::pair<uint64_t, WatchEvent>> history_;
};

// Drives a cache against the model, with everything going wrong that can; remembers what Changed has told.
class DrivenCache {
 public:
  explicit DrivenCache(uint64_t seed)
      : random_(seed), model_(seed + 1), cache_([this] { return random_(); }) {
    step(ObjectCache::Tick{});
  }

  void advance(bool calm) {
    if (!calm && random_() % 3 == 0) model_.edit();
    if (!calm && random_() % 15 == 0) model_.compact();
    if (const auto* watch = std::get_if<ObjectCache::Watch>(&command_)) {
      begin_watch(watch->resource_version);
    } else if (std::holds_alternative<ObjectCache::List>(command_)) {
      if (!calm && random_() % 4 == 0)
        step(ObjectCache::ListFailed{{Code::kUnavailable, "away"}});
      else
        step(ObjectCache::Listed{model_.list()});
    } else if (std::holds_alternative<ObjectCache::Wait>(command_)) {
      step(ObjectCache::Tick{});
    } else {
      watch_on(calm);
    }
  }

  bool is_current() const {
    return std::holds_alternative<ObjectCache::Changed>(command_) && !model_.after(sent_);
  }

  void compare() const {
    ASSERT_EQ(cache_.objects().size(), model_.objects().size());
    for (const auto& [key, wanted] : model_.objects()) {
      ASSERT_TRUE(cache_.find(key)) << key;
      ASSERT_EQ(*cache_.find(key), wanted);
    }
    ASSERT_EQ(told_.size(), model_.objects().size()) << "what Changed told is what is there";
    for (const auto& [key, wanted] : model_.objects()) ASSERT_EQ(told_.at(key), wanted) << key;
  }

  int lists = 0, dropped = 0;

 private:
  // command_ is a Changed while a watch is open.
  void begin_watch(const std::string& from) {
    sent_ = std::stoull(from);
    command_ = ObjectCache::Changed{};
    if (model_.is_forgotten(sent_)) step(ObjectCache::WatchEnded{{Code::kRequestTooOld, "gone"}, 0});
  }
  void watch_on(bool calm) {
    if (model_.is_forgotten(sent_)) return step(ObjectCache::WatchEnded{{Code::kRequestTooOld, "gone"}, 0});
    const uint64_t chance = calm ? 100 : random_() % 12;
    if (chance == 0) return step(ObjectCache::WatchEnded{{Code::kUnavailable, "broken"}, random_() % 20'000});
    if (chance == 1) return step(ObjectCache::WatchEnded{{}, random_() % 20'000});
    if (chance == 2 && !model_.after(sent_)) return send({Type::kBookmark, bookmark(model_.version())});
    if (chance == 3 && model_.any(0)) {
      const WatchEvent old = *model_.any(random_());
      if (std::stoull(old.object["metadata"]["resourceVersion"].get<std::string>()) <= sent_) {
        ++dropped;
        return send(old);
      }
    }
    if (const WatchEvent* next = model_.after(sent_)) {
      sent_ = std::stoull(next->object["metadata"]["resourceVersion"].get<std::string>());
      send(*next);
    }
  }
  void send(const WatchEvent& event) { step(ObjectCache::Watched{event}); }
  void step(ObjectCache::Event event) {
    std::vector<ObjectCache::Effect> effects;
    cache_.step(std::move(event), effects);
    for (size_t i = 0; i < effects.size(); ++i) {
      if (const auto* changed = std::get_if<ObjectCache::Changed>(&effects[i])) {
        const auto now = cache_.find(changed->key);
        if (now)
          told_[changed->key] = *now;
        else
          told_.erase(changed->key);
      } else {
        ASSERT_EQ(i + 1, effects.size()) << "a command is the last effect";
        command_ = effects[i];
        lists += std::holds_alternative<ObjectCache::List>(command_);
      }
    }
  }

  std::mt19937_64 random_;
  Model model_;
  ObjectCache cache_;
  ObjectCache::Effect command_ = ObjectCache::List{};
  uint64_t sent_ = 0;
  std::map<std::string, json> told_;
};

TEST(ObjectCacheRandom, WhateverBreaksTheCacheEqualsTheServerInTheEnd) {
  int lists = 0, dropped = 0;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    DrivenCache run(seed);
    for (int i = 0; i < 800; ++i) run.advance(false);
    for (int i = 0; i < 2000 && !run.is_current(); ++i) run.advance(true);
    ASSERT_TRUE(run.is_current());
    run.compare();
    if (HasFatalFailure()) return;
    lists += run.lists;
    dropped += run.dropped;
  }
  EXPECT_GT(lists, 300) << "the run has to have lists after 410 in it";
  EXPECT_GT(dropped, 300) << "and repeated events";
}

}  // namespace
}  // namespace shima
