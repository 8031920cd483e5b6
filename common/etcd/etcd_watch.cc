#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/etcd/etcd_channels.h"

namespace shima {
namespace {

constexpr uint32_t kFirstPauseMs = 100;
constexpr uint32_t kLastPauseMs = 1000;

using Stream = grpc::ClientReaderWriter<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>;

class Watch : public EtcdWatch {
 public:
  Watch(EtcdChannels& channels, std::string prefix, EtcdRevision from, EtcdClient::OnWatch on_batch)
      : channels_(channels), prefix_(std::move(prefix)), next_(from), on_batch_(std::move(on_batch)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Watch() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      if (context_) context_->TryCancel();
    }
    wake_.notify_all();
    thread_.join();
  }
  // The clock is read last: it must not be before what was heard in between.
  uint64_t silent_ms() const override {
    const uint64_t heard_ms = heard_ms_;
    return boot_clock_ms() - heard_ms;
  }

 private:
  void run() {
    uint32_t pause_ms = kFirstPauseMs;
    while (!stopping_) {
      bool heard = (next_.value != 0 || tell_full_list()) && follow();
      if (stopping_) return;
      pause_ms = heard ? kFirstPauseMs : std::min(pause_ms * 2, kLastPauseMs);
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(pause_ms), [this] { return stopping_.load(); });
    }
  }

  bool tell_full_list() {
    Result<EtcdRange> range = list_prefix(channels_, prefix_, EtcdRead::kLinearizable, &stopping_);
    if (!range || stopping_) return false;
    heard_ms_ = boot_clock_ms();
    tell_full_list(*range);
    return true;
  }
  void tell_full_list(EtcdRange& range) {
    EtcdWatchBatch batch{EtcdWatchBatch::Kind::kFullList, range.revision, {}};
    for (auto& item : range.items) batch.changes.push_back({false, std::move(item)});
    next_ = range.revision.next();
    on_batch_(batch);
  }

  // Follows one stream until it breaks; true if anything was heard on it.
  bool follow() {
    EtcdChannel* channel = connected_channel();
    if (!channel) return false;
    grpc::ClientContext context;
    context.AddMetadata("hasleader", "true");  // a member that is cut off from the others ends the stream
    {
      std::lock_guard lock(mutex_);
      if (stopping_) return false;
      context_ = &context;
    }
    auto stream = channel->watch->Watch(&context);
    bool heard = false;
    if (stream->Write(create_request())) {
      std::thread prober([&] { probe(*stream, context); });
      etcdserverpb::WatchResponse response;
      bool going_on = true;
      while (going_on && stream->Read(&response)) {
        heard = true;
        heard_ms_ = boot_clock_ms();
        going_on = !stopping_ && take(response);
      }
      {
        std::lock_guard lock(mutex_);
        stream_over_ = true;
      }
      wake_.notify_all();
      prober.join();
    }
    context.TryCancel();
    stream->Finish();
    std::lock_guard lock(mutex_);
    context_ = nullptr;
    stream_over_ = false;
    if (!stopping_)
      channels_.mark_failed(*channel);  // the next stream begins elsewhere, if there is an elsewhere
    return heard;
  }

  EtcdChannel* connected_channel() {
    for (EtcdChannel* c : channels_.in_order()) {
      if (channels_.wait_connected(*c, boot_clock_ms() + channels_.options().connect_timeout_ms, &stopping_))
        return c;
      channels_.mark_failed(*c);
    }
    return nullptr;
  }

  etcdserverpb::WatchRequest create_request() const {
    etcdserverpb::WatchRequest request;
    auto* create = request.mutable_create_request();
    create->set_key(prefix_);
    create->set_range_end(end_of_prefix(prefix_));
    create->set_start_revision(next_.value);
    create->set_progress_notify(true);
    return request;
  }

  // Asks for signs of life, and breaks the stream when there are none.
  void probe(Stream& stream, grpc::ClientContext& context) {
    const uint32_t silence_ms = channels_.options().watch_silence_ms;
    const uint64_t began_ms = boot_clock_ms();
    etcdserverpb::WatchRequest ask;
    ask.mutable_progress_request();
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        auto over = [this] { return stream_over_ || stopping_; };
        if (wake_.wait_for(lock, std::chrono::milliseconds(silence_ms / 4), over)) return;
      }
      const uint64_t since_ms = std::max(began_ms, heard_ms_.load());  // before the clock, as above
      if (boot_clock_ms() - since_ms >= silence_ms) return context.TryCancel();
      if (!stream.Write(ask)) return;
    }
  }

  // False: the stream is of no more use.
  bool take(const etcdserverpb::WatchResponse& response) {
    if (response.canceled()) {
      if (response.compact_revision() != 0) next_ = EtcdRevision();  // what we missed is gone: list anew
      return false;
    }
    if (response.created() && response.header().revision() < next_.value - 1) return check_store_went_back();
    EtcdWatchBatch batch;
    for (const auto& event : response.events()) {
      batch.changes.push_back({event.type() == etcdserverpb::Event::DELETE, to_key_value(event.kv())});
      next_ = std::max(next_, EtcdRevision(event.kv().mod_revision()).next());
    }
    // The revision that a progress answer bears is not used: etcd before 3.4.25 may send it ahead of older
    // events.
    batch.kind = batch.changes.empty() ? EtcdWatchBatch::Kind::kProgress : EtcdWatchBatch::Kind::kEvents;
    batch.revision = next_.prev();
    on_batch_(batch);
    return true;
  }

  // This member is behind what we have seen: it lags, or etcd was restored from an older copy.
  bool check_store_went_back() {
    Result<EtcdRange> range = list_prefix(channels_, prefix_, EtcdRead::kLinearizable, &stopping_);
    if (!range || stopping_) return false;
    if (range->revision.next() >= next_) return true;
    tell_full_list(*range);
    return false;
  }

  EtcdChannels& channels_;
  const std::string prefix_;
  EtcdRevision next_;  // first revision not yet told; 0: list first. Only the watch's thread uses it
  EtcdClient::OnWatch on_batch_;
  std::atomic<uint64_t> heard_ms_{boot_clock_ms()};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;  // guards the two below
  grpc::ClientContext* context_ = nullptr;
  bool stream_over_ = false;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<EtcdWatch> make_watch(EtcdChannels& channels, std::string prefix, EtcdRevision from,
                                      EtcdClient::OnWatch on_batch) {
  return std::make_unique<Watch>(channels, std::move(prefix), from, std::move(on_batch));
}

}  // namespace shima
