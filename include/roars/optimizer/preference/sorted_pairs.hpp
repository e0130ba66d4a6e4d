#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

#include "roars/optimizer/preference/pairwise.hpp"

namespace roars {

/// What is sorted of the pairs of a whole batch: two sides, first(x, pair) and second(x, pair), numbers of a
/// SummedView by `First` and by `Second`; loss_of(places, x, pair) is the pair's, x knows `First`.
namespace sides {

/// The chosen answers on one side, the rejected ones on the other. The loss belongs to the chosen side.
template <class Summary = summary::LogRatio>
struct ChosenAndRejected {
    using First = Summary;
    using Second = Summary;
    template <class X>
    ROARS_FN static double first(const X& x, const pairing::Pair& pair) {
        return x.of(pair.chosen).sum;
    }
    template <class X>
    ROARS_FN static double second(const X& x, const pairing::Pair& pair) {
        return x.of(pair.rejected).sum;
    }
    template <class Places, class PairLoss, class X>
    ROARS_FN static pair::Loss<double> loss_of(const Places& places, const PairLoss& loss, const X& x,
                                               const pairing::Pair& pair) {
        auto as_chosen = places.at_first(loss, first(x, pair)), as_rejected = places.at_second(loss, second(x, pair));
        return {as_chosen.value, as_chosen.by_chosen, as_rejected.by_rejected};
    }
};

/// Margins (sum logp of the chosen answer less that of the rejected one): the policy's on one side, the reference's on
/// the other.
struct PolicyAndReference {
    struct ReferenceLikelihood {
        using needs = columns<col::logp_ref>;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return x[col::logp_ref{}];
        }
    };
    using First = summary::LogLikelihood;
    using Second = ReferenceLikelihood;
    template <class X>
    ROARS_FN static double first(const X& x, const pairing::Pair& pair) {
        return x.of(pair.chosen).sum - x.of(pair.rejected).sum;
    }
    template <class X>
    ROARS_FN static double second(const X& x, const pairing::Pair& pair) {
        return first(x, pair);
    }
    template <class Places, class PairLoss, class X>
    ROARS_FN static pair::Loss<double> loss_of(const Places& places, const PairLoss& loss, const X& x,
                                               const pairing::Pair& pair) {
        auto one = places.at_first(loss, first(x, pair));
        return {one.value, one.by_chosen, -one.by_chosen};
    }
};

}  // namespace sides

namespace detail {

/// Both sides of every group that was there, each in order; NaN, which is last, of a group without a pair.
template <class B>
struct SortedSides {
    ListIn<double, B> first, second;

    void clear() {
        first.clear();
        second.clear();
    }
    void sort(B& backend) {
        Everywhere<B>::sort(backend, first.data(), first.size());
        Everywhere<B>::sort(backend, second.data(), second.size());
    }
    /// Of the host.
    SortedSides& operator+=(const SortedSides& other) {
        merge(first, other.first);
        merge(second, other.second);
        return *this;
    }

private:
    static void merge(ListIn<double, B>& ours, const ListIn<double, B>& theirs) {
        const std::int64_t before = ours.size();
        ours += theirs;
        std::inplace_merge(ours.data(), ours.data() + before, ours.data() + ours.size(), Ascending{});
    }
};

/// The k-th smallest of one side stands against the k-th smallest of the other. Equal numbers share their places.
struct Places {
    const double *first, *second;
    std::int64_t size;

    ROARS_FN double pairs() const { return double(begin_of(first, std::numeric_limits<double>::quiet_NaN())); }
    template <class PairLoss>
    ROARS_FN pair::Loss<double> at_first(const PairLoss& loss, double x) const {
        return over_equals(first, x, [&](std::int64_t k) { return loss.of(pair::View<double>{x, second[k]}); });
    }
    template <class PairLoss>
    ROARS_FN pair::Loss<double> at_second(const PairLoss& loss, double x) const {
        return over_equals(second, x, [&](std::int64_t k) { return loss.of(pair::View<double>{first[k], x}); });
    }

private:
    /// Where the numbers begin that do not come before x.
    ROARS_FN std::int64_t begin_of(const double* values, double x) const {
        return end_of(0, size, [&](std::int64_t k) { return Ascending{}(values[k], x); });
    }
    /// The mean of loss_at(k) over the places k of x.
    template <class LossAt>
    ROARS_FN pair::Loss<double> over_equals(const double* values, double x, const LossAt& loss_at) const {
        std::int64_t begin = begin_of(values, x), end = begin;
        while (end < size && !Ascending{}(x, values[end])) ++end;
        pair::Loss<double> mean{0.0, 0.0, 0.0};
        for (std::int64_t k = begin; k < end; ++k) {
            auto one = loss_at(k);
            double share = 1.0 / double(end - begin);
            mean = {mean.value + share * one.value, mean.by_chosen + share * one.by_chosen,
                    mean.by_rejected + share * one.by_rejected};
        }
        return mean;
    }
};

}  // namespace detail

