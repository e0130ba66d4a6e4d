#pragma once

#include <cstdint>
#include <limits>

#include "roars/optimizer/preference/pairwise.hpp"
#include "roars/optimizer/preference/scores.hpp"

namespace roars {

/// How sure it is that a pair's chosen answer is the better one.
namespace label {
struct Certain {
    using needs = columns<>;
    template <class X>
    ROARS_FN static double of(const X&, std::int64_t) {
        return 1.0;
    }
};
/// What a judge says: col::preference of the chosen answer. RLAIF, arXiv 2309.00267.
struct Soft {
    using needs = columns<col::preference>;
    template <class X>
    ROARS_FN static double of(const X& x, std::int64_t chosen) {
        return double(x[col::preference{}][chosen]);
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

    using Unit = unit::Group;
    static constexpr bool sums_of_columns = true;
    using clears = columns<col::token_gradient>;
    template <class X>
    static void check(const X& x, std::int64_t group) {
        Pairing::check(x, group);
    }
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t group) const {
        return {Scored(x, Pairing::of(x, group)).exist() ? 1 : 0};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t group, const Sums& sums) const {
        using Real = typename X::Real;
        pairing::Pair pair = Pairing::of(x, group);
        for (std::int64_t i = x[col::groups{}][group]; i < x[col::groups{}][group + 1]; ++i)
            x[col::sequence_loss{}][i] = pair.broken ? std::numeric_limits<Real>::quiet_NaN() : Real(0);
        Scored last(x, pair);
        if (!last.exist()) return;
        auto value = x[col::value{}];
        auto one = loss.of(double(value[last.chosen]), double(value[last.rejected]), margin, Label::of(x, pair.chosen));
        double scale = 1.0 / double(sums.pairs);
        x[col::sequence_loss{}][pair.chosen] = static_cast<Real>(scale * one.value / double(x.of(pair.chosen).length));
        x[col::token_gradient{}][last.chosen] = static_cast<Real>(scale * one.by_chosen);
        x[col::token_gradient{}][last.rejected] = static_cast<Real>(scale * one.by_rejected);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::token_gradient{}]}};
    }

private:
    /// The last trainable tokens of a pair's answers.
    struct Scored {
        std::int64_t chosen = -1, rejected = -1;
        template <class X>
        ROARS_FN Scored(const X& x, const pairing::Pair& pair) {
            if (!pair.exists()) return;
            chosen = x.last_trainable(pair.chosen);
            rejected = x.last_trainable(pair.rejected);
        }
        ROARS_FN bool exist() const { return chosen >= 0 && rejected >= 0; }
    };
};
template <class Label, class Pairing>
ROARS_FIELDS_OF((ScorePairwise<Label, Pairing>), loss, margin)

}  // namespace surrogate
}  // namespace roars
