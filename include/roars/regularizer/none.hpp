#pragma once

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// Nothing, at no cost.
struct None {
    using does_nothing = void;
};
ROARS_FIELDS(None)

}  // namespace roars::regularizer
