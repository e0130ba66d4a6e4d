#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <Eigen/Cholesky>
#include <Eigen/Core>

#include "roars/concepts.hpp"

namespace roars {

/// What every step contributed to an outcome that is known at the end alone, from the demand that the contributions of
/// a trajectory add up to it. Source: SPA-RL, arXiv 2505.20732.
namespace progress {

/// L = (1 / N) sum_i (sum_t c_it - R_i)^2; gradient (optional) d L / d c. A trajectory without a step predicts 0.
/// Shapes: owner [trajectories + 1], contribution, gradient [steps], outcome [trajectories].
template <class Real>
double loss(Offsets owner, std::span<const Real> contribution, std::span<const Real> outcome,
            std::span<Real> gradient = {}) {
    double sum = 0.0;
    const auto n = static_cast<double>(outcome.size());
    for (std::size_t i = 0; i < outcome.size(); ++i) {
        const auto first = static_cast<std::size_t>(owner[i]), last = static_cast<std::size_t>(owner[i + 1]);
        double error = -double(outcome[i]);
        for (std::size_t k = first; k < last; ++k) error += double(contribution[k]);
        for (std::size_t k = first; k < last && !gradient.empty(); ++k)
            gradient[k] = static_cast<Real>(2.0 * error / n);
        sum += error * error / n;
    }
    return sum;
}

/// The linear estimator c = w . x + b of a step's features x.
struct Linear {
    std::vector<double> weight{};
    double bias = 0.0;

    template <class Real>
    double contribution(std::span<Real> features) const {
        double sum = bias;
        for (std::size_t j = 0; j < weight.size(); ++j) sum += weight[j] * double(features[j]);
        return sum;
    }
    ROARS_MEMBERS(Linear, weight, bias)
};

/// The estimator of least L + ridge |w|^2: c is linear, so L is a regression of R_i on (sum_t x_it, T_i), and
///     ((1/N) sum_i s_i s_i^T + ridge I_w) (w, b) = (1/N) sum_i s_i R_i,   s_i = (sum_t x_it, T_i).
/// Without a trajectory all is 0. Shapes: features [steps x width], outcome [trajectories].
template <class Real>
Linear fit(Offsets owner, std::span<const Real> features, std::int64_t width, std::span<const Real> outcome,
           double ridge) {
    const auto n = static_cast<std::int64_t>(outcome.size());
    Eigen::MatrixXd sums = Eigen::MatrixXd::Zero(n, width + 1);
    Eigen::VectorXd target(n);
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int64_t first = owner[static_cast<std::size_t>(i)], last = owner[static_cast<std::size_t>(i) + 1];
        for (std::int64_t k = first; k < last; ++k)
            for (std::int64_t j = 0; j < width; ++j)
                sums(i, j) += double(features[static_cast<std::size_t>(k * width + j)]);
        sums(i, width) = static_cast<double>(last - first);
        target(i) = double(outcome[static_cast<std::size_t>(i)]);
    }
    Linear found{std::vector<double>(static_cast<std::size_t>(width))};
    if (n == 0) return found;
    Eigen::MatrixXd normal = sums.transpose() * sums / static_cast<double>(n);
    normal.diagonal().head(width).array() += ridge;
    const Eigen::VectorXd solved = normal.ldlt().solve(sums.transpose() * target / static_cast<double>(n));
    for (std::int64_t j = 0; j < width; ++j) found.weight[static_cast<std::size_t>(j)] = solved(j);
    found.bias = solved(width);
    return found;
}

}  // namespace progress

namespace reward {

/// r_t = what a linear estimator says that turn t contributed, a constant. It is fitted on the first batch that is
/// scored, so that a sampler that explores first (sampler::ExploreFirst) chooses on what, and then frozen; or fitted
/// again on the first batch of every `refit_every`-th iteration behind. The outcome itself is not added. Shapes:
/// turn_features [turns x width], outcome [sequences] -> turn_reward [turns]. Source: SPA-RL, arXiv 2505.20732.
struct ProgressAttribution {
    double ridge = 1e-3;
    std::int64_t refit_every = 0;

    using needs = columns<col::turns, col::turn_owner, col::turn_features, col::outcome>;
    using gives = columns<col::turn_reward>;

    struct State {
        progress::Linear estimator;
        std::int64_t fitted = -1;  ///< in which iteration

        ROARS_MEMBERS(State, estimator, fitted)
    };

    bool due(const State& state, std::int64_t iteration) const {
        return state.fitted < 0 || (refit_every > 0 && iteration >= state.fitted + refit_every);
    }
    template <class RunType,
              BatchWith<col::turns, col::turn_owner, col::turn_features, col::outcome, col::turn_reward> BatchType>
    void score(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        const std::int64_t width = batch.width(col::turn_features{});
        std::span<const Real> features = batch[col::turn_features{}], outcome = batch[col::outcome{}];
        if (due(state, run.progress.iteration)) {
            state.estimator = progress::fit(batch[col::turn_owner{}], features, width, outcome, ridge);
            state.fitted = run.progress.iteration;
        }
        expect(std::ssize(state.estimator.weight) == width, [&] {
            return "progress attribution: a turn has " + std::to_string(width) + " features, the estimator knows " +
                   std::to_string(state.estimator.weight.size());
        });
        for (std::int64_t k = 0; k < batch.turns(); ++k)
            batch[col::turn_reward{}][static_cast<std::size_t>(k)] =
                static_cast<Real>(state.estimator.contribution(batch.row(col::turn_features{}, k)));
    }
};
ROARS_FIELDS(ProgressAttribution, ridge, refit_every)

}  // namespace reward
}  // namespace roars
