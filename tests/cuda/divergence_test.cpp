#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/divergence_test.hpp"
