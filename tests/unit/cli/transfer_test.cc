// shimactl volume import, export and checksum through the real volume client, against fake core servers.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "cli/shimactl.h"
#include "coreserver/rpc/control_server.h"
#include "tests/unit/accessserver/volume/fake_core_server.h"
#include "tests/unit/coreserver/rpc/fake_facade.h"

namespace shima {
namespace {

namespace fs = std::filesystem;

class Transfer : public testing::Test {
 protected:
  Transfer()
      : volume_(std::make_shared<FakeVolume>(1u << 20)),
        control_(std::move(ControlServer::start(facade_, "127.0.0.1", 0)).value()),
        directory_(fs::temp_directory_path() / ("shima-transfer-" + std::to_string(::getpid()))) {
    for (ServerInfo& server : facade_.servers) {
      cores_.push_back(std::make_unique<FakeCoreServer>(volume_, server.id.value));
      server.networks.client = {"127.0.0.1", cores_.back()->port()};
    }
    fs::create_directories(directory_);
  }
  ~Transfer() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ / name; }

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--endpoints", "127.0.0.1:" + std::to_string(control_->port())});
    std::ostringstream out, err;
    const int code = run_shimactl(arguments, out, err);
    out_ = out.str();
    err_ = err.str();
    return code;
  }
  nlohmann::json json() const { return nlohmann::json::parse(out_); }

  // Data, a hole, data; the size is no multiple of anything.
  std::string make_image(const std::string& name, uint64_t size, unsigned seed) {
    std::mt19937_64 random(seed);
    std::string bytes(size, '\0');
    for (uint64_t at = 0; at < size; ++at) {
      if (at < size / 3 || at > size / 2) bytes[at] = static_cast<char>(random());
    }
    std::ofstream(path(name), std::ios::binary) << bytes;
    return bytes;
  }
  std::string read_file(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static std::string sha256(const std::string& bytes) {
    uint8_t sum[32];
    unsigned length = 0;
    EVP_Digest(bytes.data(), bytes.size(), sum, &length, EVP_sha256(), nullptr);
    std::string text;
    for (uint8_t byte : sum) {
      char hex[3];
      std::snprintf(hex, sizeof hex, "%02x", byte);
      text += hex;
    }
    return text;
  }

  FakeFacade facade_;
  std::shared_ptr<FakeVolume> volume_;
  std::vector<std::unique_ptr<FakeCoreServer>> cores_;
  std::unique_ptr<ControlServer> control_;
  const fs::path directory_;
  std::string out_, err_;
};

TEST_F(Transfer, WhatIsImportedComesBackAndHasTheSameChecksumEverywhere) {
  const std::string image = make_image("image", 9'000'001, 1);
  ASSERT_EQ(run({"volume", "create", "db"}), 0) << err_;
  ASSERT_EQ(run({"volume", "import", "db", path("image"), "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["bytes"], image.size());
  EXPECT_LT(json()["written_bytes"], image.size() * 9 / 10);
  EXPECT_EQ(json()["punched_bytes"], 0);
  EXPECT_GT(json()["ack_p99_us"], 0);
  EXPECT_EQ(facade_.volumes["db"].size_bytes, image.size());
  EXPECT_TRUE(err_.empty()) << err_;

  ASSERT_EQ(run({"volume", "export", "db", path("out")}), 0) << err_;
  EXPECT_TRUE(read_file("out") == image);
  ASSERT_EQ(run({"volume", "export", "db", path("out-c"), "--site", "site-c", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["own_replica"], true);
  EXPECT_TRUE(read_file("out-c") == image);

  ASSERT_EQ(run({"volume", "checksum", "db", "--site", "site-b"}), 0) << err_;
  EXPECT_EQ(out_, sha256(image) + "  db at site-b\n");
  ASSERT_EQ(run({"volume", "checksum", "db", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["sha256"], sha256(image));
}

TEST_F(Transfer, ASecondImportLeavesNothingOfTheFirst) {
  make_image("first", 6'000'000, 1);
  std::string second = make_image("second", 2'500'000, 2);
  ASSERT_EQ(run({"volume", "create", "db", "--size", "6000000"}), 0) << err_;
  ASSERT_EQ(run({"volume", "import", "db", path("first")}), 0) << err_;
  EXPECT_NE(out_.find("ACK latency p50"), std::string::npos) << out_;
  ASSERT_EQ(run({"volume", "import", "db", path("second"), "-o", "json"}), 0) << err_;
  EXPECT_GE(json()["punched_bytes"], 3'500'000);
  second.resize(6'000'000, '\0');
  ASSERT_EQ(run({"volume", "checksum", "db", "--site", "site-a", "-o", "json"}), 0) << err_;
  EXPECT_EQ(json()["sha256"], sha256(second));
}

TEST_F(Transfer, AFullDiskEndsAnImportWithSeven) {
  make_image("image", 5'000'000, 1);
  ASSERT_EQ(run({"volume", "create", "db"}), 0) << err_;
  cores_[0]->behave([](const data::v1::Header&) { return Behaviour{.code = Code::kNoSpace}; });
  EXPECT_EQ(run({"volume", "import", "db", path("image")}), 7);
  EXPECT_NE(err_.find("importing"), std::string::npos) << err_;
}

}  // namespace
}  // namespace shima
