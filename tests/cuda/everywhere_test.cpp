#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/everywhere_test.hpp"
