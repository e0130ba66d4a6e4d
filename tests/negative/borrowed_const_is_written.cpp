// expect: assignment of read-only location|cannot assign to return value
#include "roars/batch.hpp"

using namespace roars;

void write(Offsets tokens, std::span<const float> logp) {
    view<float>(tokens).borrow(col::logp{}, logp)[col::logp{}][0] = 0;
}
