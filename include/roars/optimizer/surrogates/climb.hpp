#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/units.hpp"

namespace roars::surrogate {

/// The policy climbs its critic: -q(state, policy_action), slope -dq/da by the policy's action. The critic, wherever it
/// is trained, gives q and q_gradient at that action. Shapes: q [rows], q_gradient, policy_action [rows, width].
/// Metric: the mean q. Sources: DDPG, arXiv 1509.02971, eq. 6; TD3, arXiv 1802.09477; SAC, arXiv 1812.05905, eq. 7,
/// with regularizer::EntropyTemperature.
struct Climb {
    static constexpr std::string_view name = "policy_loss";
    using rows = columns<col::policy_action, col::q_gradient>;
    using needs = columns<col::policy_action, col::q, col::q_gradient>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 1> metrics{"q"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto by_action = x[col::q_gradient{}];
        auto to = slope[col::policy_action{}];
        for (std::size_t j = 0; j < to.size(); ++j) to[j] = -Real(by_action[j]);
        double q = double(x[col::q{}]);
        return {-q, {q}};
    }
};
ROARS_FIELDS(Climb)

/// Climb with dq/da of each row shortened to `bound` where it is longer (||dq/da||_2): the loss is -q still, its slope
/// is held. Shapes and metric as Climb. Source: DPG with a clipped action gradient, as rlax has it. Errors: a bound
/// that is not positive.
struct BoundedClimb {
    double bound = 1.0;

    static constexpr std::string_view name = "policy_loss";
    using rows = Climb::rows;
    using needs = Climb::needs;
    using differentiates = Climb::differentiates;
    static constexpr auto metrics = Climb::metrics;
    static constexpr bool everywhere = true;

    template <class RunType, class BatchType>
    void prepare(RunType&, BatchType&) const {
        expect(bound > 0.0,
               [&] { return "bounded climb: bound is " + std::to_string(bound) + ", expected more than 0"; });
    }
    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto said = Climb{}.row(x, slope);
        double square = 0.0;
        for (Real each : x[col::q_gradient{}]) square += double(each) * double(each);
        if (square > bound * bound)
            for (auto& each : slope[col::policy_action{}])
                each = static_cast<Real>(double(each) * bound / std::sqrt(square));
        return said;
    }
};
ROARS_FIELDS(BoundedClimb, bound)

/// What a mean over the whole batch is made of. Sums of micro-batches add up.
struct MeanSize {
    double sum = 0;
    std::int64_t count = 0;
    ROARS_FN MeanSize& operator+=(const MeanSize& other) {
        sum += other.sum;
        count += other.count;
        return *this;
    }
    ROARS_FN double mean() const { return count > 0 ? sum / double(count) : 0.0; }
};

/// -c q(state, policy_action), c = alpha / max(mean |q| over the batch, floor), without a gradient through c; c = 0
/// where both are 0. Shapes and metric as Climb. Source: TD3+BC, arXiv 2106.06860, eq. 5.
struct NormalisedClimb {
    double alpha = 2.5;
    double floor = 0.0;  ///< the least that c is divided by
    double scale = 0.0;  ///< c of the batch at hand; no setting

    static constexpr std::string_view name = "policy_loss";
    using rows = Climb::rows;
    using needs = Climb::needs;
    using differentiates = Climb::differentiates;
    static constexpr auto metrics = Climb::metrics;
    using prepare_needs = columns<col::q>;
    using Sums = MeanSize;
    using Unit = unit::Sequence;
    struct Summary {
        using needs = columns<col::q>;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return math::abs(x[col::q{}]);
        }
    };

    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t sequence) const {
        return {x.of(sequence).sum, x.of(sequence).length};
    }
    ROARS_FN NormalisedClimb with(const Sums& sums) const {
        double size = sums.mean() > floor ? sums.mean() : floor;
        return {alpha, floor, size > 0.0 ? alpha / size : 0.0};
    }
    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto said = Climb{}.row(x, slope);
        for (auto& each : slope[col::policy_action{}]) each = static_cast<Real>(scale * double(each));
        said.loss *= scale;
        return said;
    }
};
ROARS_FIELDS(NormalisedClimb, alpha, floor)

}  // namespace roars::surrogate
