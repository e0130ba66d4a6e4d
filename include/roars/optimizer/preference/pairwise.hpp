#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/preference/answer.hpp"
#include "roars/optimizer/preference/pair_losses.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars {

/// What is compared of an answer, summed over its trainable tokens.
namespace summary {
/// logp - logp_ref
struct LogRatio : ColumnDifference<col::logp, col::logp_ref> {};
/// logp: no reference policy.
struct LogLikelihood {
    using needs = columns<col::logp>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
        return x[col::logp{}];
    }
};
ROARS_FIELDS(LogRatio)
ROARS_FIELDS(LogLikelihood)
}  // namespace summary

/// Which two answers of a group are its pair: of(x, group), of a view of the batch. What makes no sense is an
/// error of the host, check(batch, group), and `broken` on a device.
namespace pairing {

/// Sequences of the chosen and the rejected answer; none where chosen is -1.
struct Pair {
    std::int64_t chosen = -1, rejected = -1;
    bool broken = false;
    ROARS_FN bool exists() const { return chosen >= 0; }
};

template <class X>
ROARS_FN std::int64_t first_of(const X& x, std::int64_t group) {
    return x[col::groups{}][static_cast<std::size_t>(group)];
}
template <class X>
ROARS_FN bool is_two(const X& x, std::int64_t group) {
    return first_of(x, group + 1) - first_of(x, group) == 2;
}
template <class X>
void expect_two(const X& x, std::int64_t group) {
    expect(is_two(x, group), [&] {
        return "group " + std::to_string(group) + " has " +
               std::to_string(first_of(x, group + 1) - first_of(x, group)) + " sequences, expected a pair";
    });
}

/// Groups of two, the chosen answer first. Errors: a group of another size.
struct ChosenFirst {
    using needs = columns<col::groups>;
    template <class X>
    static void check(const X& x, std::int64_t group) {
        expect_two(x, group);
    }
    template <class X>
    ROARS_FN static Pair of(const X& x, std::int64_t group) {
        if (!is_two(x, group)) return {-1, -1, true};
        std::int64_t first = first_of(x, group);
        return {first, first + 1};
    }
};
/// Groups of two, one of which is flagged in col::chosen. Errors: a group of another size, none or two flagged.
struct ByFlag {
    using needs = columns<col::groups, col::chosen>;
    template <class X>
    static void check(const X& x, std::int64_t group) {
        expect_two(x, group);
        expect(!of(x, group).broken, [&] {
            bool both = x[col::chosen{}][std::size_t(first_of(x, group))] != 0;
            return "group " + std::to_string(group) + " has " + (both ? "two chosen answers" : "no chosen answer") +
                   ", expected one";
        });
    }
    template <class X>
    ROARS_FN static Pair of(const X& x, std::int64_t group) {
        if (!is_two(x, group)) return {-1, -1, true};
        std::int64_t first = first_of(x, group);
        bool one = x[col::chosen{}][static_cast<std::size_t>(first)] != 0,
             two = x[col::chosen{}][static_cast<std::size_t>(first) + 1] != 0;
        if (one == two) return {-1, -1, true};
        return one ? Pair{first, first + 1} : Pair{first + 1, first};
    }
};
/// The answers of largest and of smallest reward, the first of equal ones; a group of equal rewards gives no pair.
/// Online DPO, arXiv 2402.04792.
struct BestAndWorst {
    using needs = columns<col::groups, col::reward>;
    template <class X>
    static void check(const X&, std::int64_t) {}
    template <class X>
    ROARS_FN static Pair of(const X& x, std::int64_t group) {
        const auto reward = x[col::reward{}];
        std::int64_t first = first_of(x, group), best = first, worst = first;
        for (std::int64_t i = first; i < first_of(x, group + 1); ++i) {
            if (reward[std::size_t(i)] > reward[std::size_t(best)]) best = i;
            if (reward[std::size_t(i)] < reward[std::size_t(worst)]) worst = i;
        }
        return best == worst ? Pair{} : Pair{best, worst};
    }
};
ROARS_FIELDS(ChosenFirst)
ROARS_FIELDS(ByFlag)
ROARS_FIELDS(BestAndWorst)

}  // namespace pairing

