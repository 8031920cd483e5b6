// shima-wanem: a small wide-area network emulator in user space, for kernels without netem.
//
// It owns one TUN device a site (each in that site's network namespace, made with
// `ip tuntap add NAME mode tun`) and routes IPv4 packets between them, adding one-way
// delay, jitter, random loss and a rate limit with a finite queue to each directed link.
// hack/devcluster starts it. One thread; nothing on disk.
//
//   shima-wanem -s NAME:NETNS:TUN:PREFIX/LEN ...   a site: its namespace, TUN device, addresses
//         [-d MS] [-r MBIT] [-l PERCENT] [-j MS] [-q KB]    defaults of every link
//         [-c SOCKET] [-g]                   control socket (unix datagram); -g comes before -s
// Options: -d one-way delay in ms (float), -r rate in Mbit/s (0 = none), -l loss in percent,
//          -j uniform jitter in ms (order is kept), -q drop-tail queue in KiB (default 16384),
//          -g let TCP hand over segments of up to 64 KiB: several times the throughput, but loss
//          and queueing then act on whole segments, so leave it off in tests of loss.
// Control messages, one a datagram; a sender whose socket has a name gets "ok", "error: ..." or the counters
// back:
//   link A B delay=9 rate=100 loss=0.1 jitter=1 queue=1024   one direction, A to B
//   both A B delay=9 ...                                     both directions
//   all delay=9 ...                                          every link
//   cut A B | cut A        drop everything between A and B, or between A and every other site
//   heal A B | heal A      undo it
//   stats                  counters of every link, one a line
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace shima::wan {
namespace {

constexpr size_t kVirtioHeader = 10;  // sizeof(virtio_net_hdr), whose C header is not C++
constexpr size_t kMaxPacket = 65536 + kVirtioHeader;
constexpr size_t kIpv4Header = 20;
constexpr int kBatch = 64;  // packets taken from one device before the others get a turn
constexpr size_t kReuseFrom =
    4096;  // smaller buffers are not worth keeping, larger ones would hold tiny packets
constexpr size_t kSpareBuffers = 1024;

struct Packet {
  int64_t due_ns;  // CLOCK_MONOTONIC
  std::vector<uint8_t> data;
};

// One direction between two sites.
struct Link {
  double delay_ms = 0, rate_mbit = 0, loss_pct = 0, jitter_ms = 0, queue_kib = 16384;
  bool cut = false;
  int64_t free_at_ns = 0;   // when the transmitter has sent all that it was given
  int64_t last_due_ns = 0;  // keeps the order under jitter
  std::deque<Packet> flying;
  uint64_t sent = 0, bytes = 0, lost = 0, overflowed = 0, dropped_cut = 0;
};

struct Site {
  std::string name;
  int fd = -1;
  uint32_t net = 0, mask = 0;
};

volatile sig_atomic_t stopping = 0;

[[noreturn]] void die(const std::string& what) {
  fprintf(stderr, "shima-wanem: %s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

int64_t now_ns() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// Opens the TUN device `dev` of the namespace `netns`; the process itself stays in its own namespace.
int open_tun(const std::string& netns, const std::string& dev, bool offload) {
  static const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int ns = open(("/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0 || setns(ns, CLONE_NEWNET) != 0) die("namespace " + netns);
  close(ns);
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = static_cast<short>(IFF_TUN | IFF_NO_PI | (offload ? IFF_VNET_HDR : 0));
  strncpy(request.ifr_name, dev.c_str(), IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0) die("tun " + dev);
  if (ioctl(fd, TUNSETOFFLOAD, offload ? TUN_F_CSUM | TUN_F_TSO4 : 0) != 0) die("offload " + dev);
  if (setns(home, CLONE_NEWNET) != 0) die("setns back");
  return fd;
}

class Emulator {
 public:
  void enable_offload() { header_ = kVirtioHeader; }
  void add_site(const std::string& spec);
  void join_sites(const Link& defaults) {
    links_.assign(sites_.size(), std::vector<Link>(sites_.size(), defaults));
  }
  void listen(const std::string& path);
  void run();
  std::string counters() const;

 private:
  int site_index(const std::string& name) const;
  std::string control(const std::string& line);
  std::string set_cut(size_t site, int other, bool cut);
  std::string set_options(const std::vector<Link*>& links, std::istringstream& options);
  void answer_control();
  void accept_packet(size_t from, const uint8_t* frame, size_t size, int64_t now);
  void read_device(size_t site, int64_t now);
  int64_t deliver(int64_t now);
  void launch(Link& link, const uint8_t* frame, size_t size, int64_t start);

  std::vector<Site> sites_;
  std::vector<std::vector<Link>> links_;     // [from][to]
  std::vector<std::vector<uint8_t>> spare_;  // packet buffers to use again
  std::vector<uint8_t> buffer_ = std::vector<uint8_t>(kMaxPacket);
  std::mt19937_64 random_{1};
  std::uniform_real_distribution<double> unit_{0, 1};
  size_t header_ = 0;  // bytes of virtio_net_hdr ahead of each packet: 0 without offload
  int control_fd_ = -1;
};

int Emulator::site_index(const std::string& name) const {
  for (size_t i = 0; i < sites_.size(); i++) {
    if (sites_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

void Emulator::add_site(const std::string& spec) {  // NAME:NETNS:TUN:PREFIX/LEN
  std::istringstream in(spec);
  std::string name, netns, dev, prefix;
  errno = EINVAL;
  if (!getline(in, name, ':') || !getline(in, netns, ':') || !getline(in, dev, ':') || !getline(in, prefix)) {
    die("site " + spec + " is not NAME:NETNS:TUN:PREFIX/LEN");
  }
  size_t slash = prefix.find('/');
  int length = slash == std::string::npos ? 32 : atoi(prefix.c_str() + slash + 1);
  in_addr address{};
  if (inet_pton(AF_INET, prefix.substr(0, slash).c_str(), &address) != 1 || length < 1 || length > 32) {
    die("prefix " + prefix);
  }
  Site site;
  site.name = name;
  site.mask = 0xffffffffu << (32 - length);
  site.net = ntohl(address.s_addr) & site.mask;
  site.fd = open_tun(netns, dev, header_ != 0);
  sites_.push_back(site);
}

std::string Emulator::counters() const {
  std::ostringstream out;
  for (size_t a = 0; a < sites_.size(); a++) {
    for (size_t b = 0; b < sites_.size(); b++) {
      if (a == b) continue;
      const Link& l = links_[a][b];
      out << sites_[a].name << ">" << sites_[b].name << " sent=" << l.sent << " bytes=" << l.bytes
          << " lost=" << l.lost << " overflow=" << l.overflowed << " cut=" << l.dropped_cut
          << " flying=" << l.flying.size() << (l.cut ? " CUT" : "") << "\n";
    }
  }
  return out.str();
}

std::string Emulator::set_cut(size_t site, int other, bool cut) {
  for (size_t k = 0; k < sites_.size(); k++) {
    if (k == site || (other >= 0 && k != static_cast<size_t>(other))) continue;
    for (Link* link : {&links_[site][k], &links_[k][site]}) {
      link->cut = cut;
      if (!cut) continue;
      link->dropped_cut += link->flying.size();  // what is on the wire is lost too
      link->flying.clear();
    }
  }
  return "ok";
}

std::string Emulator::set_options(const std::vector<Link*>& links, std::istringstream& options) {
  std::string word;
  while (options >> word) {
    size_t equals = word.find('=');
    if (equals == std::string::npos) return "error: " + word + " is not KEY=NUMBER";
    std::string key = word.substr(0, equals);
    double value = atof(word.c_str() + equals + 1);
    for (Link* link : links) {
      if (key == "delay")
        link->delay_ms = value;
      else if (key == "rate")
        link->rate_mbit = value;
      else if (key == "loss")
        link->loss_pct = value;
      else if (key == "jitter")
        link->jitter_ms = value;
      else if (key == "queue")
        link->queue_kib = value;
      else
        return "error: unknown option " + key + "; known are delay, rate, loss, jitter and queue";
    }
  }
  return "ok";
}

std::string Emulator::control(const std::string& line) {
  std::istringstream in(line);
  std::string verb, first, second;
  in >> verb;
  if (verb == "stats") return counters();
  std::vector<Link*> chosen;
  if (verb == "all") {
    for (auto& row : links_) {
      for (Link& link : row) chosen.push_back(&link);
    }
    return set_options(chosen, in);
  }
  in >> first >> second;
  int a = site_index(first), b = site_index(second);
  if (a < 0) return "error: no site '" + first + "' in: " + line;
  if (b < 0 && !second.empty()) return "error: no site '" + second + "' in: " + line;
  if (verb == "cut" || verb == "heal") return set_cut(static_cast<size_t>(a), b, verb == "cut");
  if (verb != "link" && verb != "both") return "error: unknown command: " + line;
  if (b < 0) return "error: " + verb + " takes two sites";
  chosen.push_back(&links_[a][b]);
  if (verb == "both") chosen.push_back(&links_[b][a]);
  return set_options(chosen, in);
}

void Emulator::listen(const std::string& path) {
  control_fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  unlink(path.c_str());
  if (control_fd_ < 0 || bind(control_fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    die("control socket " + path);
  }
}

void Emulator::answer_control() {
  sockaddr_un sender{};
  socklen_t length = sizeof sender;
  ssize_t n =
      recvfrom(control_fd_, buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&sender), &length);
  if (n <= 0) return;
  std::string line(buffer_.begin(), buffer_.begin() + n);
  std::string reply = control(line);
  if (length > sizeof(sa_family_t)) {
    sendto(control_fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&sender), length);
  } else if (reply != "ok") {
    fprintf(stderr, "shima-wanem: %s\n", reply.c_str());
  }
}

void Emulator::launch(Link& link, const uint8_t* frame, size_t size, int64_t start) {
  int64_t due = start + static_cast<int64_t>((link.delay_ms + link.jitter_ms * unit_(random_)) * 1e6);
  if (due < link.last_due_ns) due = link.last_due_ns;
  link.last_due_ns = due;
  Packet packet{due, {}};
  if (size >= kReuseFrom && !spare_.empty()) {
    packet.data = std::move(spare_.back());
    spare_.pop_back();
  }
  packet.data.assign(frame, frame + size);
  link.flying.push_back(std::move(packet));
}

// Takes one packet in from site `from`: finds its link, applies loss, queue, rate and delay.
void Emulator::accept_packet(size_t from, const uint8_t* frame, size_t size, int64_t now) {
  const uint8_t* ip = frame + header_;  // the virtio header, if any, travels with the packet unread
  if (size < header_ + kIpv4Header || (ip[0] >> 4) != 4) return;
  uint32_t target = (uint32_t{ip[16]} << 24) | (uint32_t{ip[17]} << 16) | (uint32_t{ip[18]} << 8) | ip[19];
  size_t to = 0;
  while (to < sites_.size() && (to == from || (target & sites_[to].mask) != sites_[to].net)) to++;
  if (to == sites_.size()) return;
  Link& link = links_[from][to];
  if (link.cut) {
    link.dropped_cut++;
    return;
  }
  if (link.loss_pct > 0 && unit_(random_) * 100 < link.loss_pct) {
    link.lost++;
    return;
  }
  int64_t start = now;
  if (link.rate_mbit > 0) {
    int64_t waiting_ns = link.free_at_ns > now ? link.free_at_ns - now : 0;
    if (static_cast<double>(waiting_ns) * link.rate_mbit / 8000.0 > link.queue_kib * 1024) {
      link.overflowed++;
      return;
    }
    double wire_ns = static_cast<double>(size - header_) * 8000.0 / link.rate_mbit;
    link.free_at_ns = now + waiting_ns + static_cast<int64_t>(wire_ns);
    start = link.free_at_ns;
  }
  launch(link, frame, size, start);
}

// Delivers all that is due; returns when the next packet is (or -1).
int64_t Emulator::deliver(int64_t now) {
  int64_t next = -1;
  for (auto& row : links_) {
    for (size_t to = 0; to < row.size(); to++) {
      Link& link = row[to];
      while (!link.flying.empty() && link.flying.front().due_ns <= now) {
        Packet& packet = link.flying.front();
        if (write(sites_[to].fd, packet.data.data(), packet.data.size()) < 0) link.lost++;
        link.sent++;
        link.bytes += packet.data.size() - header_;
        if (packet.data.capacity() >= kReuseFrom && spare_.size() < kSpareBuffers)
          spare_.push_back(std::move(packet.data));
        link.flying.pop_front();
      }
      if (!link.flying.empty() && (next < 0 || link.flying.front().due_ns < next))
        next = link.flying.front().due_ns;
    }
  }
  return next;
}

void Emulator::read_device(size_t site, int64_t now) {
  for (int k = 0; k < kBatch; k++) {
    ssize_t n = read(sites_[site].fd, buffer_.data(), buffer_.size());
    if (n <= 0) break;
    accept_packet(site, buffer_.data(), static_cast<size_t>(n), now);
  }
}

void Emulator::run() {
  std::vector<pollfd> fds;
  for (const Site& site : sites_) fds.push_back({site.fd, POLLIN, 0});
  if (control_fd_ >= 0) fds.push_back({control_fd_, POLLIN, 0});
  while (stopping == 0) {
    int64_t now = now_ns();
    int64_t next = deliver(now);
    timespec wait{}, *timeout = nullptr;
    if (next >= 0) {
      int64_t left = next > now ? next - now : 0;
      wait = {left / 1000000000, left % 1000000000};
      timeout = &wait;
    }
    if (ppoll(fds.data(), fds.size(), timeout, nullptr) <= 0) continue;
    now = now_ns();
    for (size_t i = 0; i < sites_.size(); i++) {
      if ((fds[i].revents & POLLIN) != 0) read_device(i, now);
    }
    if (control_fd_ >= 0 && (fds.back().revents & POLLIN) != 0) answer_control();
  }
}

int run_program(int argc, char** argv) {
  Emulator emulator;
  Link defaults;
  std::string control_path;
  for (int c; (c = getopt(argc, argv, "gs:d:r:l:j:q:c:")) != -1;) {
    switch (c) {
      case 'g':
        emulator.enable_offload();
        break;
      case 's':
        emulator.add_site(optarg);
        break;
      case 'd':
        defaults.delay_ms = atof(optarg);
        break;
      case 'r':
        defaults.rate_mbit = atof(optarg);
        break;
      case 'l':
        defaults.loss_pct = atof(optarg);
        break;
      case 'j':
        defaults.jitter_ms = atof(optarg);
        break;
      case 'q':
        defaults.queue_kib = atof(optarg);
        break;
      case 'c':
        control_path = optarg;
        break;
      default:
        fprintf(stderr, "usage: see the head of hack/wan-emulator/wanem.cc\n");
        return 2;
    }
  }
  emulator.join_sites(defaults);
  if (!control_path.empty()) emulator.listen(control_path);
  for (int s : {SIGTERM, SIGINT}) {
    signal(s, [](int) { stopping = 1; });
  }
  prctl(PR_SET_TIMERSLACK, 1000UL);  // wake within 1 us of the time asked for, instead of 50
  emulator.run();
  fputs(emulator.counters().c_str(), stderr);
  return 0;
}

}  // namespace
}  // namespace shima::wan

int main(int argc, char** argv) { return shima::wan::run_program(argc, argv); }
