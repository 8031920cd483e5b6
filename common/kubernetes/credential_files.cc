#include "common/kubernetes/credential_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace shima {

Result<std::string> read_credential_file(const std::string& path, size_t max_bytes) {
  const auto refused = [&](const std::string& found) {
    return Status(Code::kFailedPrecondition,
                  "wanted credentials for the API server in " + path + ", found " + found);
  };
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return refused(std::string("that it cannot be opened: ") + std::strerror(errno));
  std::string text(max_bytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return refused(std::string("that it cannot be read: ") + std::strerror(errno));
  text.resize(static_cast<size_t>(file.gcount()));
  if (text.empty()) return refused("nothing there; is it a file, and does the pod have a service account?");
  if (text.size() > max_bytes) return refused("more than " + std::to_string(max_bytes) + " bytes");
  return text;
}

std::string trimmed(const std::string& text) {
  constexpr char kSpaces[] = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpaces);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

Result<std::string> checked_token(const std::string& text, const std::string& where) {
  std::string token = trimmed(text);
  const bool good = !token.empty() && token.size() <= 64 * 1024 &&
                    std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (good) return token;
  return {Code::kFailedPrecondition,
          "wanted a bearer token in " + where + ", found " +
              (token.empty() ? "nothing there; does the pod have a service account?"
                             : "bytes that no token may have, or more than 64 KiB")};
}

}  // namespace shima
