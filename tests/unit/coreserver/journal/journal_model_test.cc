// Random operations against a model in memory, with reopening, and with power cuts at random places.
#include "tests/unit/coreserver/journal/journal_fixture.h"

namespace shima {
namespace {

struct ModelGroup {
  uint64_t released = 0;
  std::map<uint64_t, uint64_t> terms;  // by sequence
  uint64_t next() const { return terms.empty() ? released + 1 : terms.rbegin()->first + 1; }
};

class JournalModel : public JournalTest, public testing::WithParamInterface<int> {
 protected:
  JournalModel() {
    options_.segment_bytes = 64 << 10;
    options_.max_bytes = 1 << 20;
  }

  uint32_t size_of(uint64_t sequence) { return sequence % 5 == 0 ? 0 : kChunkSize * (1 + sequence % 3); }

  void step(std::mt19937_64& random) {
    GroupId id = group_of(1 + random() % 4);
    ModelGroup& g = model_[id];
    switch (random() % 20) {
      case 0:
        if (!g.terms.empty()) {
          uint64_t after = g.terms.rbegin()->first - random() % 4;
          after = std::max(after, g.released);
          journal_->truncate(id, Sequence(after), [](Status s) { EXPECT_TRUE(s.is_ok()) << s.to_string(); });
          g.terms.erase(g.terms.upper_bound(after), g.terms.end());
          ++term_;
        }
        break;
      case 1:
        if (random() % 10 == 0) {
          journal_->drop_group(id);
          flush(id);
          g = ModelGroup{};
        }
        break;
      case 2:
      case 3:
      case 4:
        // The last group is slow: its records pin segments and are moved.
        if (!g.terms.empty() && (id != group_of(4) || random() % 10 == 0)) {
          flush(id);
          uint64_t upto = g.terms.begin()->first + random() % (g.terms.size() + 1);
          upto = std::min(upto, g.terms.rbegin()->first);
          journal_->release(id, Sequence(upto));
          g.released = upto;
          g.terms.erase(g.terms.begin(), g.terms.upper_bound(upto));
        }
        break;
      default:
        uint64_t s = g.next();
        journal_->append(make_record(id, s, term_, size_of(s)),
                         [](Status status) { EXPECT_TRUE(status.is_ok()) << status.to_string(); });
        g.terms[s] = term_;
    }
  }

  // Waits until all that was queued is written.
  void flush(GroupId) { ASSERT_TRUE(truncate(group_of(99), 0)); }

  void check_reads(std::mt19937_64& random) {
    flush(group_of(1));
    for (auto& [id, g] : model_) {
      if (g.terms.empty()) continue;
      uint64_t first = g.terms.begin()->first + random() % g.terms.size();
      auto records = journal_->read(id, Sequence(first), Sequence(UINT64_MAX), 200000);
      ASSERT_TRUE(records.is_ok()) << records.status().to_string();
      for (auto& r : *records) {
        ASSERT_EQ(*r, *make_record(id, first, g.terms[first], size_of(first)));
        ++first;
      }
    }
  }

  void check_recovered() {
    for (auto& [id, g] : model_) {
      ASSERT_FALSE(recovered_[id].damaged) << recovered_[id].damage;
      ASSERT_EQ(recovered_[id].records.size(), g.terms.size()) << to_string(id);
      ASSERT_EQ(recovered_[id].released.value, g.released) << to_string(id);
      for (auto& h : recovered_[id].records)
        ASSERT_EQ(g.terms[h.position.sequence.value], h.position.term.value);
    }
  }

  std::map<GroupId, ModelGroup> model_;
  uint64_t term_ = 1;
};

TEST_P(JournalModel, AgreesWithTheModelOverManyReopenings) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()));
  for (int round = 0; round < 12; ++round) {
    open();
    check_recovered();
    for (int i = 0; i < 300; ++i) {
      step(random);
      if (i % 60 == 0) check_reads(random);
    }
    check_reads(random);
    if (HasFatalFailure()) return;
  }
  EXPECT_LT(segment_paths().size(), 60u);
}

// The power fails after any operation: all that was answered is there, in order, and nothing that was not
// asked for.
TEST_P(JournalModel, APowerCutLosesNothingThatWasAnswered) {
  std::mt19937_64 random(static_cast<uint64_t>(GetParam()) + 1000);
  for (int round = 0; round < 8; ++round) {
    journal_.reset();
    disk_ = make_losing_disk(false);
    open();
    for (int i = 0; i < 150; ++i) step(random);
    flush(group_of(1));
    auto answered = model_;
    for (auto& [id, g] : model_) {
      for (int i = 0; i < 3; ++i) {
        uint64_t s = g.next();
        journal_->append(make_record(id, s, term_, size_of(s)), [](Status) {});
        g.terms[s] = term_;
      }
    }
    std::string copy = root_ + "/copy" + std::to_string(round);
    copy_files(copy);
    journal_.reset();
    disk_ = make_posix_disk();
    directory_ = copy;
    open();
    for (auto& [id, g] : model_) {
      ASSERT_FALSE(recovered_[id].damaged) << recovered_[id].damage;
      std::map<uint64_t, uint64_t> found;
      for (auto& h : recovered_[id].records) found[h.position.sequence.value] = h.position.term.value;
      for (auto [s, t] : answered[id].terms) ASSERT_EQ(found[s], t) << to_string(id) << " " << s;
      for (auto [s, t] : found) {
        // Releases are lazy: what was released may be there again.
        if (s > g.released) {
          ASSERT_EQ(g.terms[s], t) << to_string(id) << " " << s;
        }
      }
      // The model goes on from what survived.
      std::erase_if(g.terms, [&](auto& e) { return !found.contains(e.first); });
      if (!recovered_[id].records.empty() || recovered_[id].released)
        journal_->release(id, Sequence(g.released));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, JournalModel, testing::Range(1, 9));

}  // namespace
}  // namespace shima
