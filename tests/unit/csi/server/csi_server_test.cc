#include "csi/server/csi_server.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <map>

#include "csi/v1/csi.grpc.pb.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;

class SmallIdentity final : public v1::Identity::Service {
 public:
  grpc::Status GetPluginInfo(grpc::ServerContext*, const v1::GetPluginInfoRequest*,
                             v1::GetPluginInfoResponse* response) override {
    response->set_name("small");
    return grpc::Status::OK;
  }
  grpc::Status Probe(grpc::ServerContext*, const v1::ProbeRequest*, v1::ProbeResponse*) override {
    return {grpc::StatusCode::FAILED_PRECONDITION, "not yet"};
  }
};

class CsiServerTest : public testing::Test {
 protected:
  void SetUp() override {
    char folder[] = "/tmp/shima-csi-server.XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
    path_ = folder_ + "/csi.sock";
  }
  void TearDown() override {
    unlink(path_.c_str());
    EXPECT_EQ(rmdir(folder_.c_str()), 0) << "something was left in " << folder_;
  }

  Result<std::unique_ptr<CsiServer>> start() { return CsiServer::start(path_, {&identity_}, records_, true); }

  std::unique_ptr<v1::Identity::Stub> stub() const {
    return v1::Identity::NewStub(grpc::CreateChannel("unix:" + path_, grpc::InsecureChannelCredentials()));
  }

  std::string name_of_plugin() const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::GetPluginInfoResponse response;
    const grpc::Status status = stub()->GetPluginInfo(&context, {}, &response);
    return status.ok() ? response.name() : status.error_message();
  }

  // A socket file whose process ended without removing it.
  void leave_old_socket() const {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, path_.size());
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(fd);
  }

  std::string folder_, path_;
  SmallIdentity identity_;
  CallRecords records_;
};

TEST_F(CsiServerTest, ServesOnASocketOfItsOwnAndRemovesIt) {
  {
    auto server = start();
    ASSERT_TRUE(server.is_ok()) << server.status().to_string();
    struct stat found {};
    ASSERT_EQ(lstat(path_.c_str(), &found), 0);
    EXPECT_TRUE(S_ISSOCK(found.st_mode));
    EXPECT_EQ(found.st_mode & 0777, 0660u);
    EXPECT_EQ(name_of_plugin(), "small");
  }
  EXPECT_NE(access(path_.c_str(), F_OK), 0);
}

TEST_F(CsiServerTest, AnOldSocketIsReplaced) {
  leave_old_socket();
  auto server = start();
  ASSERT_TRUE(server.is_ok()) << server.status().to_string();
  EXPECT_EQ(name_of_plugin(), "small");
}

TEST_F(CsiServerTest, ASocketThatIsServedIsLeftAlone) {
  auto first = start();
  ASSERT_TRUE(first.is_ok());
  auto second = start();
  EXPECT_EQ(second.status().code(), Code::kAlreadyExists);
  EXPECT_EQ(name_of_plugin(), "small");
}

TEST_F(CsiServerTest, WhatIsNoSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_EQ(start().status().code(), Code::kFailedPrecondition);
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ(text, "precious");
  unlink(path_.c_str());
  ASSERT_EQ(symlink("/nowhere", path_.c_str()), 0);
  EXPECT_EQ(start().status().code(), Code::kFailedPrecondition);
}

TEST_F(CsiServerTest, AMissingFolderIsSaid) {
  auto server = CsiServer::start(folder_ + "/no/csi.sock", {&identity_}, records_, false);
  EXPECT_EQ(server.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(server.status().message().find("folder"), std::string::npos);
}

TEST_F(CsiServerTest, CallsAreCounted) {
  auto server = start();
  ASSERT_TRUE(server.is_ok());
  EXPECT_EQ(name_of_plugin(), "small");
  EXPECT_EQ(name_of_plugin(), "small");
  grpc::ClientContext context;
  v1::ProbeResponse response;
  EXPECT_EQ(stub()->Probe(&context, {}, &response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  std::map<std::string, double> values;
  for (const MetricSample& sample : records_.samples()) values[sample.name] = sample.value;
  EXPECT_EQ(values["csi_get_plugin_info_requests"], 2);
  EXPECT_EQ(values["csi_get_plugin_info_errors"], 0);
  EXPECT_EQ(values["csi_probe_requests"], 1);
  EXPECT_EQ(values["csi_probe_errors"], 1);
}

TEST_F(CsiServerTest, ARoleHasCountersAndASocketOfItsOwn) {
  CallRecords records("mounter");
  auto server = CsiServer::start(path_, {&identity_}, records, false, {0600, 64 << 10});
  ASSERT_TRUE(server.is_ok()) << server.status().to_string();
  struct stat found {};
  ASSERT_EQ(lstat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_EQ(name_of_plugin(), "small");
  ASSERT_FALSE(records.samples().empty());
  for (const MetricSample& sample : records.samples())
    EXPECT_TRUE(sample.name.starts_with("mounter_get_plugin_info_")) << sample.name;
  grpc::ClientContext context;
  v1::GetPluginInfoRequest big;
  big.GetReflection()->MutableUnknownFields(&big)->AddLengthDelimited(99, std::string(65 << 10, 'x'));
  v1::GetPluginInfoResponse response;
  EXPECT_EQ(stub()->GetPluginInfo(&context, big, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace shima
