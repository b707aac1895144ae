// Whether an option's argument can mean anything, as far as that can be known before the job waits in the queue. What
// depends on a node (images, containers, mount sources) is mlctr's to find out there.
#pragma once

#include "spank/failure.hpp"
#include "spank/option_table.hpp"

namespace mlctr::spank {

/// `value` is the argument of an option that takes one.
Failure check_argument(Option option, const char* value);

/// A variable's yes or no: 1, true, yes, y and their opposites, as pyxis takes them.
Failure check_switch(const char* value);

/// An image written like a registry's that is a file of the working directory: "cont.sqsh" is rarely meant to be one of
/// Docker Hub's. Looks at this machine's files, so it is for the machine that the user typed it on.
Failure check_for_forgotten_slash(const char* image);

}  // namespace mlctr::spank
