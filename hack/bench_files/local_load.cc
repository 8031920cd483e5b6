#include "hack/bench_files/local_load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <random>
#include <thread>

namespace shima {
namespace {

Status failed(const std::string& what) {
  const int error = errno;
  return {Code::kInternal, what + ": " + strerror(error)};
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  const int number_;
};

// What one thread has of its own.
struct Worker {
  explicit Worker(const FileBenchOptions& options) : meter(options), random(std::random_device()()) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 4096, 1u << 20) == 0) buffer = static_cast<char*>(memory);
    if (buffer != nullptr) memcpy(buffer, bench_pattern().data(), 1u << 20);
  }
  ~Worker() { free(buffer); }

  CaseMeter meter;
  std::mt19937_64 random;
  char* buffer = nullptr;  // page-aligned, for O_DIRECT
  Status error;
};

class LocalBench {
 public:
  LocalBench(std::string folder, const FileBenchOptions& options)
      : folder_(std::move(folder)), options_(options) {}
  Status prepare();
  Status run(const FileCase& file_case);

 private:
  using Operation = std::function<bool(Worker&)>;  // false: errno says why
  Status measure(const FileCase& file_case, const Operation& operation);
  Status fill();
  Status make_listed();
  Status run_data(const FileCase& file_case);
  Status run_create(const FileCase& file_case);
  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  const std::string folder_;
  const FileBenchOptions& options_;
};

Status LocalBench::prepare() {
  if (mkdir(folder_.c_str(), 0755) != 0 && errno != EEXIST) return failed("mkdir " + folder_);
  return {};
}

Status LocalBench::measure(const FileCase& file_case, const Operation& operation) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint32_t i = 0; i < file_case.depth; i++) workers.push_back(std::make_unique<Worker>(options_));
  std::atomic<bool> failing{false};
  auto work = [&](Worker& worker) {
    uint64_t now_us = monotonic_us();
    while (!worker.meter.over(now_us) && !failing) {
      const uint64_t started_us = now_us;
      if (!operation(worker)) {
        worker.error = failed("a system call");
        failing = true;
        return;
      }
      now_us = monotonic_us();
      worker.meter.record(started_us, now_us);
    }
  };
  std::vector<std::thread> threads;
  for (auto& worker : workers) threads.emplace_back(work, std::ref(*worker));
  CaseMeter& all = workers[0]->meter;
  usleep(static_cast<useconds_t>(options_.warm_up_seconds * 1e6));
  all.read_cpu();
  for (auto& thread : threads) thread.join();
  all.read_cpu();
  for (auto& worker : workers) {
    if (!worker->error.is_ok()) return worker->error;
    if (worker != workers[0]) all.merge(worker->meter);
  }
  all.print(file_case);
  return {};
}

Status LocalBench::fill() {
  Descriptor file(open(path("data").c_str(), O_RDWR | O_CREAT, 0644));
  struct stat status {};
  if (file.number() < 0 || fstat(file.number(), &status) != 0) return failed("open " + path("data"));
  if (static_cast<uint64_t>(status.st_size) >= options_.span_bytes) return {};
  for (uint64_t offset = 0; offset < options_.span_bytes; offset += 1u << 20) {
    if (pwrite(file.number(), bench_pattern().data(), 1u << 20, static_cast<off_t>(offset)) != 1 << 20)
      return failed("pwrite");
  }
  return fsync(file.number()) == 0 ? Status() : failed("fsync");
}

Status LocalBench::run_data(const FileCase& file_case) {
  SHIMA_RETURN_IF_ERROR(fill());
  const bool write = file_case.kind == FileCase::Kind::kWrite, sequential = file_case.size >= (1u << 20);
  const int flags = write ? O_RDWR | O_SYNC : O_RDONLY;
  const int direct = open(path("data").c_str(), flags | O_DIRECT);
  Descriptor file(direct >= 0 ? direct : open(path("data").c_str(), flags));
  if (file.number() < 0) return failed("open " + path("data"));
  const uint64_t places = options_.span_bytes / file_case.size;
  std::atomic<uint64_t> next{0};
  return measure(file_case, [&](Worker& worker) {
    const auto offset = static_cast<off_t>((sequential ? next++ : worker.random()) % places * file_case.size);
    const ssize_t count = write ? pwrite(file.number(), worker.buffer, file_case.size, offset)
                                : pread(file.number(), worker.buffer, file_case.size, offset);
    return count == static_cast<ssize_t>(file_case.size);
  });
}

// Durable when it is done, as an NFS server's CREATE is: the folder is synced after each.
Status LocalBench::run_create(const FileCase& file_case) {
  const std::string folder = path("create-" + std::to_string(getpid()));
  if (mkdir(folder.c_str(), 0755) != 0) return failed("mkdir " + folder);
  Descriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY));
  std::atomic<uint64_t> number{0};
  const Status status = measure(file_case, [&](Worker&) {
    const std::string name = "file-" + std::to_string(number++);
    Descriptor file(openat(opened.number(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644));
    return file.number() >= 0 && fsync(opened.number()) == 0;
  });
  for (uint64_t i = 0; i < number; i++) unlinkat(opened.number(), ("file-" + std::to_string(i)).c_str(), 0);
  if (rmdir(folder.c_str()) != 0 && status.is_ok()) return failed("rmdir " + folder);
  return status;
}

Status LocalBench::make_listed() {
  const std::string folder = path("listed");
  if (mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return failed("mkdir " + folder);
  for (uint32_t i = 0; i < kListedFiles; i++) {
    Descriptor file(open((folder + "/file-" + std::to_string(i)).c_str(), O_CREAT | O_WRONLY, 0644));
    if (file.number() < 0) return failed("open of a file in " + folder);
  }
  return {};
}

// As `ls -l` without its output.
bool list(const std::string& folder) {
  DIR* opened = opendir(folder.c_str());
  if (opened == nullptr) return false;
  uint32_t entries = 0;
  struct stat status {};
  while (dirent* entry = readdir(opened)) {
    if (fstatat(dirfd(opened), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0) entries++;
  }
  closedir(opened);
  errno = EBADMSG;
  return entries == kListedFiles + 2;
}

Status LocalBench::run(const FileCase& file_case) {
  const std::string listed = path("listed");
  switch (file_case.kind) {
    case FileCase::Kind::kWrite:
    case FileCase::Kind::kRead:
      return run_data(file_case);
    case FileCase::Kind::kCreate:
      return run_create(file_case);
    case FileCase::Kind::kStat:
      SHIMA_RETURN_IF_ERROR(make_listed());
      return measure(file_case, [&](Worker& worker) {
        struct stat status {};
        return stat((listed + "/file-" + std::to_string(worker.random() % kListedFiles)).c_str(), &status) ==
               0;
      });
    case FileCase::Kind::kList:
      SHIMA_RETURN_IF_ERROR(make_listed());
      return measure(file_case, [&](Worker&) { return list(listed); });
  }
  return {};
}

}  // namespace

Status run_local_cases(const std::string& directory, const std::vector<FileCase>& cases,
                       const FileBenchOptions& options) {
  LocalBench bench(directory + "/shima-bench", options);
  SHIMA_RETURN_IF_ERROR(bench.prepare());
  for (const FileCase& file_case : cases) {
    const Status status = bench.run(file_case);
    if (!status.is_ok()) return status.with_context(file_case.name);
  }
  return {};
}

}  // namespace shima
