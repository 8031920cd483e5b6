// The administrator's program, as a function: main() and the tests call it.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace shima {

// `arguments` are those after the program's name. Returns the exit code (exit_codes.h).
int run_shimactl(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace shima
