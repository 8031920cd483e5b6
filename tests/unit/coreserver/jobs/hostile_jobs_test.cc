// Jobs with every field filled at random, from values that are likely to hurt: the metadata stays right
// whatever comes. SHIMA_SEED repeats a run.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <random>

#include "tests/unit/coreserver/jobs/job_volume.h"
#include "tests/unit/coreserver/jobs/metadata_check.h"

namespace shima {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kSteps = 100'000;
constexpr int kStepsBetweenChecks = 1000;

class HostileFields {
 public:
  explicit HostileFields(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t n) { return random_() % n; }

  pb::JobRequest job() {
    pb::JobRequest request;
    const auto* kinds = pb::JobRequest::descriptor()->oneof_decl(0);
    const FieldDescriptor* kind = kinds->field(static_cast<int>(below(kinds->field_count())));
    // What tidies up comes less often, so that there is something to tidy up.
    const bool tidies = kind->name() == "close_session" || kind->name() == "close_fenced" ||
                        kind->name() == "orphan_dropped" || kind->name() == "remove";
    if (tidies && below(4)) return job();
    fill(*request.GetReflection()->MutableMessage(&request, kind));
    request.set_session(below(4));
    return request;
  }

  pb::Credentials somebody() {
    pb::Credentials who =
        below(3) ? user(0, 0) : user(static_cast<uint32_t>(below(3)), static_cast<uint32_t>(below(3)));
    who.set_checked(below(5) == 0);
    return who;
  }
  int64_t time() { return static_cast<int64_t>(number()); }

  uint64_t newest_inode = kRootInode;

 private:
  uint64_t number() {
    static const uint64_t edges[] = {~0ull,      1ull << 63,       (1ull << 63) - 1,
                                     1ull << 44, (1ull << 44) + 1, 1ull << 32};
    if (below(8) == 0) return edges[below(std::size(edges))];
    if (below(4) == 0) return kRootInode;
    return below(2) ? below(12) : newest_inode - std::min(newest_inode, below(20));
  }
  std::string bytes() {
    static const std::string odd[] = {"",
                                      ".",
                                      "..",
                                      "a/b",
                                      std::string("\0", 1),
                                      std::string(255, 'n'),
                                      std::string(256, 'n'),
                                      std::string(5000, 'n'),
                                      "\xff\xfe",
                                      "user.a",
                                      "user.b",
                                      "trusted.",
                                      std::string(70000, 'v')};
    if (below(6) == 0) return odd[below(std::size(odd))];
    return (below(3) ? "" : "user.") + std::string(1, static_cast<char>('a' + below(8)));
  }

  void fill(Message& message) {
    const auto* type = message.GetDescriptor();
    for (int i = 0; i < type->field_count(); i++) {
      if (below(4) == 0) continue;
      const FieldDescriptor* field = type->field(i);
      for (uint64_t times = field->is_repeated() ? below(5) : 1; times > 0; times--) set(message, *field);
    }
  }

  void set(Message& message, const FieldDescriptor& field) {
    const Reflection& access = *message.GetReflection();
    const bool many = field.is_repeated();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_UINT64:
        if (field.name() == "session" || field.name() == "writer")
          return access.SetUInt64(&message, &field, below(4));
        return many ? access.AddUInt64(&message, &field, number())
                    : access.SetUInt64(&message, &field, number());
      case FieldDescriptor::CPPTYPE_INT64:
        return access.SetInt64(&message, &field, time());
      case FieldDescriptor::CPPTYPE_UINT32:
        return access.SetUInt32(&message, &field, static_cast<uint32_t>(number()));
      case FieldDescriptor::CPPTYPE_BOOL:
        return access.SetBool(&message, &field, below(2) == 1);
      case FieldDescriptor::CPPTYPE_ENUM:
        return access.SetEnumValue(&message, &field,
                                   below(20) ? static_cast<int>(below(below(3) ? 3 : 8)) : 1234567);
      case FieldDescriptor::CPPTYPE_STRING:
        return access.SetString(&message, &field,
                                field.type() == FieldDescriptor::TYPE_BYTES ? bytes() : "name");
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return fill(*access.MutableMessage(&message, &field));
      default:
        FAIL() << "a field of a type that this test does not know: " << field.full_name();
    }
  }

  std::mt19937_64 random_;
};

TEST(HostileJobs, LeaveTheMetadataRight) {
  const char* given = std::getenv("SHIMA_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "SHIMA_SEED=" << seed << "\n";
  HostileFields hostile(seed);
  JobVolume volume;
  std::map<int, int> done;  // by kind
  for (int step = 1; step <= kSteps && !testing::Test::HasFailure(); step++) {
    volume.who = hostile.somebody();
    volume.time_ns = hostile.time();
    const pb::JobRequest request = hostile.job();
    volume.own = request.has_close_fenced() && hostile.below(2);
    const pb::JobReply reply = volume.run(request);
    if (request.has_close_fenced() && !volume.own) {
      EXPECT_EQ(reply.error(), EPERM);
    }
    EXPECT_NE(reply.error(), EIO) << "nothing is damaged here: " << request.ShortDebugString();
    EXPECT_LT(reply.ByteSizeLong(), 1u << 20);
    done[request.job_case()] += reply.error() == 0;
    hostile.newest_inode = std::max(hostile.newest_inode, reply.attributes().inode());
    if (step % kStepsBetweenChecks == 0) check_metadata(volume.kv);
  }
  const auto* kinds = pb::JobRequest::descriptor()->oneof_decl(0);
  for (int i = 0; i < kinds->field_count(); i++) {
    std::cout << "  " << kinds->field(i)->name() << " " << done[kinds->field(i)->number()] << "\n";
    EXPECT_GT(done[kinds->field(i)->number()], 0)
        << kinds->field(i)->name() << " never succeeded: no test of it";
  }
}

}  // namespace
}  // namespace shima
