// An image for a step: what is here already, else pulled by one process of the step's nodes that share a store, in
// lines that say which node's they are.
//
//   mlctr: n1: importing docker image: IMAGE: 3 layers, 219 MB to fetch      then one every five seconds
//   mlctr: n1: imported docker image: IMAGE in 12.3 s
//   mlctr: n2: importing docker image: IMAGE: waiting for n1                 for all the nodes that do
#pragma once

#include <string>

#include "app/run_target.hpp"
#include "app/slurm_step.hpp"
#include "cli/progress_display.hpp"

namespace mlctr::cli {

/// Throws Error ("failed to import docker image: …", which scripts look for in what pyxis says), StoppedBySignal.
BaseImage import_image(const Configuration& configuration, const SlurmStep& step, const std::string& image,
                       Verbosity verbosity);

}  // namespace mlctr::cli
