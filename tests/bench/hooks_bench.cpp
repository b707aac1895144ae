// What the hooks cost at each start: with GPUs, and on a host without any. Usage: hooks_bench ROOT GPUS|none
// ROOT: a tree of tests/fixtures/fake_driver.py. Prints the median of 200 plans, in milliseconds.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "hooks/chain.hpp"

int main(int count, char** arguments) {
  using namespace mlctr::hooks;
  if (count != 3) return 2;
  HookRequest request;
  if (std::string(arguments[2]) != "none") request.gpus = arguments[2];
  std::vector<double> times;
  std::size_t parts = 0;
  for (int i = 0; i < 200; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const Edits edits = plan_edits(HostView(arguments[1]), request);
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    parts = edits.mounts.size() + edits.devices.size();
  }
  std::ranges::sort(times);
  fmt::print("{:.3f} ms ({} mounts and nodes)\n", times[times.size() / 2], parts);
}
