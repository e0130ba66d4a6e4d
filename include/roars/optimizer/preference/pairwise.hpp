#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/preference/pair_losses.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/sort.hpp"

namespace roars {

/// What is compared of an answer, summed over its trainable tokens.
namespace summary {
/// logp - logp_ref
struct LogRatio : ColumnDifference<col::logp, col::logp_ref> {};
/// logp: no reference policy.
struct LogLikelihood {
    using needs = columns<col::logp>;
    template <class X>
    value_t<X> operator()(const X& x) const {
        return x[col::logp{}];
    }
};
ROARS_FIELDS(LogRatio)
ROARS_FIELDS(LogLikelihood)
}  // namespace summary

/// Which two answers of a group are its pair.
namespace pairing {

/// Sequences of the chosen and the rejected answer; none where chosen is -1.
struct Pair {
    std::int64_t chosen = -1, rejected = -1;
    bool exists() const { return chosen >= 0; }
};

inline void expect_two(std::int64_t group, std::int64_t size) {
    expect(size == 2, [&] {
        return "group " + std::to_string(group) + " has " + std::to_string(size) + " sequences, expected a pair";
    });
}

/// Groups of two, the chosen answer first. Errors: a group of another size.
struct ChosenFirst {
    using needs = columns<col::groups>;
    template <class BatchType>
    static Pair of(const BatchType& batch, std::int64_t group) {
        std::int64_t first = batch[col::groups{}][std::size_t(group)];
        expect_two(group, batch[col::groups{}][std::size_t(group) + 1] - first);
        return {first, first + 1};
    }
};
/// Groups of two, one of which is flagged in col::chosen. Errors: a group of another size, none or two flagged.
struct ByFlag {
    using needs = columns<col::groups, col::chosen>;
    template <class BatchType>
    static Pair of(const BatchType& batch, std::int64_t group) {
        std::int64_t first = batch[col::groups{}][std::size_t(group)];
        expect_two(group, batch[col::groups{}][std::size_t(group) + 1] - first);
        bool one = batch[col::chosen{}][std::size_t(first)] != 0,
             two = batch[col::chosen{}][std::size_t(first) + 1] != 0;
        expect(one != two, [&] {
            return "group " + std::to_string(group) + " has " + (one ? "two chosen answers" : "no chosen answer") +
                   ", expected one";
        });
        return one ? Pair{first, first + 1} : Pair{first + 1, first};
    }
};
/// The answers of largest and of smallest reward, the first of equal ones; a group of equal rewards gives no pair.
/// Online DPO, arXiv 2402.04792.
struct BestAndWorst {
    using needs = columns<col::groups, col::reward>;
    template <class BatchType>
    static Pair of(const BatchType& batch, std::int64_t group) {
        auto reward = batch[col::reward{}];
        std::int64_t first = batch[col::groups{}][std::size_t(group)], best = first, worst = first;
        for (std::int64_t i = first; i < batch[col::groups{}][std::size_t(group) + 1]; ++i) {
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

/// Writes a loss, and its derivative by the answer's summary, to be read by each of its n trainable tokens: loss / n,
/// and the derivative.
template <class BatchType>
void write_answer(BatchType& batch, std::int64_t sequence, std::int64_t length, double loss, double slope) {
    using Real = typename BatchType::Real;
    auto i = static_cast<std::size_t>(sequence);
    batch[col::sequence_loss{}][i] = length > 0 ? static_cast<Real>(loss / double(length)) : Real(0);
    batch[col::sequence_gradient{}][i] = static_cast<Real>(slope);
}

/// The pairs of the groups that have one.
template <class Pairing, class BatchType>
std::vector<pairing::Pair> pairs_of(const BatchType& batch) {
    std::vector<pairing::Pair> pairs;
    for (std::int64_t g = 0; g < batch.groups(); ++g)
        if (pairing::Pair pair = Pairing::of(batch, g); pair.exists()) pairs.push_back(pair);
    return pairs;
}

/// How many pairs have no trainable token at all: their summaries are 0, their loss is a constant that stands nowhere.
template <class Pairing, class RunType, class BatchType>
std::int64_t untold_pairs(RunType& run, const BatchType& batch) {
    std::vector<std::int64_t> length = trainable_lengths<col::mask>(run.backend, batch);
    if (std::find(length.begin(), length.end(), 0) == length.end()) return 0;
    auto of = [&](std::int64_t sequence) { return length[static_cast<std::size_t>(sequence)]; };
    std::int64_t untold = 0;
    for (const auto& pair : pairs_of<Pairing>(batch)) untold += of(pair.chosen) + of(pair.rejected) == 0;
    return untold;
}

/// Summary and trainable length of every answer, and the pair of every group.
template <class Summary, class Pairing>
class Answers {
public:
    template <class RunType, class BatchType>
    Answers(RunType& run, const BatchType& batch)
        : summary_(sequence_sums(run.backend, batch, typename Summary::needs{}, Summary{})),
          length_(trainable_lengths<col::mask>(run.backend, batch)),
          pairs_(pairs_of<Pairing>(batch)) {}
    const std::vector<pairing::Pair>& pairs() const { return pairs_; }
    std::int64_t length(std::int64_t sequence) const { return length_[static_cast<std::size_t>(sequence)]; }
    double summary(std::int64_t sequence) const { return summary_[static_cast<std::size_t>(sequence)]; }

    /// An empty answer has the length 1: its summary is 0.
    pair::View<double> view(const pairing::Pair& pair) const {
        auto at_least_one = [](std::int64_t n) { return double(std::max<std::int64_t>(n, 1)); };
        return {summary(pair.chosen), summary(pair.rejected), at_least_one(length(pair.chosen)),
                at_least_one(length(pair.rejected))};
    }
    template <class BatchType>
    static void clear(BatchType& batch) {
        for (std::int64_t i = 0; i < batch.sequences(); ++i) write_answer(batch, i, 0, 0.0, 0.0);
    }
    /// The pair's loss stands at the chosen answer, or at the rejected one where that is empty.
    template <class BatchType>
    void write(BatchType& batch, const pairing::Pair& pair, const pair::Loss<double>& loss, double scale) const {
        bool at_chosen = length(pair.chosen) > 0;
        write_answer(batch, pair.chosen, length(pair.chosen), at_chosen ? scale * loss.value : 0.0,
                     scale * loss.by_chosen);
        write_answer(batch, pair.rejected, length(pair.rejected), at_chosen ? 0.0 : scale * loss.value,
                     scale * loss.by_rejected);
    }

private:
    std::vector<double> summary_;
    std::vector<std::int64_t> length_;
    std::vector<pairing::Pair> pairs_;
};

/// The sorted numbers of two sides of the whole batch, as many of each: the k-th smallest of one stands against the
/// k-th smallest of the other. Equal numbers share their places.
struct SortedSides {
    std::vector<double> first, second;

    SortedSides(std::vector<double> one, std::vector<double> other) : first(std::move(one)), second(std::move(other)) {
        std::sort(first.begin(), first.end(), Ascending{});
        std::sort(second.begin(), second.end(), Ascending{});
    }
    template <class PairLoss>
    pair::Loss<double> at_first(const PairLoss& loss, double x) const {
        return over_equals(first, x, [&](std::size_t k) { return loss.of(pair::View<double>{x, second[k]}); });
    }
    template <class PairLoss>
    pair::Loss<double> at_second(const PairLoss& loss, double x) const {
        return over_equals(second, x, [&](std::size_t k) { return loss.of(pair::View<double>{first[k], x}); });
    }

private:
    /// The mean of loss_at(k) over the places k of x.
    template <class LossAt>
    static pair::Loss<double> over_equals(const std::vector<double>& values, double x, LossAt&& loss_at) {
        auto [begin, end] = std::equal_range(values.begin(), values.end(), x, Ascending{});
        pair::Loss<double> mean{0.0, 0.0, 0.0};
        for (auto at = begin; at != end; ++at) {
            auto one = loss_at(static_cast<std::size_t>(at - values.begin()));
            double share = 1.0 / double(end - begin);
            mean = {mean.value + share * one.value, mean.by_chosen + share * one.by_chosen,
                    mean.by_rejected + share * one.by_rejected};
        }
        return mean;
    }
};

}  // namespace detail

namespace surrogate {

/// The mean over the batch's pairs of a loss of two answers' summaries. `prepare` writes sequence_loss and
/// sequence_gradient, so that the sum over tokens is the loss and every trainable token has its answer's derivative. A
/// group is in one micro-batch. An empty answer has the summary 0.
template <class PairLoss = pair::Logistic, class Summary = summary::LogRatio, class Pairing = pairing::ChosenFirst>
struct Pairwise {
    PairLoss loss{};

    using Pairs = Pairing;

    static constexpr std::string_view name = "preference_loss";
    using needs = unite_t<typename Summary::needs, columns<col::sequence_loss, col::sequence_gradient>>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = unite_t<typename Summary::needs, typename Pairing::needs>;
    using differentiates = columns<col::logp>;
    /// The terms are divided by the number of pairs already.
    using Aggregate = aggregate::TokenSum;

    struct Sums {
        std::int64_t pairs = 0;
        Sums& operator+=(const Sums& other) {
            pairs += other.pairs;
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType&, BatchType& batch) const {
        return {std::ssize(detail::pairs_of<Pairing>(batch))};
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::Answers<Summary, Pairing> answers(run, batch);
        answers.clear(batch);
        for (const auto& pair : answers.pairs())
            answers.write(batch, pair, loss.of(answers.view(pair)), 1.0 / double(sums.pairs));
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        std::int64_t untold = detail::untold_pairs<Pairing>(run, batch);
        return untold > 0 ? double(untold) * loss.of(pair::View<double>{0.0, 0.0, 1.0, 1.0}).value / double(sums.pairs)
                          : 0.0;
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }
};
template <class PairLoss, class Summary, class Pairing>
ROARS_FIELDS_OF((Pairwise<PairLoss, Summary, Pairing>), loss)

/// The same after both sides have been sorted: the k-th smallest chosen answer of the whole batch against the k-th
/// smallest rejected one, so that the distribution of the chosen comes to lie above that of the rejected. AOT unpaired,
/// arXiv 2406.05882. Equal summaries share their places.
template <class PairLoss = pair::Logistic, class Summary = summary::LogRatio, class Pairing = pairing::ChosenFirst>
struct SortedPairwise {
    PairLoss loss{};

    static constexpr std::string_view name = "preference_loss";
    using needs = unite_t<typename Summary::needs, columns<col::sequence_loss, col::sequence_gradient>>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = unite_t<typename Summary::needs, typename Pairing::needs>;
    using differentiates = columns<col::logp>;
    using Aggregate = aggregate::TokenSum;

    /// The summaries of all chosen and of all rejected answers.
    struct Sums {
        std::vector<double> chosen, rejected;
        Sums& operator+=(const Sums& other) {
            detail::append(chosen, other.chosen);
            detail::append(rejected, other.rejected);
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        detail::Answers<Summary, Pairing> answers(run, batch);
        Sums sums;
        for (const auto& pair : answers.pairs()) {
            sums.chosen.push_back(answers.summary(pair.chosen));
            sums.rejected.push_back(answers.summary(pair.rejected));
        }
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::Answers<Summary, Pairing> answers(run, batch);
        answers.clear(batch);
        detail::SortedSides sides(sums.chosen, sums.rejected);
        double scale = 1.0 / double(std::max<std::size_t>(sums.chosen.size(), 1));
        for (const auto& pair : answers.pairs()) {
            auto as_chosen = sides.at_first(loss, answers.summary(pair.chosen));
            auto as_rejected = sides.at_second(loss, answers.summary(pair.rejected));
            std::int64_t n_c = answers.length(pair.chosen), n_r = answers.length(pair.rejected);
            // The loss belongs to the chosen side; an empty chosen answer leaves it to the rejected one.
            detail::write_answer(batch, pair.chosen, n_c, scale * as_chosen.value, scale * as_chosen.by_chosen);
            detail::write_answer(batch, pair.rejected, n_r, n_c > 0 ? 0.0 : scale * as_chosen.value,
                                 scale * as_rejected.by_rejected);
        }
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        std::int64_t untold = detail::untold_pairs<Pairing>(run, batch);
        if (untold == 0) return 0.0;
        detail::SortedSides sides(sums.chosen, sums.rejected);
        return double(untold) * sides.at_first(loss, 0.0).value / double(sums.chosen.size());
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }
};
template <class PairLoss, class Summary, class Pairing>
ROARS_FIELDS_OF((SortedPairwise<PairLoss, Summary, Pairing>), loss)

}  // namespace surrogate
}  // namespace roars
