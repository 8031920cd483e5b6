// LinearHistory: checks that a history of concurrent operations is linearizable (Herlihy and Wing,
// "Linearizability: a correctness condition for concurrent objects", 1990), by the search of Wing and Gong
// with Lowe's memory of states.
//
// At most 64 operations. One whose answer was lost happened at any time after it began, or not at all. State
// needs a copy and key(); an operation is tried by apply(state): false if what it answered cannot be in that
// state.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace shima {

template <typename State>
class LinearHistory {
 public:
  using Apply = std::function<bool(State& state)>;

  // An operation begins; returns its number.
  size_t begin(std::string words) {
    operations_.push_back({.words = std::move(words), .begun = ++clock_});
    return operations_.size() - 1;
  }
  // It has ended; `answer` are words for people.
  void end(size_t operation, const std::string& answer, Apply apply) {
    operations_[operation].words += " -> " + answer;
    operations_[operation].ended = ++clock_;
    operations_[operation].apply = std::move(apply);
  }

  // Nobody knows whether it happens; `apply` says what becomes of the state if it does.
  void lose(size_t operation, const std::string& answer, Apply apply) {
    end(operation, answer + " (lost)", std::move(apply));
    operations_[operation].ended = ~0ull;
    operations_[operation].lost = true;
  }

  bool is_linearizable(const State& first) {
    tried_.clear();
    return search(first, 0);
  }

  std::string to_string() const {
    std::string all;
    for (const Operation& o : operations_) {
      all += "[" + std::to_string(o.begun) + ", " + std::to_string(o.ended) + "] " + o.words + "\n";
    }
    return all;
  }

 private:
  struct Operation {
    std::string words;
    uint64_t begun = 0, ended = 0;
    bool lost = false;
    Apply apply;
  };

  bool search(const State& state, uint64_t done) {
    if (!tried_.insert({done, state.key()}).second) return false;
    uint64_t first_end = ~0ull;
    bool all_done = true;
    for (size_t i = 0; i < operations_.size(); i++) {
      if (done >> i & 1) continue;
      first_end = std::min(first_end, operations_[i].ended);
      if (!operations_[i].lost) all_done = false;
    }
    if (all_done) return true;
    for (size_t i = 0; i < operations_.size(); i++) {
      if ((done >> i & 1) || operations_[i].begun > first_end) continue;
      State next = state;
      if (operations_[i].apply(next) && search(next, done | 1ull << i)) return true;
    }
    return false;
  }

  std::vector<Operation> operations_;
  uint64_t clock_ = 0;
  std::set<std::pair<uint64_t, std::string>> tried_;
};

}  // namespace shima
