// A transport without a network: answers by a function of the request and remembers what it was asked. For hosts that
// no test may speak to.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "registry/transport.hpp"

namespace mlctr::test {

class ScriptedTransport : public Transport {
 public:
  using Script = std::function<HttpResponse(const HttpRequest&)>;
  explicit ScriptedTransport(Script script) : script_(std::move(script)) {}

  HttpResponse perform(const HttpRequest& request, std::stop_token) override {
    requests.push_back(request);
    HttpResponse response = script_(request);
    if (response.url.empty()) response.url = request.url;
    return response;
  }
  HttpResponse download(const HttpRequest& request, BodySink& sink, std::uint64_t, std::stop_token stop) override {
    HttpResponse response = perform(request, stop);
    if (response.status == 200) sink.append(std::as_bytes(std::span(response.body)));
    return response;
  }
  void note(std::string text) override { notes.push_back(std::move(text)); }

  std::vector<HttpRequest> requests;
  std::vector<std::string> notes;

 private:
  Script script_;
};

}  // namespace mlctr::test
