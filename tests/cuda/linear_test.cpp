#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/linear_test.hpp"
