#include "common/config/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace shima {
namespace {

std::vector<OptionSpec> specs() {
  OptionSpec path{.name = "path", .help = "Where.", .required = true};
  OptionSpec slots{.name = "slots",
                   .type = OptionType::kInteger,
                   .default_value = "4",
                   .min = 1,
                   .max = 8,
                   .help = "How many."};
  return {
      {.name = "name", .help = "Who.", .required = true},
      {.name = "level", .default_value = "info", .allowed = {"error", "info"}, .help = "What is logged."},
      {.name = "journal.segment_bytes",
       .type = OptionType::kBytes,
       .unit = "bytes",
       .default_value = "64MiB",
       .min = 1 << 20,
       .max = 1ull << 32,
       .help = "Segment."},
      {.name = "journal.sync", .type = OptionType::kBool, .default_value = "true", .help = "Sync."},
      {.name = "lease_ms",
       .type = OptionType::kDurationMs,
       .unit = "ms",
       .default_value = "6000",
       .min = 1000,
       .max = 60000,
       .help = "Lease."},
      {.name = "shards",
       .type = OptionType::kInteger,
       .default_value = "1",
       .min = 1,
       .max = 64,
       .help = "Loops."},
      {.name = "peers", .type = OptionType::kStringList, .max = 3, .help = "Others."},
      {.name = "labels", .type = OptionType::kStringMap, .help = "Labels."},
      {.name = "disks",
       .type = OptionType::kSectionList,
       .max = 2,
       .help = "Disks.",
       .fields = {path, slots}},
  };
}

Result<Config> parse(const std::string& yaml, const std::vector<std::string>& flags = {}) {
  return parse_config(specs(), yaml, "shima.yaml", flags);
}

std::string error_of(const std::string& yaml, const std::vector<std::string>& flags = {}) {
  Result<Config> c = parse(yaml, flags);
  return c ? "accepted" : c.status().message();
}

void expect_error(const std::string& found, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    EXPECT_NE(found.find(part), std::string::npos) << found << "\nlacks: " << part;
}

TEST(Config, TakesEveryTypeFromTheFile) {
  Config c = parse(
                 "name: a\n"
                 "level: error\n"
                 "journal:\n  segment_bytes: 128MiB\n  sync: false\n"
                 "lease_ms: 6s\n"
                 "shards: 4\n"
                 "peers: [x, 'y']\n"
                 "labels: {zone: z1}\n"
                 "disks:\n  - path: /d0\n  - path: /d1\n    slots: 8\n")
                 .value();
  EXPECT_EQ(c.text("name"), "a");
  EXPECT_EQ(c.text("level"), "error");
  EXPECT_EQ(c.number("journal.segment_bytes"), 128u << 20);
  EXPECT_FALSE(c.boolean("journal.sync"));
  EXPECT_EQ(c.number("lease_ms"), 6000u);
  EXPECT_EQ(c.list("peers"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(c.map("labels").at("zone"), "z1");
  ASSERT_EQ(c.sections("disks").size(), 2u);
  EXPECT_EQ(c.sections("disks")[0].number("slots"), 4u);
  EXPECT_EQ(c.sections("disks")[1].text("path"), "/d1");
}

TEST(Config, HasDefaultsForWhatIsNotGiven) {
  Config c = parse("name: a").value();
  EXPECT_EQ(c.number("journal.segment_bytes"), 64u << 20);
  EXPECT_TRUE(c.boolean("journal.sync"));
  EXPECT_FALSE(c.given("shards"));
  EXPECT_TRUE(c.given("name"));
  EXPECT_TRUE(c.list("peers").empty());
}

TEST(Config, FlagsWinOverTheFile) {
  Config c = parse("name: a\nshards: 2\njournal: {sync: true}",
                   {"--shards=3", "--journal.segment_bytes", "1GiB", "--peers=a,b", "--journal.sync=false"})
                 .value();
  EXPECT_EQ(c.number("shards"), 3u);
  EXPECT_EQ(c.number("journal.segment_bytes"), 1u << 30);
  EXPECT_EQ(c.list("peers").size(), 2u);
  EXPECT_FALSE(c.boolean("journal.sync"));
  EXPECT_EQ(c.origin("shards"), "--shards");
}

TEST(Config, AnUnknownKeyIsRefusedWithItsLineAndTheNearestName) {
  expect_error(error_of("name: a\n\njournal:\n  segment_byte: 1GiB\n"),
               {"shima.yaml:4: journal.segment_byte", "did you mean journal.segment_bytes?"});
  expect_error(error_of("name: a\nsegment_bytes: 1GiB\n"),
               {"shima.yaml:2: segment_bytes", "journal.segment_bytes?"});
  expect_error(error_of("name: a\nentirely_else: 1\n"), {"shima.yaml:2: entirely_else", "--help"});
  expect_error(error_of("name: a\ndisks:\n  - path: /x\n    slot: 1\n"),
               {"shima.yaml:4: disks[0].slot", "disks[0].slots?"});
  expect_error(error_of("name: a", {"--shard=3"}), {"--shard:", "did you mean shards?"});
}

TEST(Config, AWrongTypeIsRefusedWithWhatWasFoundAndWhatIsAllowed) {
  expect_error(error_of("name: a\nshards: many\n"),
               {"shima.yaml:2: shards", "found \"many\"", "an integer from 1 to 64"});
  expect_error(error_of("name: a\nshards: [1]\n"), {"shima.yaml:2: shards", "found a list"});
  expect_error(error_of("name: a\nshards: -1\n"), {"found \"-1\""});
  expect_error(error_of("name: a\nshards: 1.5\n"), {"found \"1.5\""});
  expect_error(error_of("name: a\njournal: 3\n"), {"shima.yaml:2: journal", "wanted a section"});
  expect_error(error_of("name: a\njournal: {sync: 1}\n"), {"true or false"});
  expect_error(error_of("name: a\npeers: x\n"), {"shima.yaml:2: peers", "a list"});
  expect_error(error_of("name: a\nlevel: loud\n"), {"found \"loud\"", "one of error, info"});
  expect_error(error_of("name: a\nshards:\n"), {"shards", "found nothing"});
  expect_error(error_of("- name\n"), {"shima.yaml:1", "key: value"});
}

TEST(Config, OutOfBoundsIsRefusedWithTheBounds) {
  expect_error(error_of("name: a\njournal: {segment_bytes: 1KiB}\n"), {"shima.yaml:2", "from 1MiB to 4GiB"});
  expect_error(error_of("name: a\nshards: 65\n"), {"from 1 to 64"});
  expect_error(error_of("name: a\nshards: 99999999999999999999999\n"), {"from 1 to 64"});
  expect_error(error_of("name: a\nlease_ms: 2min\n"), {"from 1000ms to 60000ms"});
  expect_error(error_of("name: a\npeers: [a, b, c, d]\n"), {"found 4 items", "0 to 3"});
  expect_error(error_of("name: a", {"--shards=0"}), {"--shards: found \"0\""});
}

TEST(Config, WhatIsRequiredAndMissingIsNamed) {
  expect_error(error_of("shards: 1\n"), {"shima.yaml: name", "is missing", "Who."});
  expect_error(error_of("name: a\ndisks: [{slots: 1}]\n"), {"disks[0].path", "is missing"});
  expect_error(error_of("name: ''\n"), {"shima.yaml:1: name", "must not be empty"});
}

TEST(Config, AKeyThatIsThereTwiceIsRefused) {
  expect_error(error_of("name: a\nname: b\n"), {"shima.yaml:2: name", "twice"});
  expect_error(error_of("name: a", {"--shards=1", "--shards=2"}), {"--shards", "twice"});
}

TEST(Config, BrokenYamlIsRefusedWithItsLine) {
  expect_error(error_of("name: a\nshards: [1\n"), {"shima.yaml:", "not YAML"});
  expect_error(error_of("name: a: b\n"), {"shima.yaml:1: this is not YAML"});
  expect_error(error_of("name: a\n\tshards: 1\n"), {"not YAML"});
}

TEST(Config, MalformedFlagsAreRefused) {
  expect_error(error_of("name: a", {"shards=1"}), {"shards=1: is not a flag"});
  expect_error(error_of("name: a", {"--shards"}), {"--shards: has no value"});
  expect_error(error_of("name: a", {"--labels=x"}), {"only the configuration file"});
}

TEST(CommandLine, ReadsTheFileThatItNames) {
  const std::string path = testing::TempDir() + "/shima-options-test-" + std::to_string(::getpid()) + ".yaml";
  std::ofstream(path) << "name: from-file\nshards: 2\n";
  std::string config = "--config=" + path;
  const char* argv[] = {"prog", config.c_str(), "--shards=5"};
  CommandLine line = load_command_line(specs(), 3, argv).value();
  EXPECT_EQ(line.config.text("name"), "from-file");
  EXPECT_EQ(line.config.number("shards"), 5u);
  const char* missing[] = {"prog", "--config", "/nonexistent/shima.yaml"};
  EXPECT_EQ(load_command_line(specs(), 3, missing).status().code(), Code::kNotFound);
  const char* help[] = {"prog", "--help"};
  EXPECT_EQ(load_command_line(specs(), 2, help)->wanted, CommandLine::Wanted::kHelp);
  std::filesystem::remove(path);
}

TEST(Sizes, AreReadAndWrittenWithBinarySuffixes) {
  EXPECT_EQ(parse_bytes("4096").value(), 4096u);
  EXPECT_EQ(parse_bytes("10 GiB").value(), 10ull << 30);
  EXPECT_EQ(parse_bytes("2TiB").value(), 2ull << 40);
  for (const char* bad : {"", "GiB", "1GB", "1.5GiB", "-1", "99999999TiB", "1 GiB x"})
    EXPECT_FALSE(parse_bytes(bad)) << bad;
  EXPECT_EQ(format_bytes(64u << 20), "64MiB");
  EXPECT_EQ(format_bytes(4097), "4097");
}

TEST(Reference, NamesEveryOptionWithDefaultAndBounds) {
  std::string table = reference_table(specs());
  expect_error(table, {"| `journal.segment_bytes` | size, bytes | 64MiB | 1MiB to 4GiB | Segment. |",
                       "`disks[].slots`", "error, info"});
  expect_error(help_text(specs(), "prog", "does things"),
               {"--journal.segment_bytes=size", "labels (file only)"});
}

}  // namespace
}  // namespace shima
