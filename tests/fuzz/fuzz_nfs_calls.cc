// The arguments of every procedure of NFS, MOUNT and the portmapper, through the real dispatcher, over a
// small volume in memory. Each call must be answered exactly once, by a well-formed reply.
//
// Input: calls, each: procedure (0 to 21 NFS, 22 to 27 MOUNT 3, 28 to 33 MOUNT 1, 34 to 38 portmapper),
// length of the arguments (2 bytes, big-endian), arguments.
#include <deque>

#include "accessserver/nfs/mount_program.h"
#include "accessserver/nfs/nfs3_program.h"
#include "accessserver/nfs/portmap_program.h"
#include "tests/unit/accessserver/nfs/fake_file_system.h"

namespace shima {
namespace {

class CheckingSink final : public RpcReplySink {
 public:
  void charge(size_t bytes) override { charged += bytes; }
  void finish(RpcReply reply, size_t released, std::shared_ptr<void>) override {
    answers++;
    charged -= released;
    std::string bytes(reinterpret_cast<const char*>(reply.head.data()), reply.head_size);
    bytes += reply.body.flat();
    SHIMA_CHECK(bytes.size() == reply.size() && bytes.size() % 4 == 0, "a reply of the wrong size");
    XdrReader in(Buffer::copy_of(bytes));
    SHIMA_CHECK(in.u32() == (1u << 31 | static_cast<uint32_t>(bytes.size() - 4)), "the mark is wrong");
    SHIMA_CHECK(in.u32() == xid && in.u32() == 1 && in.u32() == 0, "not an accepted reply to this call");
    in.u64();
    SHIMA_CHECK(in.u32() != static_cast<uint32_t>(RpcAcceptStatus::kSystemError), "a call was lost");
    SHIMA_CHECK(in.good(), "a reply without a status");
  }
  size_t charged = 0;
  int answers = 0;
  uint32_t xid = 0;
};

class Server {
 public:
  Server() {
    auto post = [this](Task task) { posted_.push_back(std::move(task)); };
    auto volume = std::make_shared<FakeFileSystem>(1, "v", post);
    volume->set_max_file_bytes(64 << 10);
    exports_.add(std::move(volume));
    exports_.add(std::make_shared<FakeFileSystem>(2, "w", post), false);
    programs_.add(std::make_unique<Nfs3Program>(exports_, nfs_counters_));
    programs_.add(std::make_unique<MountProgram>(3, exports_, mounts_, mount_counters_));
    programs_.add(std::make_unique<MountProgram>(1, exports_, mounts_, mount_counters_));
    std::vector<PortmapProgram::Mapping> mappings = {{kNfsProgram, 3}};
    programs_.add(std::make_unique<PortmapProgram>(std::move(mappings), 2049));
  }

  void call(uint8_t selector, std::span<const uint8_t> arguments) {
    constexpr std::array<std::array<uint32_t, 3>, 4> kPrograms = {
        {{kNfsProgram, 3, 22}, {kMountProgram, 3, 6}, {kMountProgram, 1, 6}, {kPortmapProgram, 2, 5}}};
    uint32_t procedure = selector % 39;
    size_t program = 0;
    while (procedure >= kPrograms[program][2]) procedure -= kPrograms[program++][2];
    XdrWriter out;
    sink_->xid++;
    for (uint32_t word : {sink_->xid, 0u, 2u, kPrograms[program][0], kPrograms[program][1], procedure})
      out.u32(word);
    for (int i = 0; i < 4; i++) out.u32(0);  // AUTH_NONE twice
    std::string record = out.flat();
    record.append(reinterpret_cast<const char*>(arguments.data()), arguments.size());
    int before = sink_->answers;
    Status begun = programs_.dispatch(Buffer::copy_of(record), client_, sink_, 0);
    SHIMA_CHECK(begun.is_ok(), "a call was not taken for one");
    for (; !posted_.empty(); posted_.pop_front()) posted_.front()();
    SHIMA_CHECK(sink_->answers == before + 1, "a call was not answered exactly once");
    SHIMA_CHECK(sink_->charged == 0, "what was charged was not given back");
  }

 private:
  std::deque<Task> posted_;
  FakeExports exports_;
  Nfs3Counters nfs_counters_;
  MountCounters mount_counters_;
  MountList mounts_;
  RpcPrograms programs_{16};
  std::shared_ptr<const std::string> client_ = std::make_shared<std::string>("10.0.0.1");
  std::shared_ptr<CheckingSink> sink_ = std::make_shared<CheckingSink>();
};

}  // namespace
}  // namespace shima

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::span<const uint8_t> input(data, size);
  shima::Server server;
  for (int calls = 0; input.size() >= 3 && calls < 32; calls++) {
    size_t length = std::min<size_t>(size_t{input[1]} << 8 | input[2], input.size() - 3);
    server.call(input[0], input.subspan(3, length));
    input = input.subspan(3 + length);
  }
  return 0;
}
