#pragma once

#include "roars/concepts.hpp"

namespace roars::advantage {

/// No signal: for losses that need none (likelihood, preferences).
struct None {
    static constexpr bool everywhere = true;

    template <class RunType, class BatchType>
    void estimate(RunType&, BatchType&) const {}
};
ROARS_FIELDS(None)

}  // namespace roars::advantage
