#pragma once

#include <cstdint>

#include "roars/units.hpp"

namespace roars::detail {

/// Writes a loss, and its derivative by the answer's summary, to be read by each of its n trainable tokens: loss / n,
/// and the derivative.
template <class X>
ROARS_FN void write_answer(const X& x, std::int64_t sequence, double loss, double slope) {
    using Real = typename X::Real;
    std::int64_t length = x.of(sequence).length;
    x[col::sequence_loss{}][sequence] = length > 0 ? static_cast<Real>(loss / double(length)) : Real(0);
    x[col::sequence_gradient{}][sequence] = static_cast<Real>(slope);
}

}  // namespace roars::detail
