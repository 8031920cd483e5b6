#include "common/release/release.h"

namespace shima {

std::string software_version() { return SHIMA_VERSION; }

}  // namespace shima
