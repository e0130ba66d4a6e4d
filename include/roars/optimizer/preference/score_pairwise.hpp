#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "roars/optimizer/preference/pairwise.hpp"
#include "roars/optimizer/preference/scores.hpp"

namespace roars {

/// How sure it is that a pair's chosen answer is the better one.
namespace label {
struct Certain {
    using needs = columns<>;
    template <class BatchType>
    static double of(const BatchType&, std::int64_t) {
        return 1.0;
    }
};
/// What a judge says: col::preference of the chosen answer. RLAIF, arXiv 2309.00267.
struct Soft {
    using needs = columns<col::preference>;
    template <class BatchType>
    static double of(const BatchType& batch, std::int64_t chosen) {
        return double(batch[col::preference{}][static_cast<std::size_t>(chosen)]);
    }
};
ROARS_FIELDS(Certain)
ROARS_FIELDS(Soft)
}  // namespace label

namespace surrogate {

/// A reward model: the score f of an answer is the value at its last trainable token; the loss is the mean over the
/// batch's pairs of pair::BradleyTerry. Pairs with an answer that has no trainable token are left out. A group is in
/// one micro-batch. Source: InstructGPT, arXiv 2203.02155, eq. 1.
template <class Label = label::Certain, class Pairing = pairing::ChosenFirst>
struct ScorePairwise {
    pair::BradleyTerry loss{};
    double margin = 0.0;

    static constexpr std::string_view name = "preference_loss";
    using needs = columns<col::value, col::sequence_loss, col::token_gradient>;
    using gives = columns<col::sequence_loss, col::token_gradient>;
    using prepare_needs = unite_t<columns<col::value>, typename Label::needs, typename Pairing::needs>;
    using differentiates = columns<col::value>;
    using Aggregate = aggregate::TokenSum;
    using Sums = typename Pairwise<>::Sums;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        Sums sums;
        for_each_pair(run, batch, [&](auto, auto, auto) { ++sums.pairs; });
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        auto value = batch[col::value{}];
        auto sequence_loss = batch[col::sequence_loss{}], slope = batch[col::token_gradient{}];
        std::fill(sequence_loss.begin(), sequence_loss.end(), Real(0));
        std::fill(slope.begin(), slope.end(), Real(0));
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        double scale = 1.0 / double(std::max<std::int64_t>(sums.pairs, 1));
        for_each_pair(run, batch, [&](const pairing::Pair& pair, std::size_t chosen, std::size_t rejected) {
            auto one = loss.of(double(value[chosen]), double(value[rejected]), margin, Label::of(batch, pair.chosen));
            auto i = static_cast<std::size_t>(pair.chosen);
            sequence_loss[i] = static_cast<Real>(scale * one.value / double(length[i]));
            slope[chosen] = static_cast<Real>(scale * one.by_chosen);
            slope[rejected] = static_cast<Real>(scale * one.by_rejected);
        });
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::token_gradient{}]}};
    }

private:
    /// visit(pair, last trainable token of the chosen answer, of the rejected one).
    template <class RunType, class BatchType, class Visit>
    static void for_each_pair(RunType&, const BatchType& batch, Visit&& visit) {
        Offsets offsets = batch.token_offsets();
        auto last = [&](std::int64_t sequence) {
            auto i = static_cast<std::size_t>(sequence);
            std::int64_t t = offsets[i + 1] - 1;
            while (t >= offsets[i] && !detail::trainable<col::mask>(batch, t)) --t;
            return t < offsets[i] ? std::int64_t(-1) : t;
        };
        for (std::int64_t g = 0; g < batch.groups(); ++g) {
            pairing::Pair pair = Pairing::of(batch, g);
            if (!pair.exists()) continue;
            std::int64_t chosen = last(pair.chosen), rejected = last(pair.rejected);
            if (chosen >= 0 && rejected >= 0)
                visit(pair, static_cast<std::size_t>(chosen), static_cast<std::size_t>(rejected));
        }
    }
};
template <class Label, class Pairing>
ROARS_FIELDS_OF((ScorePairwise<Label, Pairing>), loss, margin)

}  // namespace surrogate
}  // namespace roars
