// Progress in one line, for logs and for the moment before there are layers to show.
#pragma once

#include <chrono>
#include <string>

#include "cli/progress_frame.hpp"
#include "cli/progress_sampler.hpp"

namespace mlctr::cli {

/// "4 layers, 219 MB to fetch, 1 already here"
std::string start_line(const ProgressSnapshot& snapshot);

/// "3/6 layers, 412/1040 MB, 98 MB/s, 6 s left"; says what is waited for where nothing moves.
std::string progress_line(const ProgressSnapshot& snapshot);

/// "pull python:3.8: looking up the image (3 s)", of "pull python:3.8: looking up the image"
StyledLine render_opening(const std::string& doing, std::chrono::steady_clock::duration waited,
                          const FrameStyle& style);

}  // namespace mlctr::cli
