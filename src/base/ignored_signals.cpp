#include "base/ignored_signals.hpp"

#include <array>
#include <csignal>
#include <utility>

namespace mlctr {
namespace {

struct Disposition {
  int signal;
  void (*handler)(int);
};
std::array<Disposition, 2> before{{{SIGPIPE, SIG_DFL}, {SIGXFSZ, SIG_DFL}}};

}  // namespace

void ignore_write_signals() {
  for (Disposition& known : before) known.handler = std::signal(known.signal, SIG_IGN);
}

void restore_write_signals() {
  for (const Disposition& known : before) std::signal(known.signal, known.handler);
}

}  // namespace mlctr
