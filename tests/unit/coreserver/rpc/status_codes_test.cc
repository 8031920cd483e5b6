#include "coreserver/rpc/status_codes.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

constexpr int kLastCode = 15;

TEST(StatusCodes, EveryCodeComesBackByItsNumberInTheMetadata) {
  for (int number = 1; number <= kLastCode; ++number) {
    const Code code = static_cast<Code>(number);
    const grpc::Status wire = to_grpc_status({code, "why"});
    EXPECT_FALSE(wire.ok()) << number;
    const Status back = from_grpc_status(wire, std::to_string(number));
    EXPECT_EQ(back.code(), code) << number;
    EXPECT_EQ(back.message(), "why");
  }
}

TEST(StatusCodes, OkStaysOk) {
  EXPECT_TRUE(to_grpc_status(Status::ok()).ok());
  EXPECT_TRUE(from_grpc_status(grpc::Status::OK, std::nullopt).is_ok());
  EXPECT_TRUE(from_grpc_status(grpc::Status::OK, "7").is_ok());
}

TEST(StatusCodes, EveryGrpcCodeHasAMeaningWithoutMetadata) {
  for (int number = 1; number <= 16; ++number) {
    const grpc::Status wire(static_cast<grpc::StatusCode>(number), "why");
    EXPECT_FALSE(from_grpc_status(wire, std::nullopt).is_ok()) << number;
  }
  EXPECT_EQ(from_grpc_status({grpc::StatusCode::UNAVAILABLE, ""}, std::nullopt).code(), Code::kUnavailable);
  EXPECT_EQ(from_grpc_status({grpc::StatusCode::NOT_FOUND, ""}, std::nullopt).code(), Code::kNotFound);
  EXPECT_EQ(from_grpc_status({grpc::StatusCode::UNIMPLEMENTED, ""}, std::nullopt).code(),
            Code::kFailedPrecondition);
  EXPECT_EQ(from_grpc_status({grpc::StatusCode::RESOURCE_EXHAUSTED, ""}, std::nullopt).code(),
            Code::kInvalidArgument);
}

TEST(StatusCodes, AnUnknownOrBrokenNumberFallsBackToGrpcsCode) {
  const grpc::Status wire(grpc::StatusCode::NOT_FOUND, "why");
  for (const char* number : {"250", "99999999999999999999", "", "x", "2x", "-1", "0"}) {
    EXPECT_EQ(from_grpc_status(wire, number).code(), Code::kNotFound) << number;
  }
}

}  // namespace
}  // namespace shima
