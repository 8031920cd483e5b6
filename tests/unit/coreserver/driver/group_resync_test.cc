// How the driver sends a group's state to a remote, and how a remote takes it: with real disks and
// connections.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/unit/coreserver/driver/driven_group.h"

namespace shima {
namespace {

using namespace replication;

const Position kEnd{Term(1), Sequence(10)};

// ---- at the remote ----

class ResyncAtRemote : public testing::Test {
 protected:
  ResyncAtRemote() { remote_.start(); }

  std::shared_ptr<RecordedConnection> connection() {
    return std::make_shared<RecordedConnection>(remote_.shard().loop());
  }
  void hello(uint64_t round, const ConnectionPtr& via, Term term = Term(2)) {
    remote_.receive(Hello{term, round, kEnd, kEnd.sequence, {{Term(1), Sequence(1)}}}, via);
  }
  void begin(uint64_t round) { remote_.receive(ResyncBegin{Term(2), round}, via_); }
  void end(uint64_t round, const std::string& window = RequestWindow().save(kEnd.sequence),
           uint32_t protocol = kDataProtocols.max) {
    for (const Frame& f : frames_of(kTestGroup, ResyncEnd{Term(2), round, kEnd, window}, protocol))
      remote_.receive(f, via_);
  }
  void piece(uint64_t round, uint64_t block, uint64_t sent_bytes = 0) {
    const RecordPtr content = make_write(10, block, 0, bytes_of_seed(block, kTestBlock));
    data::v1::Header header;
    auto* r = header.mutable_resync();
    r->mutable_group()->set_volume(kTestGroup.volume.value);
    r->mutable_group()->set_group(kTestGroup.index.value);
    r->set_term(2);
    r->set_round(round);
    r->set_inode(1);
    r->set_block(block);
    r->set_length(kTestBlock);
    r->set_version_term(1);
    r->set_version_sequence(10);
    r->set_sent_bytes(sent_bytes);
    for (uint32_t c : content->header.checksums) r->add_checksums(c);
    remote_.receive(Frame{0, header.SerializeAsString(), content->payload, {}}, via_);
  }
  GroupCheckpoint stored_checkpoint() {
    const auto checkpoints = remote_.blocks().checkpoints();
    EXPECT_EQ(checkpoints->size(), 1u);
    return decode_checkpoint(checkpoints->front().second).value();
  }
  std::vector<data::v1::Appended> appended(const RecordedConnection& on) const {
    std::vector<data::v1::Appended> all;
    for (const data::v1::Header& header : on.sent()) {
      if (header.has_appended()) all.push_back(header.appended());
    }
    return all;
  }
  std::vector<uint64_t> taken() const {
    std::vector<uint64_t> all;
    for (const data::v1::Header& header : via_->sent()) {
      if (header.has_resync_taken()) all.push_back(header.resync_taken().bytes());
    }
    return all;
  }

