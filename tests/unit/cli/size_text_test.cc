#include "cli/size_text.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(SizeText, PlainNumbersAreBytesAndUnitsAreBinary) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("4096").value(), 4096u);
  EXPECT_EQ(parse_size("12B").value(), 12u);
  EXPECT_EQ(parse_size("64KiB").value(), 65536u);
  EXPECT_EQ(parse_size("1 MiB").value(), 1u << 20);
  EXPECT_EQ(parse_size("10GiB").value(), 10ull << 30);
  EXPECT_EQ(parse_size("2TiB").value(), 2ull << 40);
}

TEST(SizeText, WhatIsNoSizeIsRefusedWithWhatIsAllowed) {
  for (const char* text : {"", "GiB", "-1", "1.5GiB", "10GB", "10gib", "1MiBx", "0x10", " 1"}) {
    auto size = parse_size(text);
    ASSERT_FALSE(size.is_ok()) << text;
    EXPECT_EQ(size.status().code(), Code::kInvalidArgument);
    EXPECT_NE(size.status().message().find("64KiB"), std::string::npos);
  }
}

TEST(SizeText, SizesThatDoNotFitAreRefused) {
  EXPECT_TRUE(parse_size("16777215TiB").is_ok());
  EXPECT_FALSE(parse_size("16777216TiB").is_ok());
  EXPECT_FALSE(parse_size("99999999999999999999").is_ok());
}

TEST(SizeText, DurationsAreSecondsUnlessAUnitIsGiven) {
  EXPECT_EQ(parse_duration_ms("2").value(), 2000);
  EXPECT_EQ(parse_duration_ms("0.5").value(), 500);
  EXPECT_EQ(parse_duration_ms("500ms").value(), 500);
  EXPECT_EQ(parse_duration_ms("2s").value(), 2000);
  EXPECT_EQ(parse_duration_ms("1min").value(), 60000);
  for (const char* text : {"", "0", "-1", "s", "1h", "nan", "inf", "100000", "1e300"}) {
    EXPECT_FALSE(parse_duration_ms(text).is_ok()) << text;
  }
}

TEST(SizeText, BytesAreShownWithOneDecimal) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.0 KiB");
  EXPECT_EQ(format_bytes((1u << 20) - 1), "1.0 MiB");
  EXPECT_EQ(format_bytes(256ull << 20), "256.0 MiB");
  EXPECT_EQ(format_bytes(UINT64_MAX), "16.0 EiB");
}

TEST(SizeText, SecondsBecomeMinutesAndHours) {
  EXPECT_EQ(format_seconds(0), "0.00 s");
  EXPECT_EQ(format_seconds(12.34), "12.3 s");
  EXPECT_EQ(format_seconds(200), "3 min 20 s");
  EXPECT_EQ(format_seconds(7500), "2 h 5 min");
}

}  // namespace
}  // namespace shima
