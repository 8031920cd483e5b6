// What each recorded release wrote is still read, and this release writes what is on record for it.
#include <gtest/gtest.h>

#include <filesystem>

#include "common/release/release.h"
#include "tests/compatibility/baseline_files.h"
#include "tests/compatibility/format_samples.h"

namespace shima {
namespace {

// This release and the one before it: more is not promised.
std::vector<uint32_t> releases_that_count() {
  std::vector<uint32_t> releases = recorded_releases().value();
  std::erase_if(releases, [](uint32_t release) { return release + 1 < kRelease; });
  return releases;
}

std::string baseline_text(const FormatSample& format, const std::string& bytes) {
  if (!format.text) return hex_text_of(bytes);
  return bytes.ends_with('\n') ? bytes : bytes + "\n";
}

TEST(FormatBaseline, HexTextComesBackAsTheBytesThatItWas) {
  for (const std::string& bytes :
       {std::string(), std::string("x"), std::string(100, '\0'), std::string(4096, '\0') + "end",
        std::string("\xff\0\x10", 3) + std::string(64, '\0')}) {
    EXPECT_EQ(bytes_from_hex_text(hex_text_of(bytes)).value(), bytes);
  }
}

TEST(FormatBaseline, HexTextThatIsNoneIsRefused) {
  for (const char* text : {"", "000000: 0", "000000: zz\nsize 1\n", "000020: 00\n000000: 00\nsize 33\n",
                           "size -1\n", "000000: 00\nsize 99999999999\n", "000000: 0000\nsize 1\n"}) {
    EXPECT_EQ(bytes_from_hex_text(text).status().code(), Code::kCorrupt) << text;
  }
}

TEST(FormatBaseline, ThisReleaseIsOnRecord) {
  const auto releases = recorded_releases().value();
  ASSERT_FALSE(releases.empty());
  EXPECT_EQ(releases.back(), kRelease)
      << "a release with another number needs a baseline of its own: hack/record-formats";
}

TEST(FormatBaseline, WhatThisReleaseAndTheOneBeforeWroteIsRead) {
  size_t read = 0;
  for (const uint32_t release : releases_that_count()) {
    for (const FormatSample& format : all_formats()) {
      const std::string path = baseline_folder(release) + "/" + format.file();
      if (release != kRelease && !std::filesystem::exists(path)) continue;  // a format that came later
      const auto text = read_text(path);
      ASSERT_TRUE(text) << text.status().to_string();
      const auto bytes = format.text ? text : bytes_from_hex_text(*text);
      ASSERT_TRUE(bytes) << path << ": " << bytes.status().to_string();
      const Status good = format.read(*bytes);
      EXPECT_TRUE(good) << path << ": " << good.to_string();
      ++read;
    }
  }
  EXPECT_GE(read, all_formats().size());
}

TEST(FormatBaseline, ThisReleaseWritesWhatIsOnRecordForIt) {
  for (const FormatSample& format : all_formats()) {
    const auto recorded = read_text(baseline_folder(kRelease) + "/" + format.file());
    ASSERT_TRUE(recorded) << recorded.status().to_string();
    EXPECT_EQ(baseline_text(format, format.write()), *recorded)
        << format.name
        << " is written otherwise than it is on record. If it was released so, the release before cannot "
           "read "
        << "it: see \"Changing a format\" in docs/explanation/upgrades.md";
  }
}

// Nothing is on record that no sample reads: else a format could vanish unseen.
TEST(FormatBaseline, EachRecordedFormatHasAReader) {
  std::vector<std::string> known;
  for (const FormatSample& format : all_formats()) known.push_back(format.file());
  for (const uint32_t release : releases_that_count()) {
    for (const auto& entry : std::filesystem::directory_iterator(baseline_folder(release) + "/formats")) {
      const std::string name = "formats/" + entry.path().filename().string();
      EXPECT_NE(std::find(known.begin(), known.end(), name), known.end())
          << name << " of release " << release;
    }
  }
}

// A reader that takes anything would prove nothing.
TEST(FormatBaseline, ReadersRefuseBytesThatAreCutShort) {
  for (const FormatSample& format : all_formats()) {
    const std::string bytes = format.write();
    EXPECT_FALSE(format.read(bytes.substr(0, 1))) << format.name;
    EXPECT_FALSE(format.read("")) << format.name;
  }
}

}  // namespace
}  // namespace shima
