// What another program says on its standard error, passed on to ours line by line with a label in front.
#pragma once

#include <string>

#include "base/fd.hpp"

namespace mlctr::runtime {

class LabelledOutput {
 public:
  /// Throws SysError.
  explicit LabelledOutput(std::string label);
  /// Passes on what there is, the last line's beginning too.
  ~LabelledOutput();
  LabelledOutput(const LabelledOutput&) = delete;
  LabelledOutput& operator=(const LabelledOutput&) = delete;

  /// For the program.
  int write_end() const noexcept { return pipe_.write_end.get(); }
  /// Readable where take() has something to do; -1 once that is over.
  int read_end() const noexcept { return pipe_.read_end.get(); }
  /// In the process that reads, so that it sees the end.
  void close_write_end() noexcept { pipe_.write_end.reset(); }
  /// Reads some of what is there now, and passes on the whole lines. Never waits; false where nothing was there.
  bool take();

 private:
  void pass_on(std::string_view line) const;

  std::string label_;
  std::string begun_;  // a line without its end
  Pipe pipe_;
};

}  // namespace mlctr::runtime
