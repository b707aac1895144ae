#include "hooks/nvidia.hpp"

namespace mlctr::hooks {

Edits nvidia_edits(const HostView&, const HookRequest&) {
  return {};
}

}  // namespace mlctr::hooks
