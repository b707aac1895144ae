// One visitor of several lambdas, for std::visit.
#pragma once

namespace mlctr {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
// Clang 14 deduces no aggregate without it.
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace mlctr
