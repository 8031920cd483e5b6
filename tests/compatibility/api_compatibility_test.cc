// Messages and services are still what the clients and servers of the recorded releases know.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "common/release/release.h"
#include "tests/compatibility/api_description.h"
#include "tests/compatibility/baseline_files.h"

namespace shima {
namespace {

namespace pb = google::protobuf;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

// Of a message `t.M` with these parts, in protobuf's text form.
ApiDescription described(const std::string& parts) {
  pb::FileDescriptorProto file;
  const std::string text = "name: 't.proto' package: 't' syntax: 'proto3' message_type { name: 'M' " + parts +
                           " }" + " enum_type { name: 'E' value { name: 'ZERO' number: 0 } }";
  EXPECT_TRUE(pb::TextFormat::ParseFromString(text, &file)) << text;
  pb::DescriptorPool pool;
  const pb::FileDescriptor* built = pool.BuildFile(file);
  EXPECT_NE(built, nullptr) << text;
  return describe_api({built});
}

std::string field(const std::string& name, int number, const std::string& type = "TYPE_UINT64",
                  const std::string& label = "LABEL_OPTIONAL") {
  return "field { name: '" + name + "' number: " + std::to_string(number) + " type: " + type +
         " label: " + label + " } ";
}

const std::string kBefore = field("a", 1) + field("b", 2);

TEST(ApiCompatibility, AddingAFieldBreaksNobody) {
  EXPECT_EQ(breaks_of_api(described(kBefore), described(kBefore + field("c", 3))),
            std::vector<std::string>());
}

TEST(ApiCompatibility, AFieldOfAnotherNumberNameTypeOrLabelBreaks) {
  for (const std::string& now : {field("a", 1) + field("b", 3), field("a", 1) + field("x", 2),
                                 field("a", 1) + field("b", 2, "TYPE_STRING"), field("a", 2) + field("b", 1),
                                 field("a", 1) + field("b", 2, "TYPE_UINT64", "LABEL_REPEATED")}) {
    EXPECT_FALSE(breaks_of_api(described(kBefore), described(now)).empty()) << now;
  }
}

TEST(ApiCompatibility, AFieldMayGoOnlyIfItsNumberIsReserved) {
  EXPECT_EQ(breaks_of_api(described(kBefore), described(field("a", 1))).size(), 1u);
  EXPECT_TRUE(
      breaks_of_api(described(kBefore), described(field("a", 1) + "reserved_range { start: 2 end: 3 }"))
          .empty());
}

TEST(ApiCompatibility, AReservationMayNotBeTakenBack) {
  const std::string reserved = field("a", 1) + "reserved_range { start: 2 end: 3 }";
  EXPECT_EQ(breaks_of_api(described(reserved), described(kBefore)).size(), 1u);
}

TEST(ApiCompatibility, AMethodOrAServiceMayNotGo) {
  ApiDescription before = described(kBefore), now = before;
  before["method t.S.Do"] = "t.M to t.M";
  EXPECT_EQ(breaks_of_api(before, now).size(), 1u);
  now["method t.S.Do"] = "t.M to stream t.M";
  EXPECT_EQ(breaks_of_api(before, now).size(), 1u);
}

TEST(ApiCompatibility, ADescriptionComesBackFromItsText) {
  const ApiDescription api = describe_api(api_files());
  EXPECT_EQ(api_description_from(text_of(api)), api);
  EXPECT_EQ(api.at("field shima.data.v1.Greeting 3"), "expected_server_id, uint64");
}

TEST(ApiCompatibility, EveryFileOfTheApiIsDescribed) {
  std::vector<std::string> described;
  for (const pb::FileDescriptor* file : api_files()) described.push_back(file->name());
  const std::filesystem::path top = SHIMA_SOURCE_DIR "/api";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(top / "shima")) {
    if (entry.path().extension() != ".proto") continue;
    const std::string name = std::filesystem::relative(entry.path(), top);
    EXPECT_NE(std::find(described.begin(), described.end(), name), described.end())
        << name << ": name one of its messages in api_files()";
  }
}

// Of the release before, too: a number that was given there is not given anew here.
TEST(ApiCompatibility, NothingBreaksWhoKnowsThisReleaseOrTheOneBefore) {
  const ApiDescription now = describe_api(api_files());
  const std::vector<uint32_t> releases = recorded_releases().value();
  ASSERT_FALSE(releases.empty());
  for (const uint32_t release : releases) {
    if (release + 1 < kRelease) continue;
    const auto text = read_text(baseline_folder(release) + "/api.txt");
    ASSERT_TRUE(text) << text.status().to_string();
    const ApiDescription before = api_description_from(*text);
    EXPECT_GT(before.size(), 100u);
    const auto breaks = breaks_of_api(before, now);
    EXPECT_TRUE(breaks.empty()) << "release " << release << ":" << joined(breaks);
  }
}

// The number that decides and the version that people read go together: 0.1.x is release 1.
TEST(ApiCompatibility, TheNumberOfTheReleaseIsThatOfTheVersion) {
  EXPECT_EQ(software_version(), SHIMA_VERSION);
  EXPECT_TRUE(software_version().starts_with("0." + std::to_string(kRelease) + "."))
      << "version " << software_version() << " is not of release " << kRelease
      << ": raise kRelease in common/release/release.h with each minor version";
}

}  // namespace
}  // namespace shima
