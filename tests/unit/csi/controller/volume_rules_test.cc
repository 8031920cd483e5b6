#include <gtest/gtest.h>

#include <map>
#include <set>

#include "csi/controller/capability_check.h"
#include "csi/controller/capacity_range.h"
#include "csi/controller/class_parameters.h"
#include "csi/controller/volume_description.h"
#include "csi/controller/volume_names.h"
#include "csi/server/field_sizes.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;
using grpc::StatusCode;

constexpr int64_t kMiB = 1 << 20, kGiB = 1ll << 30, kTiB = 1ll << 40;

std::pair<StatusCode, uint64_t> size_of(int64_t required, int64_t limit) {
  v1::CapacityRange range;
  range.set_required_bytes(required);
  range.set_limit_bytes(limit);
  uint64_t bytes = 0;
  const grpc::Status status = choose_size(range, bytes);
  return {status.error_code(), bytes};
}

TEST(CapacityRange, SizesAreRoundedUpToSteps) {
  EXPECT_EQ(size_of(0, 0), std::pair(StatusCode::OK, uint64_t{10 * kGiB}));
  EXPECT_EQ(size_of(kGiB, 0), std::pair(StatusCode::OK, uint64_t{kGiB}));
  EXPECT_EQ(size_of(kGiB + 1, 0), std::pair(StatusCode::OK, uint64_t{kGiB + 4096}));
  EXPECT_EQ(size_of(1, 0), std::pair(StatusCode::OK, uint64_t{kMiB}));
  EXPECT_EQ(size_of(16 * kTiB, 0), std::pair(StatusCode::OK, uint64_t{16 * kTiB}));
}

