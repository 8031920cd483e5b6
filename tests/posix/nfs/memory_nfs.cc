#include "tests/posix/nfs/memory_nfs.h"

#include <mutex>
#include <utility>

#include "accessserver/fileops/file_system.h"
#include "accessserver/nfs/nfs_server.h"
#include "common/runtime/event_loop.h"

namespace shima {

namespace {

class OneVolume final : public Exports {
 public:
  explicit OneVolume(std::shared_ptr<FileSystem> volume) : volume_(std::move(volume)) {
    access_.allowed = true;
  }

  void by_name(const std::string& name, Done done) override {
    if (name == volume_->volume_name()) return done(volume_);
    done({Code::kNotFound, "there is no volume '" + name + "'"});
  }
  void by_id(uint64_t id, Done done) override {
    if (id == volume_->volume_id()) return done(volume_);
    done({Code::kNotFound, "there is no volume " + std::to_string(id)});
  }
  std::shared_ptr<FileSystem> open_now(uint64_t id) const override {
    return id == volume_->volume_id() ? volume_ : nullptr;
  }
  void list(std::function<void(Result<std::vector<std::string>>)> done) override {
    done(std::vector<std::string>{volume_->volume_name()});
  }
  Access access(const std::string&, const std::string&) const override {
    std::lock_guard lock(mutex_);
    return access_;
  }
  void set_access(const Access& access) {
    std::lock_guard lock(mutex_);
    access_ = access;
  }

 private:
  const std::shared_ptr<FileSystem> volume_;
  mutable std::mutex mutex_;
  Access access_;
};

class InThisProcess final : public MemoryNfs {
 public:
  explicit InThisProcess(const MemoryVolumeOptions& options) : volume_(options) { loop_.start(); }
  ~InThisProcess() override { nfs_.clear(); }  // before the exports

  Status add(size_t index, uint16_t port) {
    FileSystemOptions files;
    files.session_name = "memory/access-" + std::to_string(index);
    auto& exports = exports_.emplace_back(
        std::make_unique<OneVolume>(std::shared_ptr<FileSystem>(make_file_system(volume_, files))));
    NfsServerOptions options;
    options.address = "127.0.0.1";
    options.port = port;
    auto opened = NfsServer::open({&loop_}, options, *exports);
    if (!opened) return opened.status();
    names_.push_back("127.0.0.1:" + std::to_string((*opened)->port()));
    nfs_.push_back(std::move(*opened));
    return Status::ok();
  }

  const std::vector<std::string>& servers() const override { return names_; }
  void set_access(const Access& access) override {
    for (const auto& exports : exports_) exports->set_access(access);
  }
  MemoryVolume& volume() override { return volume_; }

 private:
  MemoryVolume volume_;
  EventLoop loop_{"nfs"};
  std::vector<std::unique_ptr<OneVolume>> exports_;
  std::vector<std::unique_ptr<NfsServer>> nfs_;
  std::vector<std::string> names_;
};

}  // namespace

Result<std::unique_ptr<MemoryNfs>> MemoryNfs::start(const MemoryNfsOptions& options) {
  auto started = std::make_unique<InThisProcess>(options.volume);
  for (size_t i = 0; i < options.servers; ++i) {
    SHIMA_RETURN_IF_ERROR(started->add(i, i < options.ports.size() ? options.ports[i] : 0));
  }
  return std::unique_ptr<MemoryNfs>(std::move(started));
}

}  // namespace shima