  DrivenGroup remote_{kRemoteId};
  std::shared_ptr<RecordedConnection> via_ = connection();
};

TEST_F(ResyncAtRemote, TheEndOfOneRoundDoesNotEndTheNext) {
  hello(1, via_);
  begin(1);
  piece(1, 0);
  auto worker = remote_.hold_worker();
  end(1);
  hello(2, via_);
  begin(2);
  worker->set_value();
  remote_.settle();
  EXPECT_TRUE(remote_.resyncing());
  EXPECT_TRUE(appended(*via_).empty()) << "nothing of the second round has come";
  piece(2, 0);
  end(2);
  remote_.settle();
  EXPECT_FALSE(remote_.resyncing());
  ASSERT_EQ(appended(*via_).size(), 1u);
  EXPECT_EQ(appended(*via_)[0].round(), 2u);
  EXPECT_EQ(remote_.blocks().present_bytes(kTestGroup).value(), kTestBlock);
}

TEST_F(ResyncAtRemote, AnEndThatIsStoredAfterTheNextGreetingDoesNotCount) {
  hello(1, via_);
  begin(1);
  piece(1, 0);
  auto worker = remote_.hold_worker();
  end(1);
  hello(2, via_);
  worker->set_value();
  remote_.settle();
  EXPECT_TRUE(remote_.resyncing());
  EXPECT_TRUE(appended(*via_).empty()) << "the primary would take it for a word about the second resync";
}

TEST_F(ResyncAtRemote, AStaleEndStoresNothing) {
  hello(1, via_);
  hello(2, via_);
  begin(2);
  end(1);
  remote_.settle();
  EXPECT_TRUE(remote_.resyncing());
  EXPECT_TRUE(stored_checkpoint().resyncing)
      << "a crash now would leave an empty copy that calls itself whole";
  end(2);
  remote_.settle();
  EXPECT_FALSE(remote_.resyncing());
}

TEST_F(ResyncAtRemote, ARefusedGreetingDoesNotTakeTheAnswersAway) {
  auto other = connection();
  hello(2, via_);
  hello(1, other);
  hello(7, other, Term(1));
  ASSERT_EQ(other->sent().size(), 1u) << "of a deposed primary: it is told so";
  EXPECT_FALSE(other->sent()[0].welcome().accepted());
  remote_.receive(Append{Term(2), 2, Sequence(), Sequence(), false, {}}, via_);
  EXPECT_EQ(appended(*via_).size(), 1u);
  EXPECT_TRUE(appended(*other).empty());
}

TEST_F(ResyncAtRemote, SaysWhatIsStoredAndNothingBefore) {
  hello(1, via_);
  begin(1);
  auto worker = remote_.hold_worker();
  piece(1, 0, 1u << 20);
  piece(1, 1, (1u << 20) + 1000);
  piece(1, 2, 3u << 20);
  EXPECT_TRUE(taken().empty());
  worker->set_value();
  remote_.settle();
  EXPECT_EQ(taken(), (std::vector<uint64_t>{1u << 20, 3u << 20}));
}

TEST_F(ResyncAtRemote, OfAnOlderPrimarySaysNothing) {
  hello(1, via_);
  begin(1);
  piece(1, 0);
  remote_.settle();
  EXPECT_TRUE(taken().empty());
  end(1, RequestWindow().save(kEnd.sequence), 1);
  remote_.settle();
  EXPECT_FALSE(remote_.resyncing());
}

RequestWindow large_window() {
  RequestWindow window;
  RecordHeader h;
  h.settled_below = RequestId(1);
  for (uint64_t client = 1; client <= 60; client++) {
    for (uint64_t request = 1; request <= RequestWindow::kMaxRequests; request++) {
      h.client = ClientId(client);
      h.request = RequestId(request);
      h.position = {Term(1), Sequence(10)};
      window.executed(h);
    }
  }
  return window;
}

TEST_F(ResyncAtRemote, TakesAWindowOfManyRequests) {
  const std::string window = large_window().save(kEnd.sequence);
  ASSERT_GT(window.size(), 5u << 20);
  hello(1, via_);
  begin(1);
  end(1, window);
  remote_.settle();
  EXPECT_FALSE(remote_.resyncing());
  EXPECT_TRUE(stored_checkpoint().window == window);
}

// ---- at the primary ----

class ResyncAtPrimary : public testing::Test {
 protected:
  static constexpr uint64_t kBlocks = 40;

  ResyncAtPrimary() {
    primary_.checkpoint().position = kEnd;
    primary_.checkpoint().history = {{Term(1), Sequence(1)}};
    primary_.environment().protocol.resend_after_ms = 10'000;  // and 60 s for a resync without progress
  }
  void write_blocks(uint64_t blocks = kBlocks) {
    for (uint64_t block = 0; block < blocks; block++)
      put(make_write(10, block, 0, bytes_of_seed(block, kTestBlock)));
  }
  void put(const RecordPtr& record) {
    ASSERT_TRUE(primary_.blocks().apply(kTestGroup, kTestBlock, {&record, 1}));
  }
  void connect(FakePeer& peer, ServerId id) {
    primary_.on_loop([&] { primary_.shard().links().want(id, peer.endpoint(), false); });
  }
  static bool ended(const FakePeer& peer) {
    const auto frames = peer.resync_frames();
    return !frames.empty() && header_of(frames.back()).resync().last();
  }
  static uint64_t payload_bytes(const FakePeer& peer) {
    uint64_t bytes = 0;
    for (const Frame& frame : peer.resync_frames()) {
      if (!header_of(frame).resync().window_piece()) bytes += frame.payload.size();
    }
    return bytes;
  }

