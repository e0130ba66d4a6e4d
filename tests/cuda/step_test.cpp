#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/step_test.hpp"
