#include "csi/controller/topology.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace shima {
namespace {

using Sites = std::vector<std::string>;

constexpr const char* kKey = "topology.kubernetes.io/zone";
const Sites kFour = {"a", "b", "c", "d"};

struct Choice {
  grpc::StatusCode code;
  std::string home;
  Sites sites;
  std::string error;
};

Choice choose(const WantedSites& wanted, const ClassParameters& parameters = {},
              const Sites& with_servers = kFour) {
  VolumeSites chosen;
  const grpc::Status status = choose_volume_sites(wanted, parameters, with_servers, chosen);
  return {status.error_code(), chosen.home, chosen.sites, status.error_message()};
}

ClassParameters parameters(uint32_t copies, const Sites& sites = {}, const std::string& home = "") {
  ClassParameters p;
  p.copies = copies;
  p.sites = sites;
  p.home = home;
  return p;
}

TEST(Topology, WithoutAnyWishThreeSitesInOrderAreTaken) {
  const Choice choice = choose({});
  EXPECT_EQ(choice.home, "a");
  EXPECT_EQ(choice.sites, (Sites{"a", "b", "c"}));
}

TEST(Topology, FewerSitesThanThreeAreFewerCopies) {
  EXPECT_EQ(choose({}, {}, {"x"}).sites, Sites{"x"});
  EXPECT_EQ(choose({}, {}, {"x", "y"}).sites, (Sites{"x", "y"}));
}

TEST(Topology, TheFirstPreferredSiteIsHome) {
  const Choice choice = choose({{"a", "b", "c", "d"}, {"d", "b", "a", "c"}});
  EXPECT_EQ(choice.home, "d");
  EXPECT_EQ(choice.sites, (Sites{"d", "b", "a"}));
}

TEST(Topology, APreferredSiteWithoutServersIsPassedOver) {
  const Choice choice = choose({{"x", "b", "c"}, {"x", "c"}});
  EXPECT_EQ(choice.home, "c");
  EXPECT_EQ(choice.sites, (Sites{"c", "b", "a"}));
}

TEST(Topology, RequisiteSitesComeBeforeOthers) {
  EXPECT_EQ(choose({{"d"}, {}}).sites, (Sites{"d", "a", "b"}));
  EXPECT_EQ(choose({{"d", "c"}, {"c"}}).sites, (Sites{"c", "d", "a"}));
  EXPECT_EQ(choose({{"d", "c"}, {"c"}}, parameters(2)).sites, (Sites{"c", "d"}));
}

TEST(Topology, MoreRequisiteSitesThanCopiesArePreferredFirst) {
  EXPECT_EQ(choose({{"a", "b", "c", "d"}, {"d"}}, parameters(1)).sites, Sites{"d"});
  EXPECT_EQ(choose({{"a", "b", "c", "d"}, {"d", "c"}}, parameters(2)).sites, (Sites{"d", "c"}));
}

TEST(Topology, ARequisiteWithoutServersAnywhereIsExhausted) {
  const Choice choice = choose({{"x", "y"}, {"x"}});
  EXPECT_EQ(choice.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(choice.error.find("x, y"), std::string::npos) << choice.error;
}

TEST(Topology, PreferencesAloneAreWishes) {
  const Choice choice = choose({{}, {"x", "b"}});
  EXPECT_EQ(choice.code, grpc::StatusCode::OK);
  EXPECT_EQ(choice.home, "b");
  EXPECT_EQ(choose({{}, {"x"}}).home, "a");
}

TEST(Topology, TheStorageClassHomeWinsOverPreferences) {
  const Choice choice = choose({{"a", "b", "c", "d"}, {"d"}}, parameters(3, {}, "b"));
  EXPECT_EQ(choice.home, "b");
  EXPECT_EQ(choice.sites, (Sites{"b", "d", "a"}));
}

TEST(Topology, ASingleCopyAtAHomeThatIsNotRequisiteIsExhausted) {
  EXPECT_EQ(choose({{"a"}, {"a"}}, parameters(1, {}, "b")).code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(choose({{"a"}, {"a"}}, parameters(2, {}, "b")).sites, (Sites{"b", "a"}));
}

TEST(Topology, TheStorageClassSitesAreTheSites) {
  const Choice choice = choose({{"a", "b", "c"}, {"c", "b"}}, parameters(0, {"a", "b"}));
  EXPECT_EQ(choice.home, "b") << "the first preferred one that has a copy";
  EXPECT_EQ(choice.sites, (Sites{"b", "a"}));
  EXPECT_EQ(choose({}, parameters(0, {"d", "a"})).home, "d");
  EXPECT_EQ(choose({{"c"}, {}}, parameters(0, {"a", "b"})).code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(choose({}, parameters(0, {"a", "b", "c", "d"})).sites, kFour);
}

TEST(Topology, AStorageClassThatNamesASiteWithoutServersIsWrong) {
  EXPECT_EQ(choose({}, parameters(0, {"a", "x"})).code, grpc::StatusCode::INVALID_ARGUMENT);
  const Choice choice = choose({}, parameters(0, {}, "x"));
  EXPECT_EQ(choice.code, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_NE(choice.error.find("a, b, c, d"), std::string::npos) << choice.error;
}

TEST(Topology, MoreCopiesThanSitesAreExhausted) {
  EXPECT_EQ(choose({}, parameters(5)).code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(choose({}, {}, {}).code, grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// Over all requirements of up to four sites: the home has a copy, copies are distinct sites with servers, and
// as many requisite sites have one as there can be.
TEST(Topology, EveryChoiceKeepsTheRules) {
  const Sites names = {"a", "b", "c", "x"}, with_servers = {"a", "b", "c", "d"};
  int chosen = 0, refused = 0;
  for (unsigned requisite = 0; requisite < 16; requisite++) {
    for (unsigned preferred = 0; preferred < 16; preferred++) {
      if (requisite != 0 && (preferred & ~requisite) != 0) continue;
      for (uint32_t copies = 1; copies <= 4; copies++) {
        WantedSites wanted;
        for (unsigned i = 0; i < 4; i++) {
          if (requisite >> i & 1) wanted.requisite.push_back(names[i]);
          if (preferred >> (3 - i) & 1) wanted.preferred.push_back(names[3 - i]);
        }
        const Choice choice = choose(wanted, parameters(copies), with_servers);
        if (wanted.requisite == Sites{"x"}) {
          EXPECT_EQ(choice.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
          refused++;
          continue;
        }
        chosen++;
        ASSERT_EQ(choice.code, grpc::StatusCode::OK);
        ASSERT_EQ(choice.sites.size(), copies);
        EXPECT_EQ(choice.sites.front(), choice.home);
        size_t met = 0, possible = 0;
        for (const std::string& site : wanted.requisite) {
          met += static_cast<size_t>(std::count(choice.sites.begin(), choice.sites.end(), site));
          possible += site != "x";
        }
        EXPECT_EQ(met, std::min<size_t>(possible, copies));
        for (const std::string& site : wanted.preferred) {
          if (site == "x") continue;
          EXPECT_EQ(choice.home, site) << "the first preferred one with servers";
          break;
        }
      }
    }
  }
  EXPECT_GT(chosen, 200);
  EXPECT_GT(refused, 0);
}

TEST(Topology, TopologiesHaveOurSegmentAndNoOther) {
  ::csi::v1::TopologyRequirement requirement;
  (*requirement.add_requisite()->mutable_segments())[kKey] = "a";
  (*requirement.add_requisite()->mutable_segments())[kKey] = "b";
  (*requirement.add_requisite()->mutable_segments())[kKey] = "a";
  (*requirement.add_preferred()->mutable_segments())[kKey] = "b";
  WantedSites wanted;
  ASSERT_TRUE(read_requirement(requirement, kKey, wanted).ok());
  EXPECT_EQ(wanted.requisite, (Sites{"a", "b"}));
  EXPECT_EQ(wanted.preferred, Sites{"b"});
  for (int bad = 0; bad < 4; bad++) {
    ::csi::v1::TopologyRequirement wrong = requirement;
    auto& segments = *wrong.add_requisite()->mutable_segments();
    if (bad == 1) segments["rack"] = "r";
    if (bad == 2) segments[kKey] = "";
    if (bad == 3) segments[kKey] = "c", segments["rack"] = "r";
    WantedSites ignored;
    EXPECT_EQ(read_requirement(wrong, kKey, ignored).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << bad;
  }
  (*requirement.add_preferred()->mutable_segments())[kKey] = "c";
  WantedSites ignored;
  EXPECT_EQ(read_requirement(requirement, kKey, ignored).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST(Topology, EachSiteIsATopologyOfItsOwn) {
  google::protobuf::RepeatedPtrField<::csi::v1::Topology> out;
  add_topologies({"a", "b"}, kKey, out);
  ASSERT_EQ(out.size(), 2);
  EXPECT_EQ(out[1].segments().at(kKey), "b");
}

}  // namespace
}  // namespace shima
