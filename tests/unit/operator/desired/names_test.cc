#include "operator/desired/names.h"

#include <gtest/gtest.h>

#include <set>

namespace shima {
namespace {

TEST(Names, AreMadeOfComponentAndSite) {
  EXPECT_EQ(object_name("core", "site-a"), "shima-core-site-a");
  EXPECT_EQ(pod_address("shima-core-site-a", 3, "storage"),
            "shima-core-site-a-3.shima-core-site-a.storage.svc");
}

TEST(Names, LongSitesAreCutAndStayApart) {
  const std::string a = std::string(62, 'x') + "a", b = std::string(62, 'x') + "b";
  EXPECT_LE(object_name("csi-mounter", a).size(), kMaxObjectNameBytes);
  EXPECT_NE(object_name("csi-mounter", a), object_name("csi-mounter", b));
  EXPECT_EQ(object_name("csi-mounter", a), object_name("csi-mounter", a));
}

TEST(Names, ASiteThatIsNamedLikeACutOneGetsAnotherName) {
  const std::string site(63, 'x');
  const std::string cut = object_name("core", site);
  const std::string impostor = cut.substr(std::string("shima-core-").size());
  EXPECT_NE(object_name("core", impostor), cut);
}

TEST(Names, ACutNameEndsWithoutTwoHyphens) {
  const std::string site = std::string(27, 'x') + std::string(30, '-') + "y";
  EXPECT_EQ(object_name("core", site).find("--"), std::string::npos) << object_name("core", site);
}

TEST(Names, NoSiteTakesTheWitnesssName) {
  for (const char* component : {"core", "access", "etcd", "csi-node", "csi-mounter"})
    for (const char* site : {"witness", "controller", "node", "a"}) {
      EXPECT_NE(object_name(component, site), kWitnessName);
      EXPECT_NE(object_name(component, site), "shima-csi-controller");
    }
}

}  // namespace
}  // namespace shima
