#include "common/etcd/etcd_channels.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace shima {
namespace {

constexpr uint64_t kAvoidMs = 5000;  // an endpoint that failed is not preferred for at least so long
constexpr uint64_t kRoundPauseMs = 100;
constexpr uint64_t kConnectSliceMs = 100;

std::chrono::system_clock::time_point in_ms(uint64_t ms) {
  return std::chrono::system_clock::now() + std::chrono::milliseconds(ms);
}

grpc::ChannelArguments channel_arguments() {
  grpc::ChannelArguments args;
  // etcd closes connections that ping more often than every 5 s.
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetMaxReceiveMessageSize(-1);
  return args;
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

std::string describe(const grpc::Status& status) {
  return status.error_message().empty() ? "no reason given" : status.error_message();
}

}  // namespace

uint64_t boot_clock_ms() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1000 + static_cast<uint64_t>(t.tv_nsec) / 1000000;
}

CallOutcome classify(const grpc::Status& status) {
  const std::string& text = status.error_message();
  switch (status.error_code()) {
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::ALREADY_EXISTS:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::FAILED_PRECONDITION:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNIMPLEMENTED:
      return CallOutcome::kRefused;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return contains(text, "database space exceeded") ? CallOutcome::kRefused : CallOutcome::kNotDone;
    case grpc::StatusCode::UNAVAILABLE:
      // etcd refuses before it proposes when it knows of no leader; gRPC says when nothing was ever sent.
      if (contains(text, "no leader") || contains(text, "failed to connect to all addresses")) {
        return CallOutcome::kNotDone;
      }
      return CallOutcome::kUnknown;
    default:
      return CallOutcome::kUnknown;
  }
}

Code code_of_refusal(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case grpc::StatusCode::ALREADY_EXISTS:
      return Code::kAlreadyExists;
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::UNAUTHENTICATED:
      return Code::kPermissionDenied;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Code::kNoSpace;
    case grpc::StatusCode::FAILED_PRECONDITION:
      return Code::kFailedPrecondition;
    default:
      return Code::kInvalidArgument;
  }
}

EtcdChannels::EtcdChannels(const std::vector<std::string>& targets, const EtcdOptions& options)
    : options_(options) {
  for (const std::string& target : targets) {
    auto c = std::make_unique<EtcdChannel>();
    c->name = target;
    c->channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), channel_arguments());
    c->kv = etcdserverpb::KV::NewStub(c->channel);
    c->watch = etcdserverpb::Watch::NewStub(c->channel);
    c->lease = etcdserverpb::Lease::NewStub(c->channel);
    c->cluster = etcdserverpb::Cluster::NewStub(c->channel);
    channels_.push_back(std::move(c));
  }
}

std::vector<EtcdChannel*> EtcdChannels::in_order() {
  std::vector<EtcdChannel*> good, avoided;
  for (auto& c : channels_) {
    uint64_t until = c->avoid_until_ms;
    // Back in good standing only once it is connected: nobody waits for the preferred one while it is down.
    if (until != 0 && boot_clock_ms() >= until && c->channel->GetState(true) == GRPC_CHANNEL_READY) {
      c->avoid_until_ms = until = 0;
    }
    (until == 0 ? good : avoided).push_back(c.get());
  }
  good.insert(good.end(), avoided.begin(), avoided.end());
  return good;
}

void EtcdChannels::mark_failed(EtcdChannel& channel) { channel.avoid_until_ms = boot_clock_ms() + kAvoidMs; }

bool EtcdChannels::wait_connected(EtcdChannel& channel, uint64_t until_ms,
                                  const std::atomic<bool>* cancelled) {
  for (;;) {
    uint64_t now = boot_clock_ms();
    if (now >= until_ms || (cancelled && *cancelled)) return false;
    if (channel.channel->WaitForConnected(in_ms(std::min(kConnectSliceMs, until_ms - now)))) return true;
    // A refused connection is known at once; a later round asks again.
    if (channel.channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE) return false;
  }
}

Status EtcdChannels::attempt(Repeat repeat, const std::string& what, uint32_t timeout_ms, const Call& call,
                             const std::atomic<bool>* cancelled) {
  const uint64_t deadline = boot_clock_ms() + timeout_ms;
  std::vector<std::pair<std::string, std::string>> failures;  // endpoint, its last error
  auto note = [&](const EtcdChannel& c, std::string why) {
    for (auto& f : failures) {
      if (f.first == c.name) return void(f.second = std::move(why));
    }
    failures.emplace_back(c.name, std::move(why));
  };
  auto all_failures = [&] {
    std::string text;
    for (auto& f : failures) text += (text.empty() ? "" : "; ") + f.first + ": " + f.second;
    return text;
  };
  while (boot_clock_ms() < deadline && !(cancelled && *cancelled)) {
    auto order = in_order();
    for (EtcdChannel* c : order) {
      uint64_t now = boot_clock_ms();
      if (now >= deadline) break;
      if (!wait_connected(*c, std::min<uint64_t>(deadline, now + options_.connect_timeout_ms), cancelled)) {
        mark_failed(*c);
        note(*c, "no connection");
        continue;
      }
      now = std::min(boot_clock_ms(), deadline - 1);
      uint64_t budget = deadline - now;
      if (repeat == Repeat::kHarmless && order.size() > 1) {
        budget = std::min<uint64_t>(budget, options_.attempt_timeout_ms);
      }
      grpc::ClientContext context;
      context.set_deadline(in_ms(budget));
      grpc::Status status = call(*c, context);
      if (status.ok()) {
        mark_worked(*c);
        return Status::ok();
      }
      CallOutcome outcome = classify(status);
      if (outcome == CallOutcome::kRefused) {
        return {code_of_refusal(status), "etcd at " + c->name + " refused " + what + ": " + describe(status)};
      }
      mark_failed(*c);
      note(*c, describe(status));
      if (outcome == CallOutcome::kUnknown && repeat == Repeat::kHarmful) {
        return {Code::kDeadlineExceeded, "etcd did not say whether it did " + what + " (" + all_failures() +
                                             "); it may have; read before deciding again"};
      }
    }
    uint64_t now = boot_clock_ms();
    if (now < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min(kRoundPauseMs, deadline - now)));
  }
  return {Code::kUnavailable, "etcd did not serve " + what + " within " + std::to_string(timeout_ms) +
                                  " ms (" + all_failures() +
                                  "); check that it runs, that a majority of its members is up, and " +
                                  "that the configured endpoints are its addresses"};
}

std::string end_of_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');  // etcd: to the last key
  prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

EtcdKeyValue to_key_value(const etcdserverpb::KeyValue& kv) {
  return {kv.key(), kv.value(), EtcdRevision(kv.mod_revision()), EtcdLease(kv.lease())};
}

}  // namespace shima
