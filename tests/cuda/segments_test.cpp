#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/segments_test.hpp"
