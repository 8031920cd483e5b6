#include "tests/simulation/world.h"

#include <memory>

#include "common/status/status.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/clients.h"
#include "tests/simulation/config_service.h"
#include "tests/simulation/network.h"
#include "tests/simulation/server.h"

namespace shima::simulation {

namespace {

struct CheckFailed {
  std::string words;
};

constexpr uint64_t kPatienceUs = 90'000'000;  // for the healed group to become quiet
constexpr uint64_t kMaxEvents = 2'000'000;

class World {
 public:
  World(uint64_t seed, const RunOptions& options)
      : run_(seed, options.operations, options.bugs, options.print_trace),
        owned_(make_servers()),
        servers_(pointers()),
        checkers_(run_, servers_),
        network_(run_, servers_),
        config_(run_, servers_, checkers_),
        clients_(run_, servers_, checkers_) {
    checkers_.config_is(&config_.current());
    around_ = {&network_, &config_, &checkers_, &clients_};
  }

  void go() {
    for (Server* s : servers_) s->start();
    clients_.begin();
    plan_faults();
    run_.agenda.after(run_.parameters.chaos_us, [this] { heal(); });
    while (!run_.failure && !quiet_ && run_.agenda.step()) {
      if (run_.agenda.done() > kMaxEvents)
        run_.fail(Check::kProgress, "too many events: the group never comes to rest");
    }
    if (!run_.failure) checkers_.count_final_checks();
  }
  Run& run() { return run_; }

 private:
  std::vector<std::unique_ptr<Server>> make_servers() {
    std::vector<std::unique_ptr<Server>> all;
    for (uint64_t i = 0; i < 2 + run_.parameters.remotes; i++) {
      auto role = i == 0   ? replication::Role::kPrimary
                  : i == 1 ? replication::Role::kSecondary
                           : replication::Role::kRemote;
      all.push_back(std::make_unique<Server>(run_, around_, ServerId(i + 1), role));
    }
    return all;
  }
  std::vector<Server*> pointers() const {
    std::vector<Server*> all;
    for (auto& s : owned_) all.push_back(s.get());
    return all;
  }
  Server& any_server() { return *servers_[run_.random.below(servers_.size())]; }

  // Does `fault` again and again, about every `every_us`, until the healing begins.
  template <typename Fault>
  void repeat(uint64_t every_us, Fault fault) {
    if (!every_us) return;
    run_.agenda.after(run_.random.between(every_us / 4, 2 * every_us), [this, every_us, fault] {
      if (!run_.chaos) return;
      fault();
      repeat(every_us, fault);
    });
  }

  void plan_faults() {
    const Parameters& p = run_.parameters;
    repeat(p.crash_every_us, [this] {
      any_server().crash_for_a_while();
      if (run_.random.chance(150)) any_server().crash_for_a_while();
    });
    if (p.remote_stays_away) {
      run_.agenda.after(p.chaos_us / 3, [this] {
        servers_.back()->crash();
        servers_.back()->retired = true;
      });
    }
    repeat(p.break_every_us, [this] { network_.break_one(); });
    repeat(p.partition_every_us, [this] {
      network_.partition(any_server().id(), run_.random.between(50000, run_.parameters.partition_us_max));
    });
    repeat(p.bump_every_us, [this] { config_.change_something_else(); });
    repeat(p.full_every_us, [this] {
      Server& s = any_server();
      s.set_disk_full(true);
      run_.agenda.after(run_.random.between(20000, 600000), [&s] { s.set_disk_full(false); });
    });
  }

  void heal() {
    run_.note(0, "heal");
    run_.chaos = false;
    for (Server* s : servers_) {
      s->set_disk_full(false);
      s->start();
    }
    network_.heal();
    deadline_us_ = run_.agenda.now_us() + kPatienceUs;
    look_whether_quiet();
  }

  void look_whether_quiet() {
    std::string why = checkers_.not_converged(clients_.idle());
    run_.statistics.checks[size_t(Check::kConvergence)]++;
    if (why.empty()) {
      run_.statistics.checks[size_t(Check::kProgress)]++;
      quiet_ = true;
      return;
    }
    if (run_.agenda.now_us() > deadline_us_) {
      if (!clients_.idle())
        run_.fail(Check::kProgress, clients_.busy_in_words() + " long after all was healed");
      else
        run_.fail(Check::kConvergence, "long after all was healed: " + why);
    }
    run_.agenda.after(100000, [this] { look_whether_quiet(); });
  }

  Run run_;
  Surroundings around_;
  std::vector<std::unique_ptr<Server>> owned_;
  std::vector<Server*> servers_;
  Checkers checkers_;
  Network network_;
  ConfigService config_;
  Clients clients_;
  bool quiet_ = false;
  uint64_t deadline_us_ = 0;
};

}  // namespace

void throw_on_failed_checks() {
  set_check_handler([](const std::string& what) { throw CheckFailed{what}; });
}

RunResult simulate(uint64_t seed, const RunOptions& options) {
  World world(seed, options);
  try {
    world.go();
  } catch (const CheckFailed& failed) {
    world.run().fail(Check::kCore, failed.words);
  }
  Run& run = world.run();
  RunResult result;
  result.seed = seed;
  result.trace_hash = run.trace.hash();
  result.statistics = run.statistics;
  result.statistics.runs = 1;
  result.statistics.events = run.agenda.done();
  result.statistics.simulated_us = run.agenda.now_us();
  result.failure = run.failure;
  if (run.failure) result.last_lines = run.trace.last_lines();
  return result;
}

}  // namespace shima::simulation
