// expect: this column is in the batch already
#include "roars/batch.hpp"

using namespace roars;

auto batch(Offsets tokens, std::span<float> logp) {
    return view<float>(tokens).borrow(col::logp{}, logp).borrow(col::logp{}, logp);
}
