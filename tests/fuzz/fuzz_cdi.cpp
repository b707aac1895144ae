// A CDI file: what is taken has only what a plan can use; what is refused says so in words that can be shown.
#include <cstdlib>
#include <string_view>

#include "base/printable.hpp"
#include "hooks/cdi_mount.hpp"
#include "hooks/cdi_spec.hpp"
#include "hooks/document.hpp"
#include "hooks/nvidia_cdi_hook.hpp"

using namespace mlctr;
using namespace mlctr::hooks;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

bool is_path(std::string_view text) {
  return text.starts_with('/') && text.find('\0') == text.npos;
}

void check(const CdiEdits& edits) {
  for (const CdiNode& node : edits.nodes) expect(is_path(node.path) && is_path(node.host_path));
  for (const std::string& entry : edits.environment) expect(entry.find('=') != 0 && entry.find('=') != entry.npos);
  for (const CdiMount& mount : edits.mounts) {
    expect(is_path(mount.container_path) && !mount.host_path.empty());
    try {
      expect(is_path(plan_cdi_mount(mount).target));
    } catch (const DocumentError&) {
    }
  }
  for (const CdiHook& hook : edits.hooks) {
    expect(is_path(hook.path));
    try {
      parse_nvidia_cdi_hook(hook);
    } catch (const DocumentError&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    const CdiSpec spec = parse_cdi_spec({reinterpret_cast<const char*>(data), size});
    expect(!spec.devices.empty() && CdiKind::parse(spec.kind.text()).has_value());
    check(spec.edits);
    for (const CdiDevice& device : spec.devices) {
      expect(CdiName::parse(CdiName{spec.kind, device.name}.text()).has_value());
      check(device.edits);
    }
  } catch (const DocumentError& error) {
    expect(printable(error.message(), 1u << 20) == error.message());
  }
  return 0;
}
