#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/muon_test.hpp"
