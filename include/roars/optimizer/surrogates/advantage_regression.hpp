#pragma once

#include <cstdint>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

namespace roars::surrogate {

/// (A / beta - u)^2 / 2, u = sum over a sequence's trainable tokens of logp - logp_ref, A = sequence_advantage: the
/// mean over the selected sequences. Neither clipped nor divided by a length; a selected sequence without a trainable
/// token has u = 0 and counts in the mean. Nothing selected: 0. Direct advantage policy optimization, arXiv 2412.18279.
struct AdvantageRegression {
    double beta = 0.01;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_ref, col::sequence_loss, col::sequence_gradient>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = columns<col::logp, col::logp_ref, col::sequence_advantage, col::selected>;
    using differentiates = columns<col::logp>;
    /// The terms are divided by the number of sequences already.
    using Aggregate = aggregate::TokenSum;

    struct Sums {
        std::int64_t selected = 0;
        Sums& operator+=(const Sums& other) {
            selected += other.selected;
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType&, BatchType& batch) const {
        Sums sums;
        for (auto each : batch[col::selected{}]) sums.selected += each != 0;
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        std::vector<double> u = sequence_sums(run.backend, batch, columns<col::logp, col::logp_ref>{},
                                              ColumnDifference<col::logp, col::logp_ref>{});
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        for (std::size_t i = 0; i < u.size(); ++i) {
            bool counts = batch[col::selected{}][i] != 0 && length[i] > 0;
            double error = counts ? target(batch, i) - u[i] : 0.0, scale = counts ? 1.0 / double(sums.selected) : 0.0;
            batch[col::sequence_loss{}][i] =
                static_cast<Real>(counts ? 0.5 * scale * error * error / double(length[i]) : 0.0);
            batch[col::sequence_gradient{}][i] = static_cast<Real>(-scale * error);
        }
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        double sum = 0.0;
        for (std::size_t i = 0; i < length.size(); ++i)
            if (batch[col::selected{}][i] != 0 && length[i] == 0) sum += 0.5 * target(batch, i) * target(batch, i);
        return sums.selected > 0 ? sum / double(sums.selected) : 0.0;
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    template <class BatchType>
    double target(const BatchType& batch, std::size_t i) const {
        return double(batch[col::sequence_advantage{}][i]) / beta;
    }
};
ROARS_FIELDS(AdvantageRegression, beta)

}  // namespace roars::surrogate
