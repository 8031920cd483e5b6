#include "csi/server/loggable_message.h"

#include <gtest/gtest.h>

#include "csi/v1/csi.pb.h"
#include "shima/mounter/v1/mounter.pb.h"

namespace shima {
namespace {

namespace v1 = ::csi::v1;

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(LoggableMessage, SecretsAreNeverShown) {
  v1::CreateVolumeRequest create;
  create.set_name("pvc-1");
  (*create.mutable_secrets())["user"] = "hunter2";
  (*create.mutable_parameters())["ack"] = "all";
  const std::string text = loggable_text(create);
  EXPECT_FALSE(has(text, "hunter2")) << text;
  EXPECT_FALSE(has(text, "user")) << text;
  EXPECT_TRUE(has(text, "secrets=(secret)")) << text;
  EXPECT_TRUE(has(text, "name=\"pvc-1\"")) << text;
  EXPECT_TRUE(has(text, "ack")) << text;
}

// Every request of the interface that has a field named secrets, with one set: none of them shows it.
TEST(LoggableMessage, EverySecretsFieldOfTheInterfaceIsMarked) {
  const auto* file = v1::CreateVolumeRequest::descriptor()->file();
  int seen = 0;
  for (int i = 0; i < file->message_type_count(); i++) {
    const auto* type = file->message_type(i);
    const auto* field = type->FindFieldByName("secrets");
    if (!field) continue;
    EXPECT_TRUE(field->options().GetExtension(v1::csi_secret)) << type->full_name();
    seen++;
  }
  EXPECT_EQ(seen, 14);
}

TEST(LoggableMessage, ALineStaysALine) {
  v1::DeleteVolumeRequest request;
  request.set_volume_id("a\n2026 error core: forged \"line\" \\ \xc3\xa4");
  const std::string text = loggable_text(request);
  EXPECT_EQ(text, "volume_id=\"a\\x0a2026 error core: forged \\\"line\\\" \\\\ \\xc3\\xa4\"");
}

TEST(LoggableMessage, LongTextsAndMessagesAreCut) {
  EXPECT_EQ(quoted("abcdef", 3), "\"abc\"...");
  v1::ValidateVolumeCapabilitiesRequest request;
  for (int i = 0; i < 5000; i++)
    request.add_volume_capabilities()->mutable_mount()->add_mount_flags(std::string(300, 'x'));
  const std::string text = loggable_text(request);
  EXPECT_LT(text.size(), 2 * kMaxShownMessageBytes);
  EXPECT_TRUE(has(text, "..."));
}

TEST(LoggableMessage, TheSubjectIsTheVolume) {
  v1::DeleteVolumeRequest by_id;
  by_id.set_volume_id("v");
  EXPECT_EQ(subject_of(by_id), "v");
  v1::CreateVolumeRequest by_name;
  by_name.set_name("n");
  EXPECT_EQ(subject_of(by_name), "n");
  EXPECT_EQ(subject_of(v1::ProbeRequest()), "");
}

TEST(LoggableMessage, CallsOfTheMounterNameVolumeAndPath) {
  mounter::v1::StartRequest start;
  start.set_path("/var/lib/kubelet/x");
  start.set_volume("v");
  start.set_publication(~0ull);
  start.set_timeout_ms(5);
  EXPECT_EQ(subject_of(start), "v");
  EXPECT_EQ(path_of(start), "/var/lib/kubelet/x");
  EXPECT_EQ(loggable_text(start),
            "path=\"/var/lib/kubelet/x\" volume=\"v\" publication=18446744073709551615 timeout_ms=5");
  EXPECT_EQ(path_of(v1::DeleteVolumeRequest()), "");
}

}  // namespace
}  // namespace shima
