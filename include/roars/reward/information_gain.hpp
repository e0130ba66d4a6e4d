#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/concepts.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars::reward {

/// How sure a policy is of given tokens: the mean of their log-probabilities, 0 of none. Shapes: logp [tokens],
/// segment k of offsets = the true answer's tokens behind prefix k -> confidence [segments].
template <class Real, class Out>
void mean_log_probability(backend::Host& backend, Offsets offsets, std::span<Real> logp, std::span<Out> confidence) {
    segmented_sum(backend, offsets, logp, confidence);
    for (std::size_t k = 0; k < confidence.size(); ++k)
        if (offsets[k + 1] > offsets[k])
            confidence[k] = static_cast<Out>(double(confidence[k]) / double(offsets[k + 1] - offsets[k]));
}

/// What of a confidence, a mean log-probability, is to grow.
namespace gain {
/// Itself: finite however improbable the answer is.
struct LogProbability {
    ROARS_FN static double of(double confidence) { return confidence; }
};
/// The geometric mean of the tokens' probabilities, between 0 and 1.
struct Probability {
    ROARS_FN static double of(double confidence) { return std::exp(confidence); }
};
ROARS_FIELDS(LogProbability)
ROARS_FIELDS(Probability)
}  // namespace gain

/// What a turn adds to the policy's confidence s_t in the true answer, s_t behind everything before turn t, a constant:
///     g_t = measure(s_(t+1)) - measure(s_t);   0 for the last turn, whose reward is the outcome.
/// A score that is not finite makes the turn's gain 0, and the next turn is compared with the last finite one. For
/// Then. Shapes: confidence -> turn_reward [turns]. Source: IGPO, arXiv 2510.14967.
template <class Measure = gain::LogProbability>
struct InformationGain {
    Measure measure{};

    using needs = columns<col::turns, col::turn_owner, col::confidence>;
    using gives = columns<col::turn_reward>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfSequence {
        Measure measure;
        X x;
        ROARS_FN void operator()(std::int64_t i) const {
            const std::int64_t first = x[col::turn_owner{}][i], last = x[col::turn_owner{}][i + 1];
            double before = 0.0;
            bool scored = false;
            for (std::int64_t k = first; k < last; ++k) {
                const double score = double(x[col::confidence{}][k]);
                const bool finite = std::isfinite(score);
                const double now = finite ? measure.of(score) : before;
                if (k > first)
                    x[col::turn_reward{}][k - 1] = static_cast<typename X::Real>(scored ? now - before : 0.0);
                before = now;
                scored = scored || finite;
            }
            if (last > first) x[col::turn_reward{}][last - 1] = 0;
        }
    };
    template <class RunType, class State,
              BatchWith<col::turns, col::turn_owner, col::confidence, col::turn_reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        auto x = view_of<columns<col::turn_owner, col::confidence, col::turn_reward>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{measure, x});
    }
};
template <class Measure>
ROARS_FIELDS_OF((InformationGain<Measure>), measure)

}  // namespace roars::reward
