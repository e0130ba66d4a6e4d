// expect: .breakfast. is not a member of .roars::Purpose.|no member named .breakfast. in .roars::Purpose.
#include "roars/random.hpp"

roars::Random random_source(1, roars::Purpose::breakfast);
