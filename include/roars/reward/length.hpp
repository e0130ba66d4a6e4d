#pragma once

#include <cmath>
#include <string>

#include "roars/concepts.hpp"

namespace roars::reward {

/// A price on every token: r = -min(per_token n, most).
struct LinearLength {
    double per_token = 1e-4;
    double most = 1.0;

    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return penalty(static_cast<double>(x.length()));
    }
    ROARS_FN double penalty(double length) const { return -math::min(per_token * length, most); }
};
ROARS_FIELDS(LinearLength, per_token, most)

/// What a length-scaled reward does behind its limit.
namespace beyond {
/// One reward for every longer answer.
struct Fixed {
    double reward = -10.0;
};
/// It stays what it is at the limit.
struct Held {
    ROARS_FN static double progress(double x) { return x < 1.0 ? x : 1.0; }
};
/// The cosine goes on and turns back: an answer of twice the limit is paid as an empty one.
struct Periodic {
    ROARS_FN static double progress(double x) { return x; }
};
ROARS_FIELDS(Fixed, reward)
ROARS_FIELDS(Held)
ROARS_FIELDS(Periodic)
}  // namespace beyond

/// The reward at length n goes along half a cosine from that of length 0 to that of length L = max_length, for right
/// and wrong answers apart:
///     r = at_max + (at_zero - at_max) (1 + cos(pi n / L)) / 2.
/// Right: outcome > 0.5. Errors: max_length of 0 or less. Sources: arXiv 2502.03373, section 4.1 (a right answer does
/// best short, a wrong one long); arXiv 2503.16219.
template <class Beyond>
struct CosineLengthThen {
    double right_at_zero = 2.0, right_at_max = 1.0;
    double wrong_at_zero = -10.0, wrong_at_max = 0.0;
    Beyond beyond{};
    double max_length = 16384;

    using needs = columns<col::outcome>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return of(x[col::outcome{}] > 0.5, static_cast<double>(x.length()));
    }
    ROARS_FN double of(bool right, double length) const {
        check();
        double zero = right ? right_at_zero : wrong_at_zero, most = right ? right_at_max : wrong_at_max;
        double x = length / max_length;
        if constexpr (requires { beyond.reward; }) {
            if (x > 1.0) return beyond.reward;
        } else {
            x = beyond.progress(x);
        }
        return most + (zero - most) * 0.5 * (1.0 + std::cos(3.141592653589793 * x));
    }

private:
    /// A kernel cannot throw: there such a reward is what a division by max_length makes it.
    ROARS_FN void check() const {
#if !defined(__CUDA_ARCH__)
        expect(max_length > 0, [&] {
            return "cosine reward: max_length is " + std::to_string(max_length) + ", expected a number above 0";
        });
#endif
    }
};
template <class Beyond>
ROARS_FIELDS_OF((CosineLengthThen<Beyond>), right_at_zero, right_at_max, wrong_at_zero, wrong_at_max, beyond,
                max_length)

using CosineLength = CosineLengthThen<beyond::Fixed>;
using HeldCosineLength = CosineLengthThen<beyond::Held>;
using PeriodicCosineLength = CosineLengthThen<beyond::Periodic>;

}  // namespace roars::reward
