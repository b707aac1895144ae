// A snapshot of a pull as the lines of one frame: a line a layer and a total, never wider or higher than the terminal.
//
//   a1b2c3d4e5f6 downloading  ━━━━━━━────────···  31%  120/219 MB   98 MB/s    2 s
//   0f1e2d3c4b5a already here
//   total        1/2 done     ━━━━━━━────────···  31%  120/219 MB   98 MB/s    3 s
//
// A bar is what has been converted, then what has been downloaded, then what is missing; the percentage is the
// converted part. Where all layers don't fit, those at work are shown and the others counted.
#pragma once

#include <string>
#include <vector>

#include "cli/progress_sampler.hpp"
#include "cli/styled_line.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {

struct FrameStyle {
  TerminalSize size;
  Glyphs glyphs = Glyphs::unicode;
  Colour colour = Colour::off;
};

/// At most size.rows - 1 lines (at least one) of at most size.columns - 1 columns: a terminal that wraps or scrolls at
/// its last column or row never does so because of a frame.
std::vector<StyledLine> render_frame(const ProgressSnapshot& snapshot, const FrameStyle& style);

}  // namespace mlctr::cli
