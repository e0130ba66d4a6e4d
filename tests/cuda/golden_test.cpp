#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/golden_test.hpp"
