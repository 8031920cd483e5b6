// Writes the baseline of this release: tests/compatibility/baseline/release-N. Called by hack/record-formats.
// Exit codes: 0 written, 1 something could not be written.
#include <cstdio>

#include "common/release/release.h"
#include "tests/compatibility/api_description.h"
#include "tests/compatibility/baseline_files.h"
#include "tests/compatibility/format_samples.h"

namespace shima {
namespace {

Status record_baseline(const std::string& folder) {
  SHIMA_RETURN_IF_ERROR(write_text(folder + "/api.txt", text_of(describe_api(api_files()))));
  for (const FormatSample& format : all_formats()) {
    const std::string bytes = format.write();
    SHIMA_RETURN_IF_ERROR(format.read(bytes).with_context(format.name));
    const std::string ending = bytes.ends_with('\n') ? "" : "\n";
    SHIMA_RETURN_IF_ERROR(
        write_text(folder + "/" + format.file(), format.text ? bytes + ending : hex_text_of(bytes)));
  }
  return Status::ok();
}

}  // namespace
}  // namespace shima

int main() {
  const std::string folder = shima::baseline_folder(shima::kRelease);
  if (const shima::Status done = shima::record_baseline(folder); !done) {
    fprintf(stderr, "record_formats: %s\n", done.to_string().c_str());
    return 1;
  }
  printf("recorded what release %u writes: %s\n", shima::kRelease, folder.c_str());
  return 0;
}
