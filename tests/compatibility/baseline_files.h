// The files of a baseline: what a release wrote, as text that a person can read and compare.
//
// tests/compatibility/baseline/release-N/api.txt           the messages and services (api_description.h)
//                                        formats/NAME.hex  bytes: lines "OFFSET: BYTES", those of zeros only
//                                                          left out, then "size N"
//                                        formats/NAME.json text as it is
// Errors: kNotFound, kCorrupt (not such a file), kInternal (cannot be written).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/status/status.h"

namespace shima {

std::string hex_text_of(const std::string& bytes);
Result<std::string> bytes_from_hex_text(const std::string& text);

std::string baselines_folder();                     // of the sources
std::string baseline_folder(uint32_t release);      // "…/release-1"
Result<std::vector<uint32_t>> recorded_releases();  // ascending

Result<std::string> read_text(const std::string& path);
Status write_text(const std::string& path, const std::string& text);

}  // namespace shima
