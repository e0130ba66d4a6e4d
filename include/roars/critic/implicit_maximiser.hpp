#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/regularizer/f_divergence.hpp"

/// Losses of a state value V = value that moves towards the upper end of the action values q = col::q of the data, a
/// constant (the smaller of two target critics): V of the best action without asking for an action outside the data.
/// x = q - V. They stand where critic::Expectile does.
namespace roars::critic {

/// tau max(f*(x), 0) - (1 - tau) x, with f* as f_divergence says: f-DVL. The larger tau, the nearer to the largest q.
/// Metric: the mean value. Source: Dual RL, arXiv 2302.08560, section 5, and its released loss. Errors: tau outside
/// (0, 1): at 1 nothing pulls V down.
template <class Divergence>
struct ImplicitMaximiser {
    double tau = 0.8;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::q>;
    using differentiates = columns<col::value>;
    static constexpr std::array<std::string_view, 1> metrics{"value"};

    template <class RunType, class BatchType>
    void prepare(RunType&, BatchType&) const {
        expect(tau > 0.0 && tau < 1.0,
               [&] { return "implicit maximiser: tau is " + std::to_string(tau) + ", expected a number in (0, 1)"; });
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V up(static_cast<Real>(tau)), down(static_cast<Real>(1.0 - tau));
        V above = x[col::q{}] - x[col::value{}];
        auto raised = Divergence::raised(above);
        return {up * raised.value - down * above, {down - up * raised.slope}, {x[col::value{}]}};
    }
};
template <class Divergence>
ROARS_FIELDS_OF((ImplicitMaximiser<Divergence>), tau)

/// e^(z - m) - (z + 1) e^-m, z = min(x / temperature, clip), m = max(-1, largest z of the whole batch), a constant; no
/// slope where x is clipped. Gumbel regression: the exponential loss that f-DVL replaces; without a clip (infinity) it
/// diverges easily, and the objective then says which value is not finite. Metric: the mean value. Source: XQL, arXiv
/// 2301.02328, eq. 11.
struct GumbelRegression {
    double temperature = 1.0;
    double clip = 5.0;
    double shift = -1.0;  ///< m of the batch at hand; no setting

    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::q>;
    using differentiates = columns<col::value>;
    static constexpr std::array<std::string_view, 1> metrics{"value"};

    struct Sums {
        double largest = -std::numeric_limits<double>::infinity();
        Sums& operator+=(const Sums& other) {
            largest = std::max(largest, other.largest);
            return *this;
        }
    };
    template <class RunType, class BatchType>
    Sums reduce(RunType&, const BatchType& batch) const {
        expect(temperature > 0.0, [&] {
            return "Gumbel regression: temperature is " + std::to_string(temperature) + ", expected more than 0";
        });
        Sums sums;
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto i = static_cast<std::size_t>(t);
            if (roars::detail::trainable<col::mask>(batch, t))
                sums.largest =
                    std::max(sums.largest, scaled(double(batch[col::q{}][i]) - double(batch[col::value{}][i])));
        }
        return sums;
    }
    GumbelRegression with(const Sums& sums) const { return {temperature, clip, std::max(-1.0, sums.largest)}; }

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V one(Real(1)), bound(static_cast<Real>(clip)), rate(static_cast<Real>(1.0 / temperature));
        const V middle(static_cast<Real>(shift)), base = math::exp(-middle);
        V raw = (x[col::q{}] - x[col::value{}]) * rate, z = math::min(raw, bound), rise = math::exp(z - middle);
        V slope = math::select(raw <= bound, -rate * (rise - base), V(Real(0)));
        return {rise - (z + one) * base, {slope}, {x[col::value{}]}};
    }

private:
    double scaled(double x) const { return std::min(x / temperature, clip); }
};
ROARS_FIELDS(GumbelRegression, temperature, clip)

}  // namespace roars::critic
