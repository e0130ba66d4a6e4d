#pragma once

#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/preference/answer.hpp"
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
        ROARS_FN Sums& operator+=(const Sums& other) {
            selected += other.selected;
            return *this;
        }
    };

    using Unit = unit::Sequence;
    static constexpr bool sums_of_columns = true;
    using Summary = ColumnDifference<col::logp, col::logp_ref>;
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t i) const {
        return {selected(x, i) ? 1 : 0};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i, const Sums& sums) const {
        SequenceSum u = x.of(i);
        bool counts = selected(x, i) && u.length > 0;
        double error = counts ? target(x, i) - u.sum : 0.0, scale = counts ? 1.0 / double(sums.selected) : 0.0;
        detail::write_answer(x, i, 0.5 * scale * error * error, -scale * error);
    }
    template <class X>
    ROARS_FN double untold(const X& x, std::int64_t i, const Sums& sums) const {
        if (!selected(x, i) || x.of(i).length > 0) return 0.0;
        return 0.5 * target(x, i) * target(x, i) / double(sums.selected);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    template <class X>
    ROARS_FN static bool selected(const X& x, std::int64_t i) {
        return x[col::selected{}][i] != 0;
    }
    template <class X>
    ROARS_FN double target(const X& x, std::int64_t i) const {
        return double(x[col::sequence_advantage{}][i]) / beta;
    }
};
ROARS_FIELDS(AdvantageRegression, beta)

}  // namespace roars::surrogate
