#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/sort_test.hpp"
