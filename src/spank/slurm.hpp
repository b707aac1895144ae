// Slurm's plugin interface. Its header declares the callbacks outside of its own extern "C" block, so it goes into one.
#pragma once

extern "C" {
#include <slurm/spank.h>
}
