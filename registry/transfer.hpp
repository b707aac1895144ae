// One exchange as libcurl carries it out: the easy handle with its options, and its callbacks.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "registry/answer_headers.hpp"
#include "registry/ca_bundle.hpp"
#include "registry/exchange.hpp"
#include "registry/late_libcurl.hpp"

namespace mlctr {

/// Made and read by the thread that asks; between add() and `finished` the engine's thread has it. Everything given to
/// the constructor outlives it.
class Transfer {
 public:
  using Clock = std::chrono::steady_clock;

  Transfer(const Exchange& exchange, AnswerReader& reader, CaBundle& bundle);

  CURL* easy() const noexcept { return easy_.get(); }
  ExchangeResult& result() noexcept { return result_; }

  void start_clock() { last_byte_ = Clock::now(); }
  /// Time that the engine spent inside somebody's sink is not this server's silence.
  void excuse(Clock::duration blocked) { last_byte_ += blocked; }
  bool is_stalled(Clock::time_point now) const { return now - last_byte_ > exchange_.stall_timeout; }

  // Each settles the result.
  void end(CURLcode code);
  void end_stalled();

  std::atomic<bool> cancelled{false};
  bool finished = false;  ///< under the engine's mutex

 private:
  struct CloseEasy {
    void operator()(CURL* easy) const noexcept { libcurl().easy_cleanup(easy); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const noexcept { libcurl().slist_free_all(list); }
  };

  void set_request();
  void set_headers();
  void set_connection();
  void set_tls(CaBundle& bundle);
  template <class Action>
  void guard(Action action) noexcept;
  void announce();
  void take_body(std::span<const std::byte> bytes);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t sent);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);

  const Exchange& exchange_;
  AnswerReader& reader_;
  std::unique_ptr<curl_slist, FreeList> request_lines_;
  std::shared_ptr<const std::string> ca_pem_;
  AnswerHeaders headers_;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
  std::unique_ptr<CURL, CloseEasy> easy_;  // after what it points into: destroyed first
  ExchangeResult result_;
  bool announced_ = false;
  curl_off_t sent_ = 0;  // of the body
  Clock::time_point last_byte_ = Clock::now();
};

}  // namespace mlctr
