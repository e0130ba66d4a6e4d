#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// w_0, w_0 + w_1, ...
inline std::vector<double> cumulated(std::span<const double> weight) {
    std::vector<double> sums;
    sums.reserve(weight.size());
    double sum = 0;
    for (double w : weight) sums.push_back(sum += w);
    return sums;
}
/// The first index whose cumulated weight exceeds u of the total, never beyond the last, for u in [0, 1). An index of
/// weight 0 is not drawn. Errors: no weights.
inline std::int64_t draw_index(std::span<const double> cumulated, double u) {
    expect(!cumulated.empty(), "a draw by weight from no weights, expected one or more");
    auto found = std::upper_bound(cumulated.begin(), cumulated.end(), u * cumulated.back());
    return std::min(found - cumulated.begin(), std::ssize(cumulated) - 1);
}

/// The weight of a score s among the scores of its batch.
namespace weight {

struct ScoreRange {
    double lowest, highest;
};
/// |s|^power
struct Power {
    double power = 2.0;
    double operator()(double score, const ScoreRange&) const { return std::pow(std::abs(score), power); }
};
/// 1 for the largest and the smallest score, else 0.
struct Extremes {
    double operator()(double score, const ScoreRange& x) const {
        return score == x.highest || score == x.lowest ? 1.0 : 0.0;
    }
};
/// `best` for the largest score, `other` for the rest.
struct Best {
    double best = 0.4;
    double other = 0.1;
    double operator()(double score, const ScoreRange& x) const { return score == x.highest ? best : other; }
};

ROARS_FIELDS(Power, power)
ROARS_FIELDS(Extremes)
ROARS_FIELDS(Best, best, other)

}  // namespace weight

/// w_i = Weight(s_i) + floor over the scores of a batch.
template <class Weight>
std::vector<double> score_weights(std::span<const double> score, const Weight& weight, double floor = 1e-8) {
    if (score.empty()) return {};
    auto [lowest, highest] = std::minmax_element(score.begin(), score.end());
    std::vector<double> weights;
    for (double s : score) weights.push_back(weight(s, {*lowest, *highest}) + floor);
    return weights;
}

/// As many sequences as there are, drawn from them with replacement by the weight of their rewards. Every drawn one is
/// a group of its own: for methods with a critic or a batch baseline. Source: PF-PPO, arXiv 2409.06957.
template <class Weight>
struct ScoreResampling {
    Weight weight{};
    double floor = 1e-8;

    using needs = columns<col::groups, col::outcome>;

    template <class RunType, class State, BatchWith<col::groups, col::outcome> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        if (batch.sequences() == 0) return;
        auto outcome = batch[col::outcome{}];
        std::vector<double> score(outcome.begin(), outcome.end());
        auto sums = cumulated(score_weights(std::span<const double>(score), weight, floor));
        Random random = run.random.of(Purpose::resample).at(static_cast<std::uint32_t>(run.progress.iteration));
        BatchType drawn;
        std::vector<std::int64_t> groups = {0};
        for (std::int64_t i = 0; i < batch.sequences(); ++i) {
            std::int64_t chosen = draw_index(sums, random.uniform(static_cast<std::uint32_t>(i), 0));
            drawn.append(batch.slice_sequences(chosen, chosen + 1));
            groups.push_back(i + 1);
        }
        drawn.set_offsets(col::groups{}, groups);
        batch = std::move(drawn);
    }
};
template <class Weight>
ROARS_FIELDS_OF((ScoreResampling<Weight>), weight, floor)

}  // namespace roars::sampler
