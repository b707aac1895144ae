// A reference that is taken prints to a form that is taken again and means the same; a refused one has a printable
// message.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/reference.hpp"

using namespace mlctr;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

void check_reference(const ImageReference& reference) {
  expect(!reference.registry.empty() && !reference.repository.empty());
  expect(!reference.tag.empty() || reference.digest.has_value());
  // Both become paths in the store and URLs.
  expect(("/" + reference.registry + "/" + reference.repository + "/" + reference.tag + "/").find("/../") ==
         std::string::npos);
  expect(reference.repository.find("//") == std::string::npos);
  ImageReference again = ImageReference::parse(reference.to_string());
  again.user = reference.user;
  expect(again == reference);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const ImageSource source = parse_image_source(text);
    const std::string typed = to_string(source);
    expect(to_string(parse_image_source(typed)) == typed);
    if (const auto* reference = std::get_if<ImageReference>(&source)) check_reference(*reference);
  } catch (const UsageError& error) {
    expect(printable(error.message(), 1u << 20) == error.message());
    expect(printable(error.hint(), 1u << 20) == error.hint());
  }
  return 0;
}
