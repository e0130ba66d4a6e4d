#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "roars/optimizer/preference/pairwise.hpp"

namespace roars::surrogate {

/// The margins of the policy (sum logp of the chosen answer less that of the rejected one) and those of the reference,
/// both sorted over the whole batch: the mean of a loss of the k-th smallest of each, so that the distribution of the
/// policy's margins comes to lie above that of the reference's. Equal margins share their places. A group is in one
/// micro-batch; the sort is of the whole batch. Source: AOT, paired, arXiv 2406.05882, section 3.
template <class PairLoss = pair::Logistic, class Pairing = pairing::ChosenFirst>
struct SortedMargins {
    PairLoss loss{};

    static constexpr std::string_view name = "preference_loss";
    using needs = columns<col::logp, col::logp_ref, col::sequence_loss, col::sequence_gradient>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = unite_t<columns<col::logp, col::logp_ref>, typename Pairing::needs>;
    using differentiates = columns<col::logp>;
    using Aggregate = aggregate::TokenSum;

    /// Of every pair.
    struct Sums {
        std::vector<double> policy, reference;
        Sums& operator+=(const Sums& other) {
            detail::append(policy, other.policy);
            detail::append(reference, other.reference);
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        Answers answers(run, batch);
        std::vector<double> reference = sequence_sums(run.backend, batch, columns<col::logp_ref>{},
                                                      [](const auto& x) { return x[col::logp_ref{}]; });
        Sums sums;
        for (const auto& pair : answers.pairs()) {
            sums.policy.push_back(margin(answers, pair));
            sums.reference.push_back(reference[std::size_t(pair.chosen)] - reference[std::size_t(pair.rejected)]);
        }
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        Answers answers(run, batch);
        auto x = answers.cleared(run, batch);
        detail::SortedSides sides(sums.policy, sums.reference);
        for (const auto& pair : answers.pairs()) {
            auto one = sides.at_first(loss, margin(answers, pair));
            detail::write_pair(x, pair, {one.value, one.by_chosen, -one.by_chosen}, 1.0 / double(sums.policy.size()));
        }
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        std::int64_t untold = detail::untold_pairs<Pairing>(run, batch);
        if (untold == 0) return 0.0;
        detail::SortedSides sides(sums.policy, sums.reference);
        return double(untold) * sides.at_first(loss, 0.0).value / double(sums.policy.size());
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    using Answers = detail::Answers<summary::LogLikelihood, Pairing>;
    static double margin(const Answers& answers, const pairing::Pair& pair) {
        return answers.summary(pair.chosen) - answers.summary(pair.rejected);
    }
};
template <class PairLoss, class Pairing>
ROARS_FIELDS_OF((SortedMargins<PairLoss, Pairing>), loss)

}  // namespace roars::surrogate
