#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/log_softmax_test.hpp"
