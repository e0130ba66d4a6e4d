#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "roars/optimizer/surrogates/climb.hpp"

namespace roars::surrogate {

/// -c g q(state, policy_action), c = coefficient: the policy climbs its critic the less, the farther it is from frozen
/// policies. g = product over them of clamp(prod over dimensions of N(policy_action; their action, sigma^2), 0, 1), a
/// constant. Beside it stand regularizer::NearAction and NearReferences. Shapes: q [rows], q_gradient, policy_action
/// [rows, width], reference_action [rows, policies width]. Metrics: the means of q and g. Source: TSCAC, arXiv
/// 2302.01680, section 4.3, as released (one frozen policy, one dimension). Errors: a sigma that is not positive.
struct DampedClimb {
    double sigma = 30.0;
    double coefficient = 1.0;

    static constexpr std::string_view name = "policy_loss";
    using rows = columns<col::policy_action, col::q_gradient, col::reference_action>;
    using needs = columns<col::policy_action, col::q, col::q_gradient, col::reference_action>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 2> metrics{"q", "similarity"};
    static constexpr bool everywhere = true;

    template <class RunType, class BatchType>
    void prepare(RunType&, BatchType&) const {
        expect(sigma > 0.0,
               [&] { return "damped climb: sigma is " + std::to_string(sigma) + ", expected more than 0"; });
    }
    /// g. Shapes: action [width], reference [policies width].
    template <class Real>
    ROARS_FN double similarity(std::span<const Real> action, std::span<const Real> reference) const {
        double product = 1.0;
        for (std::size_t first = 0; first + action.size() <= reference.size() && !action.empty();
             first += action.size()) {
            double log_density = 0.0;
            for (std::size_t d = 0; d < action.size(); ++d) {
                double z = (double(action[d]) - double(reference[first + d])) / sigma;
                log_density -= 0.5 * z * z + std::log(sigma) + 0.9189385332046727;
            }
            product *= std::min(std::exp(log_density), 1.0);
        }
        return product;
    }
    template <class X, class Slope>
    ROARS_FN RowLoss<2> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        double g = similarity<Real>(x[col::policy_action{}], x[col::reference_action{}]);
        auto by_action = x[col::q_gradient{}];
        auto to = slope[col::policy_action{}];
        for (std::size_t d = 0; d < to.size(); ++d) to[d] = static_cast<Real>(-coefficient * g * double(by_action[d]));
        double q = double(x[col::q{}]);
        return {-coefficient * g * q, {q, g}};
    }
};
ROARS_FIELDS(DampedClimb, sigma, coefficient)

}  // namespace roars::surrogate
