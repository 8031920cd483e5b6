#include "accessserver/nfs/rpc/rpc_programs.h"

#include <gtest/gtest.h>

#include "tests/unit/accessserver/nfs/rpc_client.h"

namespace shima {
namespace {

// Keeps what is sent.
class Sink final : public RpcReplySink {
 public:
  void charge(size_t bytes) override { charged += bytes; }
  void finish(RpcReply reply, size_t bytes, std::shared_ptr<void>) override {
    finished++;
    released += bytes;
    if (reply.size() == 0) return;
    std::string record(reinterpret_cast<const char*>(reply.head.data()), reply.head_size);
    record += reply.body.flat();
    EXPECT_EQ(marked(record.substr(4)), record);  // the mark is right
    replies.push_back(record.substr(4));
  }
  size_t charged = 0, released = 0;
  int finished = 0;
  std::vector<std::string> replies;
};

// Procedure 0 answers at once, 1 is kept, 2 has garbage arguments, 3 may not be done twice.
class Program final : public RpcProgram {
 public:
  explicit Program(uint32_t version) : version_(version) {}
  uint32_t number() const override { return 300; }
  uint32_t version() const override { return version_; }
  uint32_t procedures() const override { return 4; }
  bool repeatable(uint32_t procedure) const override { return procedure != 3; }
  void call(RpcRequestPtr request) override {
    calls++;
    uint32_t procedure = request->call().procedure;
    last = request->call().credentials;
    if (procedure == 2) return RpcRequest::fail(std::move(request), RpcAcceptStatus::kGarbageArguments);
    if (procedure == 1 || procedure == 3) {
      kept.push_back(std::move(request));
      return;
    }
    XdrWriter out;
    out.u32(4711);
    RpcRequest::reply(std::move(request), std::move(out));
  }
  void answer_kept(uint32_t value) {
    for (RpcRequestPtr& request : kept) {
      XdrWriter out;
      out.u32(value);
      RpcRequest::reply(std::move(request), std::move(out));
    }
    kept.clear();
  }
  const uint32_t version_;
  int calls = 0;
  RpcCredentials last;
  std::vector<RpcRequestPtr> kept;
};

class RpcProgramsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto three = std::make_unique<Program>(3), five = std::make_unique<Program>(5);
    program_ = three.get();
    programs_.add(std::move(five));
    programs_.add(std::move(three));
  }

  TestCall call(uint32_t procedure) {
    TestCall call;
    call.program = 300;
    call.procedure = procedure;
    return call;
  }
  Status dispatch(const std::string& record, const std::string& client = "10.0.0.1") {
    return programs_.dispatch(Buffer::copy_of(record), std::make_shared<std::string>(client), sink_, 10);
  }
  // The only answer so far.
  TestReply answer_to(const TestCall& call) {
    sink_->replies.clear();
    EXPECT_TRUE(dispatch(call.encode()).is_ok());
    EXPECT_EQ(sink_->replies.size(), 1u);
    TestReply reply = sink_->replies.empty() ? TestReply() : parse_reply(sink_->replies[0]);
    EXPECT_EQ(reply.xid, call.xid);
    return reply;
  }

  RpcPrograms programs_{4};
  std::shared_ptr<Sink> sink_ = std::make_shared<Sink>();
  Program* program_;
};

TEST_F(RpcProgramsTest, ACallIsAnswered) {
  TestReply reply = answer_to(call(0));
  EXPECT_TRUE(reply.accepted);
  EXPECT_EQ(reply.status, 0u);
  EXPECT_EQ(reply.results.u32(), 4711u);
  EXPECT_EQ(sink_->released, 10u);
}

