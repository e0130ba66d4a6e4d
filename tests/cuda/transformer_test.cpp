#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/transformer_test.hpp"
