#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/text_actor_test.hpp"