TEST_F(RpcProgramsTest, CredentialsAreTaken) {
  TestCall c = call(0);
  c.groups = {5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
  c.machine = std::string(255, 'm');
  answer_to(c);
  EXPECT_EQ(program_->last.flavor, RpcAuthFlavor::kSys);
  EXPECT_EQ(program_->last.uid, 1000u);
  EXPECT_EQ(std::vector(program_->last.groups().begin(), program_->last.groups().end()), c.groups);
  c.auth = 0;
  answer_to(c);
  EXPECT_EQ(program_->last.flavor, RpcAuthFlavor::kNone);
}

TEST_F(RpcProgramsTest, WrongRpcVersionIsAMismatchOfTwo) {
  TestCall c = call(0);
  c.rpc_version = 3;
  TestReply reply = answer_to(c);
  EXPECT_FALSE(reply.accepted);
  EXPECT_EQ(reply.status, 0u);  // RPC_MISMATCH
  EXPECT_EQ(reply.results.u32(), 2u);
  EXPECT_EQ(reply.results.u32(), 2u);
}

TEST_F(RpcProgramsTest, UnknownProgramVersionAndProcedureHaveTheirErrors) {
  TestCall c = call(0);
  c.program = 301;
  EXPECT_EQ(answer_to(c).status, 1u);  // PROG_UNAVAIL
  c = call(0);
  c.version = 4;
  TestReply reply = answer_to(c);
  EXPECT_EQ(reply.status, 2u);  // PROG_MISMATCH
  EXPECT_EQ(reply.results.u32(), 3u);
  EXPECT_EQ(reply.results.u32(), 5u);
  EXPECT_EQ(answer_to(call(4)).status, 3u);  // PROC_UNAVAIL
  EXPECT_EQ(answer_to(call(~0u)).status, 3u);
  EXPECT_EQ(answer_to(call(2)).status, 4u);  // GARBAGE_ARGS
  EXPECT_EQ(programs_.counters().refused, 4u);
}

TEST_F(RpcProgramsTest, BadCredentialsAreRefused) {
  auto refused = [&](const TestCall& c) {
    TestReply reply = answer_to(c);
    EXPECT_FALSE(reply.accepted);
    EXPECT_EQ(reply.status, 1u);  // AUTH_ERROR
    return reply.results.u32();
  };
  TestCall c = call(0);
  c.groups.assign(17, 1);
  EXPECT_EQ(refused(c), 1u);  // AUTH_BADCRED
  c = call(0);
  c.machine = std::string(256, 'm');
  EXPECT_EQ(refused(c), 1u);
  c = call(0);
  c.auth = 6;  // RPCSEC_GSS
  EXPECT_EQ(refused(c), 1u);
  c = call(0);
  c.verifier = 1;
  EXPECT_EQ(refused(c), 3u);  // AUTH_BADVERF
  EXPECT_EQ(program_->calls, 0);
}

TEST_F(RpcProgramsTest, WhatIsNoCallIsNotAnswered) {
  std::string record = call(0).encode();
  std::string reply = record;
  reply[7] = 1;
  for (const std::string& bad : {std::string(), record.substr(0, 4), record.substr(0, 20), reply}) {
    EXPECT_EQ(dispatch(bad).code(), Code::kCorrupt);
  }
  EXPECT_EQ(sink_->finished, 0);
  EXPECT_EQ(programs_.counters().malformed, 4u);
}

TEST_F(RpcProgramsTest, EveryTruncationOfACallIsAnsweredOrRefused) {
  TestCall c = call(0);
  c.groups = {1, 2, 3};
  std::string record = c.encode();
  for (size_t size = 24; size < record.size(); size++) {
    EXPECT_TRUE(dispatch(record.substr(0, size)).is_ok()) << size;
  }
  EXPECT_EQ(sink_->replies.size(), record.size() - 24);
}

TEST_F(RpcProgramsTest, ADroppedCallAnswersSystemError) {
  EXPECT_TRUE(dispatch(call(1).encode()).is_ok());
  EXPECT_TRUE(sink_->replies.empty());
  program_->kept[0]->charge(90);
  program_->kept.clear();
  ASSERT_EQ(sink_->replies.size(), 1u);
  EXPECT_EQ(parse_reply(sink_->replies[0]).status, 5u);  // SYSTEM_ERR
  EXPECT_EQ(sink_->released, 100u);
}

TEST_F(RpcProgramsTest, ARepetitionIsAnsweredWithoutDoingItTwice) {
  EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  program_->answer_kept(5);
  EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  EXPECT_EQ(program_->calls, 1);
  ASSERT_EQ(sink_->replies.size(), 2u);
  EXPECT_EQ(sink_->replies[0], sink_->replies[1]);
  EXPECT_EQ(programs_.counters().repetitions, 1u);
}

TEST_F(RpcProgramsTest, RepetitionsOfACallInWorkWaitForIt) {
  for (int i = 0; i < 8; i++) EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  EXPECT_EQ(program_->calls, 1);
  program_->answer_kept(6);
  EXPECT_EQ(sink_->replies.size(), 5u);  // the first, and the four that may wait
  EXPECT_EQ(sink_->finished, 8);         // nothing is kept of the others
}

TEST_F(RpcProgramsTest, OtherArgumentsClientsUsersOrXidsAreOtherCalls) {
  TestCall base = call(3), arguments = base, xid = base, user = base;
  arguments.arguments.u32(1);
  xid.xid++;
  user.uid++;
  for (const TestCall& c : {base, arguments, xid, user}) EXPECT_TRUE(dispatch(c.encode()).is_ok());
  EXPECT_EQ(program_->calls, 4);
  program_->answer_kept(1);
  EXPECT_TRUE(dispatch(base.encode(), "10.0.0.2").is_ok());
  EXPECT_EQ(program_->calls, 5);
  program_->kept.clear();
}

TEST_F(RpcProgramsTest, TheCacheForgetsTheOldestAndIsBounded) {
  auto run = [&](uint32_t xid) {
    TestCall c = call(3);
    c.xid = xid;
    EXPECT_TRUE(dispatch(c.encode()).is_ok());
    program_->answer_kept(xid);
  };
  for (uint32_t xid = 1; xid <= 5; xid++) run(xid);  // it holds four
  run(5);
  EXPECT_EQ(program_->calls, 5);
  run(1);
  EXPECT_EQ(program_->calls, 6);
}

TEST_F(RpcProgramsTest, CallsInWorkAreNotForgottenAndMoreThanFitStillRun) {
  for (uint32_t xid = 1; xid <= 6; xid++) {
    TestCall c = call(3);
    c.xid = xid;
    EXPECT_TRUE(dispatch(c.encode()).is_ok());
  }
  EXPECT_EQ(program_->calls, 6);
  EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  EXPECT_EQ(program_->calls, 6);
  program_->answer_kept(1);
  EXPECT_EQ(sink_->replies.size(), 7u);
}

TEST_F(RpcProgramsTest, ACallThatWasDroppedIsRunAgain) {
  EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  program_->kept.clear();
  EXPECT_TRUE(dispatch(call(3).encode()).is_ok());
  EXPECT_EQ(program_->calls, 2);
  program_->answer_kept(9);
  EXPECT_EQ(sink_->replies.size(), 2u);
}

}  // namespace
}  // namespace shima
