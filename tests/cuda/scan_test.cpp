#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/scan_test.hpp"
