#include "containerfile/word_lexer.hpp"

#include <doctest/doctest.h>
