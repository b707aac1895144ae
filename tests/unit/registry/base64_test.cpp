#include "registry/base64.hpp"

#include <doctest/doctest.h>

using namespace mlctr;

// RFC 4648, section 10.
TEST_CASE("the RFC's vectors both ways") {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(encode_base64(bytes) == text);
    CHECK(decode_base64(text) == bytes);
  }
  CHECK(encode_base64(std::string("\x00\xff\xfe", 3)) == "AP/+");
  CHECK(decode_base64("AP/+") == std::string("\x00\xff\xfe", 3));
}

TEST_CASE("padding may be left out, but not be wrong") {
  CHECK(decode_base64("Zg") == "f");
  CHECK(decode_base64("Zm8") == "fo");
  for (const std::string text :
       {"Z", "Zg=", "Zg===", "=Zg=", "Zm9v=", "Z=g=", "Zm9v====", "Zm 9v", "Zm9v\n", "Zm9*", "Zm9-"}) {
    CAPTURE(text);
    CHECK_FALSE(decode_base64(text));
  }
}
