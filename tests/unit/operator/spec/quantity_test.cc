#include "operator/spec/quantity.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

TEST(Quantity, IsReadAsKubernetesReadsIt) {
  EXPECT_EQ(*quantity_bytes("1"), 1u);
  EXPECT_EQ(*quantity_bytes("1k"), 1000u);
  EXPECT_EQ(*quantity_bytes("1Ki"), 1024u);
  EXPECT_EQ(*quantity_bytes("1.5Gi"), 3ull << 29);
  EXPECT_EQ(*quantity_bytes("2e3"), 2000u);
  EXPECT_EQ(*quantity_bytes("1E"), 1'000'000'000'000'000'000u);
  EXPECT_EQ(*quantity_bytes("1500m"), 2u) << "part of a byte is a byte";
}

TEST(Quantity, OddTextsAreRefused) {
  for (const char* text : {"", ".", "Gi", "-1", "1 Gi", "1gi", "1.2.3", "0", "0x10", "1e", "1e+", "1e999",
                           "99999999999999999999", "1KiB", "\xff"})
    EXPECT_FALSE(quantity_bytes(text).is_ok()) << text;
  EXPECT_FALSE(quantity_bytes(std::string(100'000, '1')).is_ok());
}

TEST(Quantity, AmountsMayBeNothing) {
  EXPECT_TRUE(valid_quantity("0"));
  EXPECT_TRUE(valid_quantity("100m"));
  EXPECT_FALSE(valid_quantity("lots"));
}

TEST(Quantity, IsWrittenWithTheGreatestSuffixThatDivides) {
  EXPECT_EQ(bytes_quantity(0), "0");
  EXPECT_EQ(bytes_quantity(1023), "1023");
  EXPECT_EQ(bytes_quantity(1024), "1Ki");
  EXPECT_EQ(bytes_quantity(10ull << 30), "10Gi");
  EXPECT_EQ(bytes_quantity(1536), "1536");
}

}  // namespace
}  // namespace shima
