#include "coreserver/jobs/entry_name.h"

#include <cerrno>

#include "coreserver/jobs/jobs.h"

namespace shima {

int check_entry_name(std::string_view name) {
  if (name.size() > kMaxNameBytes) return ENAMETOOLONG;
  constexpr std::string_view kForbidden("/\0", 2);
  return name.empty() || name.find_first_of(kForbidden) != std::string_view::npos ? EINVAL : 0;
}

}  // namespace shima