  DrivenGroup primary_{kPrimaryId, 2};
};

TEST_F(ResyncAtPrimary, OfTwoRemotesAtOnceGetsBothDone) {
  write_blocks();
  primary_.environment().resync_window_bytes = 256 << 10;  // so that each waits for its remote in the middle
  FakePeer one(kRemoteId), other(kOtherRemoteId);
  primary_.start();
  connect(one, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return payload_bytes(one) > 0; }));
  connect(other, kOtherRemoteId);
  ASSERT_TRUE(comes_true([&] { return payload_bytes(other) > 0; }));
  one.answer_pieces();
  other.answer_pieces();
  EXPECT_TRUE(comes_true([&] { return ended(one) && ended(other); }));
  EXPECT_EQ(one.hellos(), 1u);
  EXPECT_EQ(other.hellos(), 1u);
  EXPECT_EQ(payload_bytes(one), kBlocks * kTestBlock);
}

TEST_F(ResyncAtPrimary, OfOneRemoteOutlivesTheConnectionOfTheOther) {
  write_blocks();
  primary_.environment().resync_window_bytes = 256 << 10;
  FakePeer one(kRemoteId), other(kOtherRemoteId);
  primary_.start();
  connect(one, kRemoteId);
  connect(other, kOtherRemoteId);
  ASSERT_TRUE(comes_true([&] { return payload_bytes(one) > 0 && payload_bytes(other) > 0; }));
  other.break_connection();
  ASSERT_TRUE(comes_true([&] { return other.hellos() > 1; }));
  one.answer_pieces();
  EXPECT_TRUE(comes_true([&] { return ended(one); }));
  EXPECT_EQ(one.hellos(), 1u);
}

TEST_F(ResyncAtPrimary, SendsNoMoreThanAWindowBeforeItIsStored) {
  write_blocks();
  constexpr uint64_t kWindow = 512 << 10;
  primary_.environment().resync_window_bytes = kWindow;
  FakePeer remote(kRemoteId);
  primary_.start();
  connect(remote, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return payload_bytes(remote) >= kWindow / 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LE(payload_bytes(remote), kWindow + (1 << 20)) << "a window, and what was read at once";
  EXPECT_FALSE(ended(remote));
  remote.answer_pieces();
  EXPECT_TRUE(comes_true([&] { return ended(remote); }));
  EXPECT_EQ(payload_bytes(remote), kBlocks * kTestBlock);
}

TEST_F(ResyncAtPrimary, DoesNotWaitForAnswersOfAnOlderRemote) {
  write_blocks();
  primary_.environment().resync_window_bytes = 64 << 10;
  FakePeer remote(kRemoteId, ProtocolRange{1, 1});
  primary_.start();
  connect(remote, kRemoteId);
  EXPECT_TRUE(comes_true([&] { return ended(remote); }));
  EXPECT_EQ(header_of(remote.resync_frames().back()).resync().window(), RequestWindow().save(Sequence(10)));
}

TEST_F(ResyncAtPrimary, SendsHolesToNobody) {
  put(make_write(9, 3, 8 * kChunkSize, bytes_of_seed(1, 2 * kChunkSize)));
  put(make_write(10, 5, 0, bytes_of_seed(2, kChunkSize)));
  put(make_write(10, 5, 15 * kChunkSize, Buffer::zeros(kChunkSize)));
  FakePeer remote(kRemoteId);
  primary_.start();
  connect(remote, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return ended(remote); }));
  EXPECT_EQ(payload_bytes(remote), 4 * kChunkSize) << "zeros that were written are no hole";
  std::set<std::pair<uint64_t, uint32_t>> found;
  for (const Frame& frame : remote.resync_frames()) {
    const auto piece = header_of(frame).resync();
    if (piece.length() && !piece.window_piece()) found.emplace(piece.block(), piece.offset());
  }
  const std::set<std::pair<uint64_t, uint32_t>> wanted{{3, 8 * kChunkSize}, {5, 0}, {5, 15 * kChunkSize}};
  EXPECT_EQ(found, wanted);
}

