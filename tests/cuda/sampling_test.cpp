#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/sampling_test.hpp"
