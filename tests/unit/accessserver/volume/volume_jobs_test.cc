// Jobs through the volume client: where they go, and that each is carried out once.
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "accessserver/volume/job_codec.h"
#include "common/transport/frame.h"
#include "common/types/crc32c.h"
#include "tests/unit/accessserver/volume/volume_client_fixture.h"

namespace shima {
namespace {

using metadata::v1::JobReply;
using metadata::v1::JobRequest;

constexpr uint32_t kMetadataGroup = 8;

JobRequest a_lookup() {
  JobRequest job;
  job.mutable_lookup()->set_parent(2);
  job.mutable_lookup()->set_name("disk.img");
  return job;
}

JobRequest a_creation() {
  JobRequest job;
  job.set_session(5);
  job.mutable_create()->set_parent(2);
  job.mutable_create()->set_name("disk.img");
  return job;
}

class VolumeJobs : public VolumeClientTest {};

TEST(JobCodec, JobsThatChangeAreThoseNumberedFromThirtyOn) {
  const auto* descriptor = JobRequest::descriptor();
  const auto* jobs = descriptor->FindOneofByName("job");
  ASSERT_NE(jobs, nullptr);
  EXPECT_GE(jobs->field_count(), 25);
  for (int i = 0; i < jobs->field_count(); i++) {
    const auto* field = jobs->field(i);
    JobRequest job;
    job.GetReflection()->MutableMessage(&job, field);
    EXPECT_EQ(job_wants_request_id(job), field->number() >= 30) << field->name();
  }
  EXPECT_FALSE(job_wants_request_id({}));
}

TEST(JobCodec, RefusesWhatIsNoReply) {
  Buffer none = Buffer::copy_of(std::string_view("\xff\xff\xff"));
  EXPECT_EQ(decode_job_reply(none, crc32c(none.span())).status().code(), Code::kInternal);
  EXPECT_EQ(decode_job_reply(none, crc32c(none.span()) + 1).status().code(), Code::kCorrupt);
  EXPECT_TRUE(decode_job_reply({}, 0).is_ok());  // a reply without anything in it
}

TEST_F(VolumeJobs, GoToThePrimaryOfTheMetadataGroup) {
  open({.deadline_ms = 600'000, .client = ClientId(9)});
  one_.behave(nullptr);
  two_.behave([](const Header& header) {
    return Behaviour{.code = header.has_job() ? Code::kInternal : Code::kOk};  // it is not the primary
  });
  auto [status, reply] = run(a_creation());
  ASSERT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(reply.attributes().inode(), 1u);
  ASSERT_EQ(volume_->jobs.size(), 1u);
  EXPECT_EQ(volume_->jobs[0].volume(), 77u);
  EXPECT_EQ(volume_->jobs[0].group(), kMetadataGroup);
  EXPECT_EQ(volume_->jobs[0].client(), 9u);
  EXPECT_EQ(volume_->jobs[0].request(), 1u);
  EXPECT_EQ(volume_->jobs[0].settled_below(), 1u);
  EXPECT_GT(volume_->jobs[0].deadline_ms(), 500'000u);
  EXPECT_EQ(volume_->job_bodies[0].SerializeAsString(), a_creation().SerializeAsString());
  ASSERT_TRUE(run(a_creation()).first.is_ok());
  EXPECT_EQ(volume_->jobs[1].request(), 2u);
  EXPECT_EQ(volume_->jobs[1].settled_below(), 2u);
  EXPECT_EQ(volume_->jobs[1].known_sequence(), 1u);
}

TEST_F(VolumeJobs, ThatOnlyReadCarryNoRequestId) {
  open();
  misbehave(1, {.code = Code::kNotPrimary});
  ASSERT_TRUE(run(a_lookup()).first.is_ok());
  ASSERT_EQ(volume_->jobs.size(), 2u);
  for (const auto& job : volume_->jobs) EXPECT_EQ(job.request(), 0u);
  ASSERT_TRUE(run(a_creation()).first.is_ok());
  EXPECT_EQ(volume_->jobs[2].request(), 1u);
}

TEST_F(VolumeJobs, AreRepeatedWithTheirRequestIdAndRunOnce) {
  open();
  for (Behaviour behaviour : {Behaviour{.how = Misbehave::kExecuteThenClose},
                              Behaviour{.how = Misbehave::kClose}, Behaviour{.code = Code::kNotPrimary},
                              Behaviour{.code = Code::kStaleTerm}, Behaviour{.code = Code::kUnavailable}}) {
    volume_->jobs.clear();
    uint64_t executed = volume_->jobs_executed;
    misbehave(1, behaviour);
    auto [status, reply] = run(a_creation());
    ASSERT_TRUE(status.is_ok()) << status.to_string();
    EXPECT_EQ(volume_->jobs_executed, executed + 1);
    EXPECT_EQ(reply.attributes().inode(), executed + 1);  // the first run's answer
    for (const auto& job : volume_->jobs) EXPECT_EQ(job.request(), volume_->jobs[0].request());
  }
  EXPECT_GE(client_->stats().pieces_sent_again, 5u);
}

TEST_F(VolumeJobs, FollowTheMetadataGroupToItsNewPrimary) {
  open();
  one_.behave([](const Header&) { return Behaviour{.code = Code::kNotPrimary}; });
  VolumeLayout moved = client_->layout();
  moved.config_version = ConfigVersion(2);
  moved.metadata = {Term(2), {two_.member(MemberKind::kPrimary)}};
  source_.set(moved);
  EXPECT_TRUE(run(a_creation()).first.is_ok());
  EXPECT_EQ(client_->layout().metadata.members[0].server, ServerId(2));
}

TEST_F(VolumeJobs, AreSentAgainWhenTheMetadataGroupHasANewTerm) {
  open({.ask_after_ms = 100});
  // The old primary has run the job, but its answer never comes.
  auto silent = std::make_shared<std::atomic<bool>>(true);
  behave([silent](const Header&) { return Behaviour{.delay_ms = silent->exchange(false) ? 60'000u : 0u}; });
  VolumeLayout moved = client_->layout();
  moved.config_version = ConfigVersion(2);
  moved.metadata.term = Term(2);
  source_.set(moved);
  auto [status, reply] = run(a_creation());
  ASSERT_TRUE(status.is_ok()) << status.to_string();
  ASSERT_EQ(volume_->jobs.size(), 2u);
  EXPECT_EQ(volume_->jobs[0].request(), volume_->jobs[1].request());
  EXPECT_EQ(volume_->jobs_executed, 1u);
}

TEST_F(VolumeJobs, ARepliesWrongChecksumIsNoticedAndTheReplyAskedForAgain) {
  open();
  misbehave(2, {.how = Misbehave::kFlipBit});
  auto [status, reply] = run(a_creation());
  ASSERT_TRUE(status.is_ok()) << status.to_string();
  EXPECT_EQ(reply.attributes().inode(), 1u);
  EXPECT_EQ(volume_->jobs_executed, 1u);
  EXPECT_EQ(client_->stats().checksum_errors, 2u);
  behave([](const Header&) { return Behaviour{.how = Misbehave::kFlipBit}; });
  EXPECT_EQ(run(a_creation()).first.code(), Code::kCorrupt);
}

TEST_F(VolumeJobs, FinalErrorsGoToTheCallerAtOnce) {
  open();
  for (Code code : {Code::kRequestTooOld, Code::kNoSpace, Code::kInvalidArgument, Code::kStaleFence}) {
    volume_->jobs.clear();
    behave([code](const Header&) { return Behaviour{.code = code}; });
    EXPECT_EQ(run(a_creation()).first.code(), code);
    EXPECT_EQ(volume_->jobs.size(), 1u);
  }
  behave([](const Header&) { return Behaviour{.code = static_cast<Code>(200)}; });  // of a later version
  EXPECT_EQ(run(a_creation()).first.code(), Code::kInternal);
}

TEST_F(VolumeJobs, EndAtTheirDeadline) {
  open({.deadline_ms = 200});
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  Status status;
  EXPECT_TRUE(in_the_end([&] {  // in a stall the time may be over before it was sent
    status = run(a_creation()).first;
    EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
    return status.message().find("here/core-1") != std::string::npos;
  })) << status.message();
  EXPECT_NE(status.message().find("group 8"), std::string::npos) << status.message();
  behave(nullptr);
  EXPECT_TRUE(in_the_end([&] { return run(a_creation()).first.is_ok(); }));
}

TEST_F(VolumeJobs, AVolumeWithoutAMetadataGroupTakesNone) {
  VolumeLayout old = source_.fetch("db").value();
  old.has_metadata = false;
  old.metadata = {};
  source_.set(old);
  open();
  EXPECT_EQ(run(a_lookup()).first.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(client_->write(0, random_bytes(4096, 1)).is_ok());
  old.has_metadata = true;  // it was given one
  old.config_version = ConfigVersion(2);
  old.metadata = {Term(1), {two_.member(MemberKind::kPrimary)}};
  source_.set(old);
  ASSERT_TRUE(client_->refresh().is_ok());
  EXPECT_TRUE(run(a_lookup()).first.is_ok());
}

TEST_F(VolumeJobs, TooLargeForAFrameAreRefused) {
  open();
  JobRequest job;
  job.mutable_set_xattr()->set_value(std::string(kMaxFramePayload + 1, 'x'));
  EXPECT_EQ(run(job).first.code(), Code::kInvalidArgument);
  EXPECT_TRUE(volume_->jobs.empty());
}

TEST_F(VolumeJobs, DoNotWaitBehindBytes) {
  open({.max_in_flight = 2});
  behave([](const Header& header) {
    return Behaviour{.how = header.has_write() ? Misbehave::kIgnore : Misbehave::kNo};
  });
  for (int i = 0; i < 10; i++) client_->write(i * kBlock, random_bytes(4096, i), [](Status) {});
  EXPECT_TRUE(run(a_creation()).first.is_ok());
  EXPECT_EQ(client_->stats().jobs, 1u);
  EXPECT_EQ(client_->stats().job_us.count(), 1u);
}

TEST_F(VolumeJobs, ManyAtOnceOverABadLineEachRunOnceAndAreSettled) {
  open({.max_in_flight = 8, .retry_min_ms = 1, .retry_max_ms = 20});
  std::atomic<int> left{200};
  std::promise<void> all;
  misbehave(40, {.how = Misbehave::kExecuteThenClose});
  for (int i = 0; i < 200; i++) {
    client_->run_job(a_creation(), [&](Status status, const JobReply&) {
      EXPECT_TRUE(status.is_ok()) << status.to_string();
      if (--left == 0) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  EXPECT_EQ(volume_->jobs_executed, 200u);
  uint64_t floor = 0;
  for (const auto& job : volume_->jobs) {
    EXPECT_GE(job.request(), floor);
    floor = std::max(floor, job.settled_below());
  }
  EXPECT_GT(floor, 100u);
}

TEST_F(VolumeJobs, CallBackOnTheLoopAndNeverInsideTheCall) {
  open({.deadline_ms = 1'000});
  JobRequest too_large;
  too_large.mutable_set_xattr()->set_value(std::string(kMaxFramePayload + 1, 'x'));
  std::promise<void> over;
  client_->loop().post([&] {
    auto inside = std::make_shared<bool>(true);
    auto left = std::make_shared<int>(7);
    auto check = [this, inside, left, &over](auto&&...) {
      EXPECT_FALSE(*inside);
      EXPECT_TRUE(client_->loop().on_loop_thread());
      if (--*left == 0) over.set_value();
    };
    client_->run_job(a_lookup(), check);
    client_->run_job(too_large, check);
    client_->read_file(InodeId(3), 0, 0, check);
    client_->read_file(InodeId(3), 0, kMaxFileReadBytes + 1, check);
    client_->truncate_file(InodeId(3), 10, 10, 1, false, check);
    client_->seek_file(InodeId(3), 10, 10, true, check);
    client_->punch_file(InodeId(3), ~uint64_t{0}, 2, {}, check);
    *inside = false;
  });
  ASSERT_EQ(over.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

TEST_F(VolumeJobs, ClosingEndsThemAndWhatTheirCallbacksBegin) {
  open();
  behave([](const Header&) { return Behaviour{.how = Misbehave::kIgnore}; });
  std::atomic<int> ended{0}, begun_then{0};
  for (int i = 0; i < 20; i++) {
    client_->run_job(a_creation(), [&, client = client_.get()](Status status, const JobReply&) {
      ended += status.code() == Code::kUnavailable;
      client->inode_data(InodeId(3), [&](Status after, const InodeData&) {
        begun_then += after.code() == Code::kUnavailable;
      });
    });
  }
  client_.reset();
  EXPECT_EQ(ended, 20);
  EXPECT_EQ(begun_then, 20);
}

}  // namespace
}  // namespace shima
