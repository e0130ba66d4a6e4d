#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/optimizer/step/clipped.hpp"

namespace roars::step {

template <class FirstState, class SecondState>
struct SplitState {
    FirstState first;
    SecondState second;

    ROARS_MEMBERS(SplitState, first, second)
};

/// A rule for the parameters before `from` and another for those from there on: a critic that stands behind the policy,
/// at a rate of its own. Errors: `from` beyond the parameters.
template <class First, class Second>
struct Split {
    First first{};
    Second second{};
    std::int64_t from = 0;

    template <class Real>
    using StateOf = SplitState<typename First::template StateOf<Real>, typename Second::template StateOf<Real>>;
    using State = StateOf<float>;

    template <class FirstState, class SecondState, class Real>
    void step(SplitState<FirstState, SecondState>& state, std::span<Real> parameters, std::span<Real> gradients,
              double scale = 1.0, double gradient_scale = 1.0) const {
        const auto cut = static_cast<std::size_t>(from);
        expect(from >= 0 && cut <= parameters.size() && parameters.size() == gradients.size(), [&] {
            return "Split: the second rule begins at parameter " + std::to_string(from) + " of " +
                   std::to_string(parameters.size()) + ", expected a place among them";
        });
        detail::step_scaled(first, state.first, parameters.first(cut), gradients.first(cut), scale, gradient_scale);
        detail::step_scaled(second, state.second, parameters.subspan(cut), gradients.subspan(cut), scale,
                            gradient_scale);
    }
    template <class FirstState, class SecondState>
    void skip(SplitState<FirstState, SecondState>& state) const {
        detail::skip(first, state.first);
        detail::skip(second, state.second);
    }
};
template <class First, class Second>
ROARS_FIELDS_OF((Split<First, Second>), first, second, from)

}  // namespace roars::step
