#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// No reward: for methods that learn from demonstrations or preferences alone.
struct None {
    static constexpr bool everywhere = true;

    template <class RunType, class BatchType>
    void score(RunType&, BatchType&) const {}
};
ROARS_FIELDS(None)

}  // namespace roars::reward