TEST_F(ResyncAtPrimary, OfManyRememberedRequestsSendsThemInPieces) {
  primary_.checkpoint().window = large_window().save(kEnd.sequence);
  FakePeer remote(kRemoteId);
  primary_.start();
  connect(remote, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return ended(remote); }));
  std::string window;
  for (const Frame& frame : remote.resync_frames()) {
    EXPECT_LE(frame.header.size(), kMaxFrameHeader);
    if (header_of(frame).resync().window_piece())
      window.append(frame.payload.span().begin(), frame.payload.span().end());
  }
  EXPECT_TRUE(window == primary_.checkpoint().window);
}

TEST_F(ResyncAtPrimary, OfManyRememberedRequestsLeavesAnOlderRemoteItsCopy) {
  primary_.checkpoint().window = large_window().save(kEnd.sequence);
  primary_.environment().protocol.resend_after_ms = 500;
  FakePeer remote(kRemoteId, ProtocolRange{1, 1});
  primary_.start();
  connect(remote, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return remote.hellos() > 1; })) << "it tries again and again";
  EXPECT_TRUE(remote.resync_frames().empty());
}

TEST_F(ResyncAtPrimary, OfABlockThatCannotBeReadLeavesTheRemoteItsCopy) {
  write_blocks(3);
  primary_.environment().protocol.resend_after_ms = 500;
  ASSERT_TRUE(primary_.blocks().checkpoint(kTestGroup, encode_checkpoint(primary_.checkpoint())));
  const Buffer last = bytes_of_seed(2, kTestBlock);
  for (const auto& entry : std::filesystem::directory_iterator(primary_.disk().path() + "/blocks")) {
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes(1 << 20, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.clear();
    const size_t at = bytes.find(std::string(last.span().begin(), last.span().begin() + 16));
    if (at != std::string::npos) file.seekp(static_cast<std::streamoff>(at)).write("rot", 3);
  }
  ASSERT_FALSE(primary_.blocks().read(key_of(2), 0, kTestBlock).is_ok()) << "the last block is rotten";
  FakePeer remote(kRemoteId);
  primary_.start();
  connect(remote, kRemoteId);
  ASSERT_TRUE(comes_true([&] { return remote.hellos() > 1; })) << "it tries again and again";
  EXPECT_TRUE(remote.resync_frames().empty());
}

// ---- a start after a crash ----

// The journal's drop may be lost, or owed for want of space: the records lie before what the resync stored.
TEST(ResyncBeforeACrash, LeavesNoRecordsThatTheNextOneWouldNotJoin) {
  TestDirectory directory;
  ServerOptions options;
  options.name = "site-a/core-0";
  options.site = "site-a";
  options.journal_segment_bytes = 1 << 20;
  options.journal_max_bytes = 8 << 20;
  const auto append = [](Journal& journal, uint64_t sequence) {
    std::promise<Status> durable;
    journal.append(make_punch(sequence, 0, 0, kChunkSize),
                   [&](Status status) { durable.set_value(std::move(status)); });
    return durable.get_future().get();
  };
  {
    auto disk = ServerDisk::open(directory.path(), options).value();
    GroupCheckpoint stored;
    stored.volume = "vm-disk";
    stored.block_size = kTestBlock;
    stored.position = {Term(1), Sequence(50)};
    stored.history = {{Term(1), Sequence(50)}};
    ASSERT_TRUE(disk->blocks().checkpoint(kTestGroup, encode_checkpoint(stored)));
    ASSERT_TRUE(append(disk->journal(), 7));
  }
  options.disks = {{directory.path()}};
  options.etcd_endpoints = {"127.0.0.1:1"};  // nobody: the disk is opened nevertheless
  options.etcd_timeout_ms = 200;
  options.client.address = options.storage.address = options.wan.address = "127.0.0.1";
  {
    auto server = CoreServer::start(options);
    ASSERT_TRUE(server) << server.status().to_string();
  }
  auto disk = ServerDisk::open(directory.path(), options).value();
  EXPECT_TRUE(append(disk->journal(), 51));
}

}  // namespace
}  // namespace shima
