// R18: truncations are completed before anybody sees them, whoever began them.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/accessserver/fileops/blocking_file_system.h"

namespace shima {
namespace {

using metadata::v1::JobRequest;
using Call = MemoryVolume::Call;

class Truncation : public testing::Test {
 protected:
  // As an access server that dies after the first step of a truncation.
  void begin_truncation(uint64_t inode, uint64_t size) {
    JobRequest request;
    *request.mutable_credentials() = checked();
    request.mutable_set_attributes()->set_inode(inode);
    request.mutable_set_attributes()->mutable_set()->set_size(size);
    ASSERT_EQ(volume_.run_now(request).error(), 0);
    ASSERT_TRUE(stored_attributes(volume_, inode).truncating());
  }

  MemoryVolume volume_{{.block_size = 65536}};
  BlockingFileSystem one_{volume_}, two_{volume_};
};

TEST_F(Truncation, BytesBeyondTheNewEndAreGoneWhenTheFileGrowsAgain) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, std::string(200'000, 'x')).error, 0);
  EXPECT_EQ(one_.truncate(file, 100'001), 0);
  EXPECT_EQ(one_.truncate(file, 200'000), 0);
  EXPECT_EQ(two_.read(file, 0, 200'000), std::string(100'001, 'x') + std::string(99'999, '\0'));
}

TEST_F(Truncation, IsDoneAtTheDataGroupsBeforeItIsAnswered) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  EXPECT_EQ(one_.truncate(file, 0), 0);
  EXPECT_EQ(volume_.used_bytes(InodeId(file)), 0u);
  EXPECT_FALSE(stored_attributes(volume_, file).truncating());
}

TEST_F(Truncation, OfADeadServerIsCompletedByWhoSeesIt) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  begin_truncation(file, 10);
  FileAttributes seen = two_.attributes(file);
  EXPECT_EQ(seen.size(), 10u);
  EXPECT_FALSE(seen.truncating());
  EXPECT_FALSE(stored_attributes(volume_, file).truncating());
  EXPECT_EQ(volume_.used_bytes(InodeId(file)), 4096u);
}

TEST_F(Truncation, IsCompletedBeforeADirectoryIsListedWithAttributes) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  begin_truncation(file, 10);
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_read_directory()->set_inode(kRootInode);
  request.mutable_read_directory()->set_max_entries(100);
  request.mutable_read_directory()->set_max_bytes(10'000);
  request.mutable_read_directory()->set_attributes(true);
  auto reply = two_.run(request);
  ASSERT_EQ(reply.error(), 0) << reply.message();
  bool found = false;
  for (const auto& entry : reply.entries()) {
    EXPECT_FALSE(entry.attributes().truncating());
    if (entry.inode() == file) found = entry.attributes().size() == 10;
  }
  EXPECT_TRUE(found);
  EXPECT_FALSE(stored_attributes(volume_, file).truncating());
}

TEST_F(Truncation, OfOthersIsCompletedBeforeTheSizeIsSetAgain) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  begin_truncation(file, 10);
  EXPECT_EQ(two_.truncate(file, 100), 0);
  EXPECT_EQ(two_.read(file, 0, 1000), std::string(10, 'x') + std::string(90, '\0'));
}

TEST_F(Truncation, OfOthersIsCompletedBeforeCreateTruncatesAnExistingFile) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  begin_truncation(file, 10);
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_create()->set_parent(kRootInode);
  request.mutable_create()->set_name("file");
  request.mutable_create()->set_type(metadata::v1::FILE_TYPE_REGULAR);
  request.mutable_create()->mutable_set()->set_size(0);
  auto reply = two_.run(request);
  ASSERT_EQ(reply.error(), 0) << reply.message();
  EXPECT_EQ(reply.attributes().inode(), file);
  EXPECT_EQ(reply.attributes().size(), 0u);
  EXPECT_EQ(volume_.used_bytes(InodeId(file)), 0u);
}

TEST_F(Truncation, AWriterThatKnowsAnOlderSequenceWritesAgain) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, std::string(200'000, 'x')).error, 0);
  EXPECT_EQ(two_.truncate(file, 0), 0);
  ASSERT_EQ(one_.write(file, 100'000, "y").error, 0);  // from what it knows: inside the file
  FileAttributes seen = two_.attributes(file);
  EXPECT_EQ(seen.size(), 100'001u);
  EXPECT_EQ(two_.read(file, 99'999, 10), std::string(1, '\0') + "y");
  EXPECT_EQ(stored_attributes(volume_, file).truncate_sequence(), 1u);
}

TEST_F(Truncation, AWriteBeforeASparseFileWasCutOffMakesItLongAgain) {
  uint64_t file = one_.create("file");
  ASSERT_EQ(one_.write(file, 0, "x").error, 0);
  ASSERT_EQ(one_.truncate(file, 1'000'000), 0);
  ASSERT_EQ(one_.attributes(file).size(), 1'000'000u);
  ASSERT_EQ(two_.truncate(file, 1), 0);
  ASSERT_EQ(one_.write(file, 500'000, "y").error, 0);
  EXPECT_EQ(two_.attributes(file).size(), 500'001u);
}

TEST_F(Truncation, FailsIfADataGroupDoesNotAnswerAndIsCompletedLater) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  volume_.inject([](const MemoryVolume::Request& request) -> std::optional<MemoryVolume::Failure> {
    if (request.call != Call::kTruncate) return std::nullopt;
    return MemoryVolume::Failure{Status(Code::kDeadlineExceeded, "no answer")};
  });
  EXPECT_EQ(one_.truncate(file, 10), ETIMEDOUT);
  EXPECT_EQ(two_.attributes_reply(file).error(), ETIMEDOUT);
  volume_.inject(nullptr);
  EXPECT_EQ(two_.attributes(file).size(), 10u);
  EXPECT_EQ(volume_.used_bytes(InodeId(file)), 4096u);
}

TEST_F(Truncation, ManyWhoSeeItCompleteItOnce) {
  uint64_t file = one_.create("file");
  one_.write(file, 0, std::string(200'000, 'x'));
  begin_truncation(file, 0);
  uint64_t before = volume_.count(JobRequest::kTruncateDone);
  JobRequest request;
  *request.mutable_credentials() = checked();
  request.mutable_lookup()->set_parent(kRootInode);
  request.mutable_lookup()->set_name("file");
  volume_.hold([](const MemoryVolume::Request& r) { return r.call == Call::kTruncate; });
  std::vector<std::future<metadata::v1::JobReply>> replies;
  for (int i = 0; i < 10; i++) replies.push_back(one_.start(request));
  EXPECT_TRUE(soon([&] { return volume_.held() > 0; }));
  volume_.release();
  for (auto& reply : replies) EXPECT_EQ(reply.get().attributes().size(), 0u);
  EXPECT_LE(volume_.count(JobRequest::kTruncateDone), before + 2);
}

TEST_F(Truncation, RefusesToRunJobsOfTheFileLayer) {
  JobRequest request;
  request.mutable_truncate_done()->set_inode(5);
  EXPECT_EQ(one_.run(request).error(), EINVAL);
  request.mutable_keep_alive()->set_session(1);
  EXPECT_EQ(one_.run(request).error(), EINVAL);
  EXPECT_EQ(one_.run(JobRequest()).error(), EINVAL);
}

}  // namespace
}  // namespace shima
