#include "registry/server_message.hpp"

#include <doctest/doctest.h>

using mlctr::server_message;

TEST_CASE("the message of an error body, in the shapes that exist") {
  CHECK(server_message(R"({"errors":[{"code":"DENIED","message":"requested access is denied"}]})") ==
        "requested access is denied");
  CHECK(server_message(R"({"errors":[{"code":"DENIED"}]})") == "DENIED");
  CHECK(server_message(R"({"errors":[7,{},{"message":"second"}]})") == "second");
  CHECK(server_message(R"({"error":"invalid_grant","error_description":"token expired"})") == "token expired");
  CHECK(server_message(R"({"details":"incorrect username or password"})") == "incorrect username or password");
}

TEST_CASE("no message where there is none to trust") {
  for (const char* body :
       {"", "<html>", "[]", "null", "{}", R"({"errors":{}})", R"({"errors":"x"})", R"({"message":7})"}) {
    CAPTURE(body);
    CHECK(server_message(body).empty());
  }
  CHECK(server_message("{\"message\":\"" + std::string(70'000, 'x') + "\"}").empty());
  CHECK(server_message(std::string(60'000, '[')).empty());
}

TEST_CASE("a message is printable, short, and repeats no token") {
  CHECK(server_message("{\"message\":\"a\\u001b[31mb\"}").find('\x1b') == std::string::npos);
  std::string words;
  for (int i = 0; i < 1000; ++i) words += "word ";
  CHECK(server_message("{\"message\":\"" + words + "\"}").size() < 256);
  const std::string token(90, 't');
  CHECK(server_message("{\"message\":\"bad token " + token + " sent\"}") == "bad token ... sent");
}
