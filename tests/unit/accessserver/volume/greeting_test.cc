// What a volume client makes of a core server's greeting: which server it is, and which protocols it speaks.
#include <gtest/gtest.h>

#include "accessserver/volume/piece_codec.h"
#include "common/transport/protocol_range.h"
#include "shima/data/v1/data.pb.h"

namespace shima {
namespace {

using data::v1::Header;

Frame greeting_of(uint64_t server, uint32_t protocol_min, uint32_t protocol_max) {
  Header header;
  header.mutable_greeting()->set_server_id(server);
  header.mutable_greeting()->set_protocol_min(protocol_min);
  header.mutable_greeting()->set_protocol_max(protocol_max);
  return Frame{0, header.SerializeAsString(), {}, {}};
}

TEST(VolumeClientGreeting, SaysWhichProtocolsTheClientSpeaks) {
  Header header;
  ASSERT_TRUE(header.ParseFromString(encode_greeting(ClientId(5), {}, ServerId(3)).header));
  EXPECT_EQ(header.greeting().protocol_min(), kDataProtocols.min);
  EXPECT_EQ(header.greeting().protocol_max(), kDataProtocols.max);
}

TEST(VolumeClientGreeting, AServerOfANeighbouringReleaseIsTaken) {
  EXPECT_TRUE(check_greeting(greeting_of(3, 0, 0), ServerId(3))) << "from before there were ranges";
  EXPECT_TRUE(check_greeting(greeting_of(3, 1, 1), ServerId(3)));
  EXPECT_TRUE(check_greeting(greeting_of(3, 1, 2), ServerId(3)));
}

TEST(VolumeClientGreeting, AServerWithoutACommonProtocolIsToldApartFromOneThatIsAway) {
  const Status refused = check_greeting(greeting_of(3, 7, 9), ServerId(3));
  EXPECT_EQ(refused.code(), Code::kUnavailable) << "another try may find it replaced";
  EXPECT_NE(refused.message().find("server 3 speaks data protocol 7 to 9"), std::string::npos)
      << refused.message();
  EXPECT_EQ(check_greeting(greeting_of(3, 9, 7), ServerId(3)).code(), Code::kCorrupt);
}

TEST(VolumeClientGreeting, AnotherServerIsRefused) {
  EXPECT_NE(check_greeting(greeting_of(4, 1, 1), ServerId(3)).message().find("found server 4"),
            std::string::npos);
}

}  // namespace
}  // namespace shima
