// The objects of whole clusters, compared with files that people review. SHIMA_REGENERATE=1 writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "operator/render/json_text.h"
#include "operator/render/rendering.h"
#include "operator/render/yaml_document.h"

namespace shima {
namespace {

using Json = nlohmann::json;

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

RenderingInputs inputs_of(const std::string& example, const std::string& nodes) {
  RenderingInputs inputs;
  inputs.cluster = *parse_yaml_documents(content_of(SHIMA_EXAMPLES "/" + example), example);
  inputs.nodes = {Json::parse(content_of(SHIMA_TESTDATA "/" + nodes))};
  inputs.api_kinds = {"monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PrometheusRule"};
  return inputs;
}

void compare(const std::string& example, const std::string& nodes, const std::string& file) {
  const auto desired = render(inputs_of(example, nodes));
  ASSERT_TRUE(desired.is_ok()) << desired.status().to_string();
  EXPECT_TRUE(desired->refused.empty()) << desired->refused.front();
  EXPECT_TRUE(desired->sites.problems.empty()) << desired->sites.problems.front();
  const std::string path = SHIMA_TESTDATA "/" + file, text = json_text(desired->objects) + "\n";
  if (std::getenv("SHIMA_REGENERATE")) std::ofstream(path) << text;
  const Json expected = Json::parse(content_of(path), nullptr, false);
  ASSERT_TRUE(expected.is_array()) << path << " is not there: run this test with SHIMA_REGENERATE=1";
  ASSERT_EQ(expected.size(), desired->objects.size()) << "SHIMA_REGENERATE=1 writes " << path << " anew";
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(expected[i], desired->objects[i]) << json_text(Json::diff(expected[i], desired->objects[i]))
                                                << "\nSHIMA_REGENERATE=1 writes " << path << " anew";
}

TEST(GoldenCluster, ThreeZonesWithClaims) {
  compare("three-zones.yaml", "three-zone-nodes.json", "three-zones.json");
}

TEST(Rendering, SaysWhatIsMissing) {
  RenderingInputs inputs = inputs_of("three-zones.yaml", "three-zone-nodes.json");
  inputs.cluster.clear();
  EXPECT_EQ(render(inputs).status().code(), Code::kInvalidArgument);
  inputs.cluster = {Json{{"kind", "ShimaCluster"}}};
  EXPECT_NE(render(inputs).status().message().find("spec.coreServers.disks"), std::string::npos);
}

}  // namespace
}  // namespace shima
