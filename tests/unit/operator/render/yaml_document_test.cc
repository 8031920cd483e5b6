#include "operator/render/yaml_document.h"

#include <gtest/gtest.h>

#include "operator/render/json_text.h"

namespace shima {
namespace {

using Json = nlohmann::json;

TEST(YamlDocument, ScalarsHaveTheTypesOfTheCoreSchema) {
  const auto read = parse_yaml_documents(
      "{a: 1, b: '1', c: true, d: \"true\", e: ~, f: 1.5, g: yes, h: 1Gi, i: , j: -3, k: 1e3}", "f");
  ASSERT_TRUE(read.is_ok()) << read.status().to_string();
  EXPECT_EQ(
      read->at(0),
      Json::parse(
          R"({"a":1,"b":"1","c":true,"d":"true","e":null,"f":1.5,"g":"yes","h":"1Gi","i":null,"j":-3,"k":1000.0})"));
}

TEST(YamlDocument, EachDocumentOfAStreamIsOne) {
  const auto read = parse_yaml_documents("# only words\n---\na: 1\n---\n---\nb: [1, {c: 2}]\n", "f");
  ASSERT_TRUE(read.is_ok());
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->at(1), Json::parse(R"({"b":[1,{"c":2}]})"));
}

TEST(YamlDocument, ErrorsSayWhere) {
  const auto broken = parse_yaml_documents("a: 1\nb: [1, 2\n", "cluster.yaml");
  ASSERT_FALSE(broken.is_ok());
  EXPECT_TRUE(broken.status().message().starts_with("cluster.yaml:")) << broken.status().message();
  const auto twice = parse_yaml_documents("a: 1\na: 2\n", "cluster.yaml");
  ASSERT_FALSE(twice.is_ok());
  EXPECT_NE(twice.status().message().find("line 2"), std::string::npos) << twice.status().message();
}

TEST(YamlDocument, AliasesThatMultiplyAreRefused) {
  std::string text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1) + " ";
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) text += (j ? "," : "") + before;
    text += "]\n";
  }
  EXPECT_FALSE(parse_yaml_documents(text, "f").is_ok());
}

TEST(JsonText, KeepsWhatFitsOnALine) {
  const Json value = {{"a", {1, 2, 3}}, {"long", {{"b", std::string(30, 'x')}, {"c", std::string(30, 'y')}}}};
  const std::string text = json_text(value, 50);
  EXPECT_NE(text.find("\"a\": [1,2,3],\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n    \"c\": "), std::string::npos) << text;
  EXPECT_EQ(Json::parse(text), value);
}

}  // namespace
}  // namespace shima
