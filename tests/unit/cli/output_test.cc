#include "cli/output.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace shima {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({{"NAME"}, {"SIZE", Align::kRight}, {"WHY"}});
  table.add_row({"database", "1 B", "ok"});
  table.add_row({"w", "1024 B", "a longer text"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(),
            "NAME        SIZE  WHY\n"
            "database     1 B  ok\n"
            "w         1024 B  a longer text\n");
}

TEST(Table, EmptyCellsAreDashes) {
  Table table({{"A"}, {"B"}});
  table.add_row({"", ""});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "A  B\n-  -\n");
}

TEST(Table, CharactersAreCountedNotBytes) {
  Table table({{"SITE"}, {"X"}});
  table.add_row({"zürich", "1"});
  table.add_row({"bonn", "2"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "SITE    X\nzürich  1\nbonn    2\n");
}

TEST(Table, WithoutRowsOnlyTheTitlesAreThere) {
  std::ostringstream out;
  Table({{"VOLUME"}, {"HOME"}}).print(out);
  EXPECT_EQ(out.str(), "VOLUME  HOME\n");
}

TEST(Facts, ValuesStandBelowEachOther) {
  Facts facts;
  facts.add("name", "db");
  facts.add("block size", "1.0 MiB");
  std::ostringstream out;
  facts.print(out);
  EXPECT_EQ(out.str(), "name:        db\nblock size:  1.0 MiB\n");
}

TEST(Json, KeysKeepTheirOrderAndBadUtf8IsReplaced) {
  std::ostringstream out;
  print_json_line(out, {{"b", 1}, {"a", "\xff"}});
  EXPECT_EQ(out.str(), "{\"b\":1,\"a\":\"\xef\xbf\xbd\"}\n");
}

}  // namespace
}  // namespace shima
