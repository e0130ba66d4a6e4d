#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/primitives/segments.hpp"

namespace roars::metrics {

/// How well a policy chooses when to reason: of all answers the share T that reasons, and of `reasoned` as a guess of
/// `needed` the shares that are right; a ratio of nothing is 0.
struct TriggerQuality {
    double trigger_rate = 0;  ///< T
    double performance = 0;   ///< P, the mean score
    double accuracy = 0, precision = 0, recall = 0, f1 = 0;

    /// What is to be as large as may be: lambda_p P - lambda_t T.
    double objective(double lambda_p, double lambda_t) const {
        return lambda_p * performance - lambda_t * trigger_rate;
    }
};
/// Shapes: reasoned, needed (not 0 = yes), score [answers]. Errors: other sizes. Source: AdaCoT, arXiv 2505.11896.
inline TriggerQuality trigger_quality(std::span<const double> reasoned, std::span<const double> needed,
                                      std::span<const double> score) {
    const auto answers = static_cast<std::int64_t>(reasoned.size());
    roars::detail::expect_size("needed", needed.size(), answers);
    roars::detail::expect_size("score", score.size(), answers);
    std::int64_t both = 0, either = 0, triggered = 0, asked = 0;
    double sum = 0;
    for (std::size_t i = 0; i < reasoned.size(); ++i) {
        const bool did = reasoned[i] != 0, should = needed[i] != 0;
        triggered += did;
        asked += should;
        both += did && should;
        either += did || should;
        sum += score[i];
    }
    auto ratio = [](double part, std::int64_t of) { return of > 0 ? part / double(of) : 0.0; };
    return {.trigger_rate = ratio(double(triggered), answers),
            .performance = ratio(sum, answers),
            .accuracy = ratio(double(answers - either + both), answers),
            .precision = ratio(double(both), triggered),
            .recall = ratio(double(both), asked),
            .f1 = ratio(2.0 * double(both), triggered + asked)};
}

/// The points that no other dominates, by rising cost, of equal cost in their order: another dominates that costs no
/// more and is worth no less, and one of the two strictly. Equal points do not dominate each other. Shapes: cost, worth
/// [points]; returns numbers of points. Errors: other sizes.
inline std::vector<std::int64_t> pareto_front(std::span<const double> cost, std::span<const double> worth) {
    roars::detail::expect_size("worth", worth.size(), std::ssize(cost));
    std::vector<std::int64_t> order, front;
    for (std::int64_t i = 0; i < std::ssize(cost); ++i) order.push_back(i);
    auto at = [](std::span<const double> values, std::int64_t i) { return values[static_cast<std::size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return at(cost, a) < at(cost, b); });
    double best = 0;  // of what costs less
    for (std::size_t first = 0, last; first < order.size(); first = last) {
        double here = at(worth, order[first]);
        for (last = first; last < order.size() && at(cost, order[last]) == at(cost, order[first]); ++last)
            here = std::max(here, at(worth, order[last]));
        if (first > 0 && !(here > best)) continue;
        for (std::size_t k = first; k < last; ++k)
            if (at(worth, order[k]) == here) front.push_back(order[k]);
        best = here;
    }
    return front;
}

/// performance_i - [never + T_i (always - never)]: what a policy that reasons now and then has won over a blend of one
/// that never and one that always does. Shapes: [points]. Errors: other sizes.
inline std::vector<double> chord_gain(std::span<const double> trigger_rate, std::span<const double> performance,
                                      double never, double always) {
    roars::detail::expect_size("performance", performance.size(), std::ssize(trigger_rate));
    std::vector<double> gain;
    for (std::size_t i = 0; i < trigger_rate.size(); ++i)
        gain.push_back(performance[i] - (never + trigger_rate[i] * (always - never)));
    return gain;
}

}  // namespace roars::metrics
