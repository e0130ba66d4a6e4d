#include "roars/random.hpp"

roars::Random random_source(1, roars::Purpose::sample);
