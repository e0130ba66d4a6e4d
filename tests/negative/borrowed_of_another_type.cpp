// expect: borrowed values must be of the column's own type
#include "roars/batch.hpp"

using namespace roars;

auto batch(Offsets tokens, std::span<double> logp) { return view<float>(tokens).borrow(col::logp{}, logp); }
