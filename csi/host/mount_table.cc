#include "csi/host/mount_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

namespace shima {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

std::string without_escapes(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

template <typename Number>
bool take_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
std::optional<MountEntry> parse_line(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return std::nullopt;
  MountEntry entry;
  const std::vector<std::string_view> device = split(fields[2], ':');
  if (!take_number(fields[0], entry.mount_id) || device.size() != 2 ||
      !take_number(device[0], entry.device_major) || !take_number(device[1], entry.device_minor)) {
    return std::nullopt;
  }
  entry.root = without_escapes(fields[3]);
  entry.path = without_escapes(fields[4]);
  entry.options = fields[5];
  entry.type = dash[1];
  entry.source = without_escapes(dash[2]);
  entry.super_options = dash[3];
  return entry;
}

}  // namespace

bool MountEntry::has_option(std::string_view option) const {
  const std::vector<std::string_view> all = split(options, ',');
  return std::find(all.begin(), all.end(), option) != all.end();
}

const MountEntry* MountTable::at(std::string_view path) const {
  const auto found =
      std::find_if(entries_.rbegin(), entries_.rend(), [&](const MountEntry& e) { return e.path == path; });
  return found == entries_.rend() ? nullptr : &*found;
}

size_t MountTable::depth(std::string_view path) const {
  return static_cast<size_t>(
      std::count_if(entries_.begin(), entries_.end(), [&](const MountEntry& e) { return e.path == path; }));
}

Result<MountTable> parse_mount_table(std::string_view text) {
  std::vector<MountEntry> entries;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    std::optional<MountEntry> entry = parse_line(line);
    if (!entry) {
      return Status(Code::kCorrupt, "mountinfo: found \"" + std::string(line.substr(0, 200)) +
                                        "\", wanted a line as proc(5) describes it");
    }
    entries.push_back(std::move(*entry));
  }
  return MountTable(std::move(entries));
}

Result<MountTable> read_mount_table() {
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Status(Code::kIo, "cannot read /proc/self/mountinfo; is /proc mounted?");
  return parse_mount_table(text.str());
}

bool is_fuse_mount_of(const MountEntry& entry, std::string_view volume) {
  return entry.type == "fuse.shima" && entry.source == "shima:" + std::string(volume);
}

bool is_nfs_mount_of(const MountEntry& entry, std::string_view volume) {
  const std::string end = ":/" + std::string(volume);
  return (entry.type == "nfs" || entry.type == "nfs4") && entry.source.size() > end.size() &&
         entry.source.ends_with(end);
}

}  // namespace shima
