#include <iostream>

#include "cli/shimactl.h"

int main(int argc, char** argv) {
  return shima::run_shimactl(std::vector<std::string>(argv + 1, argv + argc), std::cout, std::cerr);
}
