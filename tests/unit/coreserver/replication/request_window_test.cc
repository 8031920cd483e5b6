#include "coreserver/replication/request_window.h"

#include <gtest/gtest.h>

namespace shima::replication {
namespace {

using Verdict = RequestWindow::Verdict;

RecordHeader executed(uint64_t client, uint64_t request, uint64_t sequence, uint64_t settled_below = 1) {
  RecordHeader h;
  h.client = ClientId(client);
  h.request = RequestId(request);
  h.settled_below = RequestId(settled_below);
  h.position = {Term(1), Sequence(sequence)};
  return h;
}
Verdict ask(const RequestWindow& w, uint64_t client, uint64_t request, uint64_t known = 0) {
  return w.find(ClientId(client), RequestId(request), Sequence(known)).verdict;
}

TEST(RequestWindow, RemembersWhereARequestWasExecuted) {
  RequestWindow w;
  w.executed(executed(1, 5, 17));
  EXPECT_EQ(w.find(ClientId(1), RequestId(5), {}).position.sequence, Sequence(17));
  EXPECT_EQ(ask(w, 1, 4), Verdict::kNew);
  EXPECT_EQ(ask(w, 2, 5), Verdict::kNew);
}

TEST(RequestWindow, RefusesWhatTheClientSettled) {
  RequestWindow w;
  w.executed(executed(1, 1, 1));
  w.executed(executed(1, 3, 2, 3));
  EXPECT_EQ(ask(w, 1, 1), Verdict::kTooOld);
  EXPECT_EQ(ask(w, 1, 3), Verdict::kExecuted);
}

TEST(RequestWindow, RefusesWhatWasPushedOut) {
  RequestWindow w;
  for (uint64_t i = 1; i <= RequestWindow::kMaxRequests + 1; i++) w.executed(executed(1, i, i));
  EXPECT_EQ(ask(w, 1, 1), Verdict::kTooOld);
  EXPECT_EQ(ask(w, 1, 2), Verdict::kExecuted);
}

TEST(RequestWindow, ATruncatedRequestIsNewAgain) {
  RequestWindow w;
  w.executed(executed(1, 1, 1));
  w.executed(executed(1, 2, 2));
  w.truncate(Sequence(1));
  EXPECT_EQ(ask(w, 1, 1), Verdict::kExecuted);
  EXPECT_EQ(ask(w, 1, 2), Verdict::kNew);
}

RequestWindow overfull() {
  RequestWindow w;
  w.executed(executed(9999, 1, 1));
  w.executed(executed(9999, 2, 2));
  for (uint64_t i = 1; i <= RequestWindow::kMaxClients; i++) w.executed(executed(i, 1, 10 + i));
  return w;
}

TEST(RequestWindow, AnEvictedClientIsRefusedUnlessItKnowsWhatCameSince) {
  RequestWindow w = overfull();
  EXPECT_EQ(w.clients(), RequestWindow::kMaxClients);
  EXPECT_EQ(ask(w, 9999, 2, 0), Verdict::kTooOld);
  EXPECT_EQ(ask(w, 9999, 3, 2), Verdict::kNew);
}

TEST(RequestWindow, AnEvictedClientThatComesBackCannotRepeatAnOldRequest) {
  RequestWindow w = overfull();
  w.executed(executed(9999, 3, 5000));
  EXPECT_EQ(ask(w, 9999, 2, 5000), Verdict::kTooOld) << "it was executed at 2, which nobody remembers";
  EXPECT_EQ(ask(w, 9999, 3, 5000), Verdict::kExecuted);
  EXPECT_EQ(ask(w, 9999, 4, 5000), Verdict::kNew);
}

TEST(RequestWindow, ComesBackFromItsSavedForm) {
  RequestWindow w = overfull();
  Result<RequestWindow> loaded = RequestWindow::load(w.save(Sequence(100000)));
  ASSERT_TRUE(loaded.is_ok());
  EXPECT_EQ(*loaded, w);
}

TEST(RequestWindow, SavesOnlyWhatTheCheckpointCovers) {
  RequestWindow w;
  w.executed(executed(1, 1, 1));
  w.executed(executed(1, 2, 2));
  Result<RequestWindow> loaded = RequestWindow::load(w.save(Sequence(1)));
  ASSERT_TRUE(loaded.is_ok());
  EXPECT_EQ(ask(*loaded, 1, 1), Verdict::kExecuted);
  EXPECT_EQ(ask(*loaded, 1, 2), Verdict::kNew);
}

TEST(RequestWindow, RefusesHostileBytes) {
  RequestWindow w;
  for (uint64_t i = 1; i <= 3; i++) w.executed(executed(i, 1, i));
  std::string good = w.save(Sequence(3));
  for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(RequestWindow::load(good.substr(0, n)).is_ok()) << n;
  EXPECT_FALSE(RequestWindow::load(good + "x").is_ok());
  std::string many_clients = good, many_requests = good;
  many_clients.replace(8, 8, 8, '\xff');
  many_requests.replace(40, 8, 8, '\xff');
  EXPECT_FALSE(RequestWindow::load(many_clients).is_ok());
  EXPECT_FALSE(RequestWindow::load(many_requests).is_ok());
}

}  // namespace
}  // namespace shima::replication