namespace detail {

/// What is known of the two answers of a pair, x a SummedView; an empty one has the length 1: its summary is 0.
template <class X>
ROARS_FN pair::View<double> view_of_pair(const X& x, const pairing::Pair& pair) {
    SequenceSum chosen = x.of(pair.chosen), rejected = x.of(pair.rejected);
    return {chosen.sum, rejected.sum, double(chosen.length > 0 ? chosen.length : 1),
            double(rejected.length > 0 ? rejected.length : 1)};
}
/// Writes the loss of a pair. It stands at the chosen answer, or at the rejected one where that is empty.
template <class X>
ROARS_FN void write_pair(const X& x, const pairing::Pair& pair, const pair::Loss<double>& loss, double scale) {
    bool at_chosen = x.of(pair.chosen).length > 0;
    write_answer(x, pair.chosen, at_chosen ? scale * loss.value : 0.0, scale * loss.by_chosen);
    write_answer(x, pair.rejected, at_chosen ? 0.0 : scale * loss.value, scale * loss.by_rejected);
}
/// Nothing at the answers of a group, or, where its pair is broken, what no loss is finite with.
template <class X>
ROARS_FN void write_no_pair(const X& x, std::int64_t group, bool broken) {
    double nothing = broken ? std::numeric_limits<double>::quiet_NaN() : 0.0;
    for (std::int64_t i = x[col::groups{}][group]; i < x[col::groups{}][group + 1]; ++i)
        write_answer(x, i, nothing, nothing);
}

}  // namespace detail

namespace surrogate {

/// The mean over the batch's pairs of a loss of two answers' summaries. Written are sequence_loss and
/// sequence_gradient, so that the sum over tokens is the loss and every trainable token has its answer's derivative. A
/// group is in one micro-batch. An empty answer has the summary 0.
template <class PairLoss = pair::Logistic, class Summary_ = summary::LogRatio, class Pairing = pairing::ChosenFirst>
struct Pairwise {
    PairLoss loss{};

    using Pairs = Pairing;
    using Summary = Summary_;

    static constexpr std::string_view name = "preference_loss";
    using needs = unite_t<typename Summary::needs, columns<col::sequence_loss, col::sequence_gradient>>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = unite_t<typename Summary::needs, typename Pairing::needs>;
    using differentiates = columns<col::logp>;
    /// The terms are divided by the number of pairs already.
    using Aggregate = aggregate::TokenSum;

    struct Sums {
        std::int64_t pairs = 0;
        ROARS_FN Sums& operator+=(const Sums& other) {
            pairs += other.pairs;
            return *this;
        }
    };

    using Unit = unit::Group;
    static constexpr bool sums_of_columns = true;
    template <class X>
    static void check(const X& x, std::int64_t group) {
        Pairing::check(x, group);
    }
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t group) const {
        return {Pairing::of(x, group).exists() ? 1 : 0};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t group, const Sums& sums) const {
        pairing::Pair pair = Pairing::of(x, group);
        detail::write_no_pair(x, group, pair.broken);
        if (pair.exists())
            detail::write_pair(x, pair, loss.of(detail::view_of_pair(x, pair)), 1.0 / double(sums.pairs));
    }
    template <class X>
    ROARS_FN double untold(const X& x, std::int64_t group, const Sums& sums) const {
        pairing::Pair pair = Pairing::of(x, group);
        if (!pair.exists() || x.of(pair.chosen).length + x.of(pair.rejected).length > 0) return 0.0;
        return loss.of(pair::View<double>{0.0, 0.0, 1.0, 1.0}).value / double(sums.pairs);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }
};
template <class PairLoss, class Summary, class Pairing>
ROARS_FIELDS_OF((Pairwise<PairLoss, Summary, Pairing>), loss)

}  // namespace surrogate
}  // namespace roars
