#include "tests/simulation/batch.h"

#include <atomic>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

namespace shima::simulation {

namespace {

// Gathers results in order of seeds, whichever thread is done first.
class Gathering {
 public:
  explicit Gathering(const BatchOptions& options) : options_(options), next_(options.first_seed) {}

  bool take(uint64_t& seed) {
    std::lock_guard lock(mutex_);
    if (stop_ || taken_ == options_.runs) return false;
    seed = options_.first_seed + taken_++;
    return true;
  }
  void put(RunResult result, bool compared, bool same) {
    std::lock_guard lock(mutex_);
    if (result.failure) stop_ = true;  // lower seeds are all taken, and will be finished
    waiting_[result.seed] = {std::move(result), compared, same};
    for (auto it = waiting_.begin(); it != waiting_.end() && it->first == next_;
         it = waiting_.erase(it), next_++)
      add(it->second);
  }
  BatchResult result() { return std::move(result_); }

 private:
  struct Done {
    RunResult result;
    bool compared = false, same = true;
  };
  void add(Done& d) {
    if (result_.failed) return;
    result_.done++;
    result_.total.add(d.result.statistics);
    result_.trace_hash = (result_.trace_hash ^ d.result.trace_hash) * 0x9e3779b97f4a7c15ull;
    if (d.compared) result_.compared++;
    if (!d.same) result_.different.push_back(d.result.seed);
    if (d.result.failure) result_.failed = std::move(d.result);
  }

  const BatchOptions& options_;
  std::mutex mutex_;
  uint64_t next_, taken_ = 0;
  bool stop_ = false;
  std::map<uint64_t, Done> waiting_;
  BatchResult result_;
};

void work(const BatchOptions& options, Gathering& gathering) {
  uint64_t seed;
  while (gathering.take(seed)) {
    RunResult result = simulate(seed, options.run);
    bool twice = options.twice_every && seed % options.twice_every == 0;
    bool same = !twice || simulate(seed, options.run).trace_hash == result.trace_hash;
    gathering.put(std::move(result), twice, same);
  }
}

struct Floor {
  std::string_view name;
  uint64_t found, per_100_runs;
};

std::vector<Floor> floors(const Statistics& s) {
  auto fault = [&](Fault f, uint64_t n) { return Floor{kFaultNames[size_t(f)], s.faults[size_t(f)], n}; };
  auto happened = [&](Happened h, uint64_t n) {
    return Floor{kHappenedNames[size_t(h)], s.happened[size_t(h)], n};
  };
  auto check = [&](Check c, uint64_t n) { return Floor{kCheckNames[size_t(c)], s.checks[size_t(c)], n}; };
  std::vector<Floor> all;
  for (size_t i = 0; i < size_t(Fault::kCount); i++) all.push_back(fault(Fault(i), 10));
  for (size_t i = 0; i < size_t(Happened::kCount); i++) all.push_back(happened(Happened(i), 5));
  for (Check c :
       {Check::kAckDurable, Check::kAckedSurvives, Check::kTrim, Check::kRelease, Check::kCommittedOnly,
        Check::kOneExecution, Check::kAgreement, Check::kReadIsNewest, Check::kAckOrder, Check::kClaims}) {
    all.push_back(check(c, 500));
  }
  for (Check c : {Check::kWholeSet, Check::kInSyncSet, Check::kConvergence, Check::kProgress})
    all.push_back(check(c, 50));
  all.push_back(happened(Happened::kAcked, 5000));
  all.push_back(fault(Fault::kCrash, 50));
  return all;
}

template <size_t N>
void table_part(std::string& out, const char* title, const std::array<std::string_view, N>& names,
                const std::array<uint64_t, N>& counts) {
  out += std::string(title) + "\n";
  for (size_t i = 0; i < N; i++) {
    char line[80];
    snprintf(line, sizeof(line), "  %-32s %12llu\n", std::string(names[i]).c_str(),
             static_cast<unsigned long long>(counts[i]));
    out += line;
  }
}

template <size_t N>
void json_part(std::string& out, const char* title, const std::array<std::string_view, N>& names,
               const std::array<uint64_t, N>& counts) {
  out += std::string(",\"") + title + "\":{";
  for (size_t i = 0; i < N; i++)
    out += (i ? ",\"" : "\"") + std::string(names[i]) + "\":" + std::to_string(counts[i]);
  out += "}";
}

}  // namespace

BatchResult run_batch(const BatchOptions& options) {
  throw_on_failed_checks();
  Gathering gathering(options);
  unsigned threads = options.threads ? options.threads : std::max(1u, std::thread::hardware_concurrency());
  if (options.run.print_trace) threads = 1;
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; i++) others.emplace_back([&] { work(options, gathering); });
  work(options, gathering);
  for (std::thread& t : others) t.join();
  return gathering.result();
}

std::vector<std::string> missed_floors(const BatchResult& result) {
  std::vector<std::string> missed;
  for (const Floor& f : floors(result.total)) {
    uint64_t floor = f.per_100_runs * result.total.runs / 100;
    if (f.found >= floor) continue;
    missed.push_back(std::string(f.name) + ": " + std::to_string(f.found) + ", but at least " +
                     std::to_string(floor) + " are wanted");
  }
  return missed;
}

std::string as_table(const BatchResult& r) {
  std::string out;
  table_part(out, "what happened", kHappenedNames, r.total.happened);
  table_part(out, "faults", kFaultNames, r.total.faults);
  table_part(out, "checks", kCheckNames, r.total.checks);
  char line[200];
  snprintf(line, sizeof(line),
           "%llu runs, %.0f simulated seconds, %llu events, %llu runs done twice, trace hash %016llx\n",
           static_cast<unsigned long long>(r.total.runs), static_cast<double>(r.total.simulated_us) / 1e6,
           static_cast<unsigned long long>(r.total.events), static_cast<unsigned long long>(r.compared),
           static_cast<unsigned long long>(r.trace_hash));
  return out + line;
}

std::string as_json(const BatchResult& r) {
  char hash[20];
  snprintf(hash, sizeof(hash), "%016llx", static_cast<unsigned long long>(r.trace_hash));
  std::string out = "{\"runs\":" + std::to_string(r.total.runs) +
                    ",\"simulated_us\":" + std::to_string(r.total.simulated_us) +
                    ",\"events\":" + std::to_string(r.total.events) +
                    ",\"compared\":" + std::to_string(r.compared) + ",\"trace_hash\":\"" + hash + "\"";
  json_part(out, "happened", kHappenedNames, r.total.happened);
  json_part(out, "faults", kFaultNames, r.total.faults);
  json_part(out, "checks", kCheckNames, r.total.checks);
  out += ",\"failed_seed\":" + (r.failed ? std::to_string(r.failed->seed) : "null");
  out += ",\"failed_check\":" +
         (r.failed ? "\"" + std::string(kCheckNames[size_t(r.failed->failure->check)]) + "\"" : "null");
  return out + "}\n";
}

}  // namespace shima::simulation
