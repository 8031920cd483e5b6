// Task: a callable without arguments that is run once or never, for event loops and timers.
//
// Unlike std::function it may own things that cannot be copied, and up to 64 bytes of captures lie inside
// it, so that a post() allocates nothing. Threads: moved from thread to thread, used by one at a time.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace shima {

class Task {
 public:
  Task() = default;

  template <typename F>
  requires(!std::is_same_v<std::decay_t<F>, Task> && std::is_invocable_v<std::decay_t<F>&>)
      Task(F&& callable) {  // NOLINT: implicit on purpose, callers pass lambdas
    using Callable = std::decay_t<F>;
    if constexpr (fits_inside<Callable>()) {
      new (storage_) Callable(std::forward<F>(callable));
      operations_ = &kInside<Callable>;
    } else {
      new (storage_) Callable*(new Callable(std::forward<F>(callable)));
      operations_ = &kOnHeap<Callable>;
    }
  }

  Task(Task&& other) noexcept { take(other); }
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      clear();
      take(other);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { clear(); }

  explicit operator bool() const { return operations_ != nullptr; }
  void operator()() { operations_->run(storage_); }

 private:
  static constexpr size_t kInsideBytes = 64;
  struct Operations {
    void (*run)(void* storage);
    void (*move)(void* from, void* to) noexcept;  // leaves `from` destroyed
    void (*destroy)(void* storage) noexcept;
  };

  template <typename C>
  static constexpr bool fits_inside() {
    return sizeof(C) <= kInsideBytes && alignof(C) <= alignof(std::max_align_t) &&
           std::is_nothrow_move_constructible_v<C>;
  }

  template <typename C>
  static constexpr Operations kInside = {[](void* s) { (*static_cast<C*>(s))(); },
                                         [](void* from, void* to) noexcept {
                                           new (to) C(std::move(*static_cast<C*>(from)));
                                           static_cast<C*>(from)->~C();
                                         },
                                         [](void* s) noexcept { static_cast<C*>(s)->~C(); }};

  template <typename C>
  static constexpr Operations kOnHeap = {
      [](void* s) { (**static_cast<C**>(s))(); },
      [](void* from, void* to) noexcept { new (to) C*(*static_cast<C**>(from)); },
      [](void* s) noexcept { delete *static_cast<C**>(s); }};

  void take(Task& other) noexcept {
    if (!other.operations_) return;
    other.operations_->move(other.storage_, storage_);
    operations_ = std::exchange(other.operations_, nullptr);
  }
  void clear() noexcept {
    if (operations_) std::exchange(operations_, nullptr)->destroy(storage_);
  }

  alignas(std::max_align_t) std::byte storage_[kInsideBytes];
  const Operations* operations_ = nullptr;
};

}  // namespace shima
