#include "runtime/labelled_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::size_t k_longest_line = 4096;
constexpr std::size_t k_last_reads = 16;  // a pipe holds 64 KiB (pipe(7))

}  // namespace

LabelledOutput::LabelledOutput(std::string label) : label_(std::move(label)), pipe_(make_pipe()) {
  if (::fcntl(pipe_.read_end.get(), F_SETFL, O_NONBLOCK) != 0) throw SysError("cannot set up a pipe");
}

LabelledOutput::~LabelledOutput() {
  // Somebody else may have it open still, and never stop.
  for (std::size_t reads = 0; reads < k_last_reads && take(); ++reads) {
  }
  if (!begun_.empty()) pass_on(begun_);
}

bool LabelledOutput::take() {
  std::array<char, k_longest_line> bytes{};
  const ssize_t size = pipe_.read_end ? ::read(pipe_.read_end.get(), bytes.data(), bytes.size()) : -1;
  if (size == 0) pipe_.read_end.reset();
  if (size <= 0) return false;
  begun_.append(bytes.data(), static_cast<std::size_t>(size));
  for (std::size_t end = 0; (end = begun_.find('\n')) != begun_.npos; begun_.erase(0, end + 1)) {
    pass_on(std::string_view(begun_).substr(0, end));
  }
  if (begun_.size() > k_longest_line) pass_on(std::exchange(begun_, {}));
  return true;
}

void LabelledOutput::pass_on(std::string_view line) const {
  const std::string text = fmt::format("{}: {}\n", label_, printable(line, 2 * k_longest_line));
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());  // who would hear of it?
}

}  // namespace mlctr::runtime
