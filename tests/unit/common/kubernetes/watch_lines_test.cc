// The bytes of a watch become events.
#include "common/kubernetes/watch_lines.h"

#include <gtest/gtest.h>

namespace shima {
namespace {

const std::string kAdded = R"({"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"1"}}})"
                           "\n";
const std::string kBookmark = R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})"
                              "\n";

std::vector<WatchEvent> events_of(const std::string& bytes, size_t piece) {
  WatchLines lines;
  std::vector<WatchEvent> events;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const Status status = lines.feed(std::string_view(bytes).substr(at, piece), events);
    EXPECT_TRUE(status.is_ok()) << status.to_string();
  }
  return events;
}

Status feed(const std::string& bytes, size_t limit = WatchLines::kMaxLineBytes) {
  WatchLines lines(limit);
  std::vector<WatchEvent> events;
  return lines.feed(bytes, events);
}

TEST(WatchLines, EventsAreTheSameHoweverTheBytesAreCut) {
  const std::string bytes = kAdded + kBookmark + "\n  \r\n" + kAdded;
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    const auto events = events_of(bytes, piece);
    ASSERT_EQ(events.size(), 3u) << piece;
    EXPECT_EQ(events[0].type, WatchEvent::Type::kAdded);
    EXPECT_EQ(events[0].object["metadata"]["name"], "a");
    EXPECT_EQ(events[1].type, WatchEvent::Type::kBookmark);
  }
}

TEST(WatchLines, AnEventWithoutItsLineEndIsNotDelivered) {
  WatchLines lines;
  std::vector<WatchEvent> events;
  ASSERT_TRUE(lines.feed(kAdded + kAdded.substr(0, kAdded.size() - 1), events).is_ok());
  EXPECT_EQ(events.size(), 1u);
  EXPECT_EQ(lines.unfinished_bytes(), kAdded.size() - 1);
}

TEST(WatchLines, AnErrorEventOf410MeansTooOld) {
  const std::string gone =
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}})"
      "\n";
  WatchLines lines;
  std::vector<WatchEvent> events;
  const Status status = lines.feed(kAdded + gone + kAdded, events);
  EXPECT_EQ(status.code(), Code::kRequestTooOld);
  EXPECT_NE(status.message().find("too old resource version"), std::string::npos);
  EXPECT_EQ(events.size(), 1u) << "what came in front of the error counts";
  EXPECT_EQ(feed(R"({"type":"ERROR","object":{"reason":"Gone"}})"
                 "\n")
                .code(),
            Code::kRequestTooOld);
  EXPECT_EQ(feed(R"({"type":"ERROR","object":{"code":"x"}})"
                 "\n")
                .code(),
            Code::kInternal);
  EXPECT_EQ(feed(R"({"type":"ERROR","object":{"code":403}})"
                 "\n")
                .code(),
            Code::kPermissionDenied);
}

TEST(WatchLines, WhatIsNoEventIsCorrupt) {
  for (const char* line :
       {"[]", "no json", "{}", R"({"type":"ADDED"})", R"({"type":"ADDED","object":[]})",
        R"({"type":"ODD","object":{}})", R"({"type":7,"object":{}})", "\xff\xfe", "{\"type\":"})
    EXPECT_EQ(feed(std::string(line) + "\n").code(), Code::kCorrupt) << line;
}

TEST(WatchLines, ALineOverTheLimitEndsTheWatch) {
  EXPECT_TRUE(feed(kAdded, kAdded.size()).is_ok());
  EXPECT_EQ(feed(kAdded, kAdded.size() - 2).code(), Code::kCorrupt);
  EXPECT_EQ(feed(std::string(1000, 'x'), 999).code(), Code::kCorrupt);
}

TEST(StatusOfAnswer, EachCodeMeansWhatTheClientPromises) {
  const auto code = [](int http, const char* reason = "") {
    return status_of_answer(
               http, std::string(R"({"kind":"Status","message":"m","reason":")") + reason + "\"}", "GET /x")
        .code();
  };
  EXPECT_EQ(code(400), Code::kInvalidArgument);
  EXPECT_EQ(code(401), Code::kPermissionDenied);
  EXPECT_EQ(code(403), Code::kPermissionDenied);
  EXPECT_EQ(code(404), Code::kNotFound);
  EXPECT_EQ(code(409, "Conflict"), Code::kConflict);
  EXPECT_EQ(code(409, "AlreadyExists"), Code::kAlreadyExists);
  EXPECT_EQ(code(410), Code::kRequestTooOld);
  EXPECT_EQ(code(422), Code::kInvalidArgument);
  EXPECT_EQ(code(429), Code::kUnavailable);
  EXPECT_EQ(code(500, "InternalError"), Code::kInternal) << "of this object: others may fare better";
  for (const int http : {502, 503, 504}) EXPECT_EQ(code(http), Code::kUnavailable) << http;
  EXPECT_EQ(code(302), Code::kInvalidArgument);
  const char* misfit =
      R"({"kind":"Status","message":"failed to create typed patch object (x): .status.y: field not )"
      R"(declared in schema","reason":"InternalError"})";
  EXPECT_EQ(status_of_answer(500, misfit, "PATCH /x").code(), Code::kInvalidArgument) << "it is there";
}

TEST(StatusOfAnswer, WordsOfAProxyAreShownWithoutControlCharactersAndCut) {
  const Status status = status_of_answer(502, "<html>\x1b[31m" + std::string(5000, 'x'), "GET /x");
  EXPECT_EQ(status.message().find('\x1b'), std::string::npos);
  EXPECT_LT(status.message().size(), 700u);
  EXPECT_NE(status_of_answer(500, "", "GET /x").message().find("GET /x"), std::string::npos);
}

}  // namespace
}  // namespace shima
