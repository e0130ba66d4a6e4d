#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/objective_test.hpp"
