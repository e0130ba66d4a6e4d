#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/algorithm_test.hpp"