TEST(CapacityRange, LimitsAreKept) {
  EXPECT_EQ(size_of(kGiB, kGiB), std::pair(StatusCode::OK, uint64_t{kGiB}));
  EXPECT_EQ(size_of(0, 5 * kGiB + 1), std::pair(StatusCode::OK, uint64_t{5 * kGiB}));
  EXPECT_EQ(size_of(0, 50 * kGiB), std::pair(StatusCode::OK, uint64_t{10 * kGiB}));
  EXPECT_EQ(size_of(kGiB + 1, kGiB + 1).first, StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(size_of(1, kMiB - 1).first, StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(size_of(0, kMiB - 1).first, StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(size_of(16 * kTiB + 1, 0).first, StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(size_of(INT64_MAX, INT64_MAX).first, StatusCode::OUT_OF_RANGE);
}

TEST(CapacityRange, NonsenseIsInvalid) {
  EXPECT_EQ(size_of(-1, 0).first, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(size_of(0, INT64_MIN).first, StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(size_of(2 * kGiB, kGiB).first, StatusCode::INVALID_ARGUMENT);
}

using Map = google::protobuf::Map<std::string, std::string>;

std::string parameters_error(const std::map<std::string, std::string>& given,
                             ClassParameters* out = nullptr) {
  ClassParameters parameters;
  const grpc::Status status = parse_class_parameters(Map(given.begin(), given.end()), parameters);
  if (out) *out = parameters;
  EXPECT_TRUE(status.ok() || status.error_code() == StatusCode::INVALID_ARGUMENT);
  return status.error_message();
}

TEST(ClassParameters, AllOfThemAreTaken) {
  ClassParameters p;
  ASSERT_EQ(parameters_error({{"protocol", "nfs"},
                              {"ack", "all"},
                              {"copies", "2"},
                              {"sites", "site-a,site-b"},
                              {"home", "site-b"},
                              {"blockSize", "64KiB"},
                              {"groups", "1024"},
                              {"maxInodes", "1000"},
                              {"csi.storage.k8s.io/fstype", "whatever"},
                              {"csi.storage.k8s.io/pvc/name", "p"}},
                             &p),
            "");
  EXPECT_EQ(p.protocol, "nfs");
  EXPECT_TRUE(p.ack_all);
  EXPECT_EQ(p.copies, 2u);
  EXPECT_EQ(p.sites, (std::vector<std::string>{"site-a", "site-b"}));
  EXPECT_EQ(p.home, "site-b");
  EXPECT_EQ(p.block_size, 65536u);
  EXPECT_EQ(p.groups, 1024u);
  EXPECT_EQ(p.max_inodes, 1000u);
}

TEST(ClassParameters, UnknownOnesAreNamedWithThoseThatAreKnown) {
  const std::string error = parameters_error({{"blocksize", "1MiB"}});
  EXPECT_NE(error.find("\"blocksize\""), std::string::npos) << error;
  EXPECT_NE(error.find("blockSize"), std::string::npos) << error;
}

TEST(ClassParameters, WrongValuesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> wrong = {{"protocol", "smb"},
                                                                  {"protocol", ""},
                                                                  {"ack", "none"},
                                                                  {"copies", "0"},
                                                                  {"copies", "17"},
                                                                  {"copies", "-1"},
                                                                  {"copies", "2 "},
                                                                  {"copies", "0x2"},
                                                                  {"copies", "99999999999999999999"},
                                                                  {"sites", ""},
                                                                  {"sites", "a,"},
                                                                  {"sites", "a,a"},
                                                                  {"sites", "A"},
                                                                  {"sites", "a b"},
                                                                  {"home", ""},
                                                                  {"home", "site/a"},
                                                                  {"blockSize", "0"},
                                                                  {"blockSize", "3MiB"},
                                                                  {"blockSize", "8MiB"},
                                                                  {"blockSize", "32KiB"},
                                                                  {"blockSize", "x"},
                                                                  {"groups", "0"},
                                                                  {"groups", "1025"},
                                                                  {"maxInodes", "-5"},
                                                                  {"maxInodes", "many"},
                                                                  {"", ""}};
  for (const auto& [key, value] : wrong) {
    const std::string error = parameters_error({{key, value}});
    EXPECT_NE(error, "") << key << "=" << value;
    EXPECT_NE(error.find(key), std::string::npos) << error;
  }
}

TEST(ClassParameters, OnesThatDisagreeAreRefused) {
  EXPECT_NE(parameters_error({{"copies", "3"}, {"sites", "a,b"}}), "");
  EXPECT_NE(parameters_error({{"home", "c"}, {"sites", "a,b"}}), "");
  EXPECT_EQ(parameters_error({{"home", "c"}, {"copies", "1"}}), "");
}

TEST(VolumeNames, GoodNamesStay) {
  for (const std::string name : {"a", "pvc-0f3c.x", "9-"}) EXPECT_EQ(volume_name_for(name), name);
  EXPECT_EQ(volume_name_for(std::string(63, 'a')), std::string(63, 'a'));
}

TEST(VolumeNames, OthersAreHashed) {
  std::set<std::string> ids;
  for (const std::string& name :
       {std::string(64, 'a'), std::string("A"), std::string("-a"), std::string("a b"), std::string("a/b"),
        std::string("\xc3\xa4"), std::string(".a")}) {
    const std::string id = volume_name_for(name);
    EXPECT_TRUE(can_be_volume_name(id)) << id;
    EXPECT_EQ(id.size(), 44u);
    EXPECT_EQ(id, volume_name_for(name));
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 7u);
  // sha256("A") begins so (FIPS 180-4; any sha256sum says the same).
  EXPECT_EQ(volume_name_for("A"), "csi-559aead08264d5795d3909718cdd05abd49572e8");
}

TEST(VolumeNames, ANameThatLooksHashedIsHashedToo) {
  const std::string id = volume_name_for("A");
  EXPECT_NE(volume_name_for(id), id);
  EXPECT_EQ(volume_name_for("csi-1"), "csi-1");
}

TEST(VolumeNames, ControlCharactersAreBanned) {
  for (const std::string& name :
       {std::string("a\x01"), std::string("\0", 1), std::string("a\x0b"), std::string("a\x1f"),
        std::string("a\x7f"), std::string("a\xc2\x80"), std::string("a\xc2\x9f"), std::string()})
    EXPECT_EQ(check_csi_name(name).error_code(), StatusCode::INVALID_ARGUMENT);
  for (const std::string& name :
       {std::string("a\tb\nc\rd"), std::string("a\xc2\xa0"), std::string("\xe2\x82\xac")})
    EXPECT_TRUE(check_csi_name(name).ok());
}

v1::VolumeCapability capability(int mode, bool block = false) {
  v1::VolumeCapability c;
  c.mutable_access_mode()->set_mode(static_cast<v1::VolumeCapability::AccessMode::Mode>(mode));
  if (block) {
    c.mutable_block();
  } else {
    c.mutable_mount();
  }
  return c;
}

TEST(CapabilityCheck, EveryModeIsGoodForBothKinds) {
  for (int mode = 1; mode <= 7; mode++) {
    EXPECT_TRUE(check_capability(capability(mode), "fuse").ok()) << mode;
    EXPECT_TRUE(check_capability(capability(mode, true), "nfs").ok()) << mode;
  }
}

TEST(CapabilityCheck, WhatIsMissingOrUnknownIsInvalid) {
  for (const int mode : {0, 8, -1, 1000}) {
    const grpc::Status status = check_capability(capability(mode), "fuse");
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << mode;
    EXPECT_NE(status.error_message().find("access_mode"), std::string::npos);
  }
  v1::VolumeCapability c = capability(1);
  c.clear_access_type();
  EXPECT_EQ(check_capability(c, "fuse").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(check_capability({}, "fuse").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(check_capabilities({}, "fuse").error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST(CapabilityCheck, MountsAreChecked) {
  v1::VolumeCapability c = capability(1);
  c.mutable_mount()->set_fs_type("ext4");
  EXPECT_EQ(check_capability(c, "fuse").error_code(), StatusCode::INVALID_ARGUMENT);
  c.mutable_mount()->set_fs_type("shima");
  EXPECT_TRUE(check_capability(c, "fuse").ok());
  c.mutable_mount()->add_mount_flags("nosuid");
  EXPECT_TRUE(check_capability(c, "fuse").ok());
  c.mutable_mount()->add_mount_flags("bind");
  EXPECT_EQ(check_capability(c, "fuse").error_code(), StatusCode::INVALID_ARGUMENT);
  c.mutable_mount()->clear_mount_flags();
  for (const std::string group : {"x", "-1", "4294967295", "1.5", " 1"}) {
    c.mutable_mount()->set_volume_mount_group(group);
    EXPECT_EQ(check_capability(c, "fuse").error_code(), StatusCode::INVALID_ARGUMENT) << group;
  }
  c.mutable_mount()->set_volume_mount_group("107");
  EXPECT_TRUE(check_capability(c, "fuse").ok());
}

TEST(VolumeDescription, ConditionsAreShortAndTrue) {
  cluster::v1::VolumeHealth health;
  v1::VolumeCondition condition;
  health.set_healthy(true);
  describe_condition(health, condition);
  EXPECT_FALSE(condition.abnormal());
  EXPECT_FALSE(condition.message().empty());
  health.set_healthy(false);
  for (int i = 0; i < 20; i++) health.add_reasons("group 1: server site-b/core-0 is away");
  describe_condition(health, condition);
  EXPECT_TRUE(condition.abnormal());
  EXPECT_EQ(condition.message().size(), kMaxTextBytes);
}

TEST(VolumeDescription, NodesAreNamedAsTheyNamedThemselves) {
  cluster::v1::Publication publication;
  publication.set_node("n1");
  publication.set_site("site-a");
  publication.add_addresses("10.0.0.1");
  EXPECT_EQ(node_id_of(publication), "n1|site-a|10.0.0.1");
  google::protobuf::RepeatedPtrField<cluster::v1::Publication> many;
  for (int i = 0; i < 7; i++) many.Add()->set_node("n" + std::to_string(i));
  EXPECT_EQ(names_of_nodes(many), "n0, n1, n2, n3, n4 and 2 others");
}

}  // namespace
}  // namespace shima
