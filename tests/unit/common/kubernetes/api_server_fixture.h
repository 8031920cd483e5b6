// ApiServerFixture: one api_server_stand_in for a suite, with its certificate, a client certificate and a
// token.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/kubernetes/api_access.h"

namespace shima {

class ApiServerFixture : public testing::Test {
 protected:
  static void SetUpTestSuite();
  static void TearDownTestSuite();

  // To the stand-in as it likes it.
  static ApiAccess access();
  static void write(const std::string& name, const std::string& text);
  static std::string file(const std::string& name) { return *folder_ + "/" + name; }
  // NAME.crt and NAME.key; of its own authority, or of the server's.
  static void make_certificate(const std::string& name, bool by_server);
  static int port() { return port_; }

 private:
  static std::string* folder_;
  static pid_t server_;
  static int input_, port_;
};

}  // namespace shima
