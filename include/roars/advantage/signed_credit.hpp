#pragma once

#include <string_view>

#include "roars/advantage/times.hpp"

namespace roars::weight {

/// 1 + alpha for a marked token of a positive advantage, 1 - alpha of a negative one, 1 for every other: A + alpha |A|,
/// more credit after success and less blame after failure. alpha >= 1 turns blame into nothing or into praise. HICRA,
/// arXiv 2509.03646, with Mark = col::planning.
template <class Mark>
struct SignedCredit {
    double alpha = 0.2;

    using needs = columns<Mark, col::advantage>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double operator()(const X& x) const {
        if (x[Mark{}] == 0) return 1.0;
        return x[col::advantage{}] > 0 ? 1.0 + alpha : 1.0 - alpha;
    }
    constexpr std::string_view caution() const {
        return alpha < 1 ? "" : "alpha of 1 or more turns the blame of marked tokens into nothing or into praise";
    }
};
template <class Mark>
ROARS_FIELDS_OF((SignedCredit<Mark>), alpha)

}  // namespace roars::weight
