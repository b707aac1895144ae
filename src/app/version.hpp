// mlctr's version, from CMake's project().
#pragma once

namespace mlctr {

inline constexpr const char* k_version = MLCTR_VERSION;

}  // namespace mlctr