namespace surrogate {

/// The mean over the pairs of the whole batch of a loss of sorted sides: the k-th smallest of each against each other,
/// so that the distribution of the first side comes to lie above that of the second. A group is in one micro-batch;
/// the sort is of the whole batch. Source: AOT, arXiv 2406.05882, section 3.
template <class PairLoss, class Sides, class Pairing>
struct Sorted {
    PairLoss loss{};

    static constexpr std::string_view name = "preference_loss";
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using needs = unite_t<typename Sides::First::needs, typename Sides::Second::needs, gives>;
    using prepare_needs = unite_t<typename Sides::First::needs, typename Sides::Second::needs, typename Pairing::needs>;
    using differentiates = columns<col::logp>;
    using Aggregate = aggregate::TokenSum;
    static constexpr bool everywhere = true;

    template <class B>
    using SumsIn = detail::SortedSides<B>;
    using Sums = SumsIn<backend::Host>;

    using FirstSummary = typename Sides::First;
    using SecondSummary = typename Sides::Second;

    // The bodies of loops are public, for a kernel's sake.
    /// The sides of a group that are by `Summary`; NaN where it has no pair.
    template <class Summary, class X>
    struct List {
        X x;
        double *first, *second;
        ROARS_FN void operator()(std::int64_t group) const {
            constexpr double none = std::numeric_limits<double>::quiet_NaN();
            pairing::Pair pair = Pairing::of(x, group);
            if constexpr (std::is_same_v<Summary, FirstSummary>)
                first[group] = pair.exists() ? Sides::first(x, pair) : none;
            if constexpr (std::is_same_v<Summary, SecondSummary>)
                second[group] = pair.exists() ? Sides::second(x, pair) : none;
        }
    };
    template <class X>
    struct Write {
        Sorted term;
        X x;
        detail::Places places;
        ROARS_FN void operator()(std::int64_t group) const {
            pairing::Pair pair = Pairing::of(x, group);
            detail::write_no_pair(x, group, pair.broken);
            if (!pair.exists()) return;
            detail::write_pair(x, pair, Sides::loss_of(places, term.loss, x, pair), 1.0 / places.pairs());
        }
    };
    template <class X>
    struct Untold {
        Sorted term;
        X x;
        detail::Places places;
        ROARS_FN double operator()(std::int64_t group) const {
            pairing::Pair pair = Pairing::of(x, group);
            if (!pair.exists() || x.of(pair.chosen).length + x.of(pair.rejected).length > 0) return 0.0;
            return places.at_first(term.loss, 0.0).value / places.pairs();
        }
    };

    template <class RunType, class BatchType, class SumsType>
    void add_sums(RunType& run, BatchType& batch, SumsType& to) const {
        check(run, batch);
        double *first = to.first.extend(run.backend, batch.groups()),
               *second = to.second.extend(run.backend, batch.groups());
        list<FirstSummary>(run, batch, first, second);
        if constexpr (!std::is_same_v<FirstSummary, SecondSummary>) list<SecondSummary>(run, batch, first, second);
        to.sort(run.backend);
    }
    template <class RunType, class BatchType, class SumsType>
    void prepare(RunType& run, BatchType& batch, const SumsType& sums) const {
        check(run, batch);
        using Columns = unite_t<gives, typename Pairing::needs>;
        with_summaries<Columns>(run, batch, FirstSummary{}, [&]<class X>(const X& x) {
            detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(), Write<X>{*this, x, places(sums)});
        });
    }
    template <class RunType, class BatchType, class SumsType>
    void add_untold(RunType& run, const BatchType& batch, const SumsType& sums, double& to) const {
        with_summaries<typename Pairing::needs>(run, batch, NoSummary{}, [&]<class X>(const X& x) {
            detail::EverywhereOf<RunType>::add(run.backend, batch.groups(), Untold<X>{*this, x, places(sums)}, to);
        });
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    template <class SumsType>
    static detail::Places places(const SumsType& sums) {
        return {sums.first.data(), sums.second.data(), sums.first.size()};
    }
    template <class Summary, class RunType, class BatchType>
    static void list(RunType& run, const BatchType& batch, double* first, double* second) {
        with_summaries<typename Pairing::needs>(run, batch, Summary{}, [&]<class X>(const X& x) {
            detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(), List<Summary, X>{x, first, second});
        });
    }
    template <class RunType, class BatchType>
    static void check(RunType& run, const BatchType& batch) {
        auto x = view_of<typename Pairing::needs>(run, batch);
        detail::check_each(run, batch.groups(), [&](std::int64_t group) { Pairing::check(x, group); });
    }
};
template <class PairLoss, class Sides, class Pairing>
ROARS_FIELDS_OF((Sorted<PairLoss, Sides, Pairing>), loss)

/// AOT unpaired: the summaries of the chosen answers against those of the rejected ones.
template <class PairLoss = pair::Logistic, class Summary = summary::LogRatio, class Pairing = pairing::ChosenFirst>
using SortedPairwise = Sorted<PairLoss, sides::ChosenAndRejected<Summary>, Pairing>;
/// AOT, paired: the margins of the policy against those of the reference.
template <class PairLoss = pair::Logistic, class Pairing = pairing::ChosenFirst>
using SortedMargins = Sorted<PairLoss, sides::PolicyAndReference, Pairing>;

}  // namespace surrogate
}  // namespace roars
