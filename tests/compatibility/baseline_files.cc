#include "tests/compatibility/baseline_files.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace shima {
namespace {

constexpr size_t kBytesALine = 32;
constexpr size_t kMostBytes = 1 << 20;
constexpr const char* kDigits = "0123456789abcdef";

Status bad(const std::string& line) {
  return {Code::kCorrupt, "found the line \"" + line + "\" in a .hex file"};
}

int digit(char c) {
  const char* found = std::find(kDigits, kDigits + 16, c);
  return found == kDigits + 16 ? -1 : static_cast<int>(found - kDigits);
}

bool take_line(const std::string& line, std::string& bytes) {
  size_t offset = 0;
  const size_t colon = line.find(": ");
  if (colon == std::string::npos) return false;
  const auto [end, error] = std::from_chars(line.data(), line.data() + colon, offset, 16);
  if (error != std::errc() || end != line.data() + colon || offset > kMostBytes || offset < bytes.size())
    return false;
  bytes.resize(offset);
  for (size_t at = colon + 2; at < line.size(); at += 2) {
    const int high = digit(line[at]), low = at + 1 < line.size() ? digit(line[at + 1]) : -1;
    if (high < 0 || low < 0) return false;
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
  return true;
}

}  // namespace

std::string hex_text_of(const std::string& bytes) {
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += kBytesALine) {
    const std::string line = bytes.substr(at, kBytesALine);
    if (line.find_first_not_of('\0') == std::string::npos) continue;
    char offset[16];
    snprintf(offset, sizeof offset, "%06zx: ", at);
    text += offset;
    for (const char c : line) {
      text += kDigits[static_cast<unsigned char>(c) >> 4];
      text += kDigits[static_cast<unsigned char>(c) & 15];
    }
    text += '\n';
  }
  return text + "size " + std::to_string(bytes.size()) + "\n";
}

Result<std::string> bytes_from_hex_text(const std::string& text) {
  std::istringstream lines(text);
  std::string bytes, line;
  while (std::getline(lines, line)) {
    if (line.starts_with("size ")) {
      size_t size = 0;
      const auto [end, error] = std::from_chars(line.data() + 5, line.data() + line.size(), size);
      if (error != std::errc() || end != line.data() + line.size() || size < bytes.size() ||
          size > kMostBytes)
        return bad(line);
      bytes.resize(size);
      return bytes;
    }
    if (!take_line(line, bytes)) return bad(line);
  }
  return Status(Code::kCorrupt, "wanted a last line \"size N\" in a .hex file, found none");
}

std::string baselines_folder() { return SHIMA_SOURCE_DIR "/tests/compatibility/baseline"; }

std::string baseline_folder(uint32_t release) {
  return baselines_folder() + "/release-" + std::to_string(release);
}

Result<std::vector<uint32_t>> recorded_releases() {
  std::vector<uint32_t> releases;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(baselines_folder(), error)) {
    const std::string name = entry.path().filename();
    uint32_t release = 0;
    const size_t dash = name.find('-');
    if (dash == std::string::npos) continue;
    const auto [end, wrong] = std::from_chars(name.data() + dash + 1, name.data() + name.size(), release);
    if (wrong == std::errc() && end == name.data() + name.size()) releases.push_back(release);
  }
  if (error) return Status(Code::kNotFound, baselines_folder() + ": " + error.message());
  std::sort(releases.begin(), releases.end());
  return releases;
}

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Status(Code::kNotFound, "wanted " + path + ", found no such file; run hack/record-formats");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Status write_text(const std::string& path, const std::string& text) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return Status::ok();
  return {Code::kInternal, "cannot write " + path};
}

}  // namespace shima
