// expect: no matching (function for call to|constructor for initialization of) .*span
#include "roars/batch.hpp"

using namespace roars;

auto batch(Offsets tokens) { return view<float>(tokens).borrow(col::logp{}, std::vector<float>(3)); }
