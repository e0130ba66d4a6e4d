#pragma once

#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/cuda/advantage.hpp"
#include "roars/cuda/log_softmax.hpp"
#include "roars/cuda/objective.hpp"
#include "roars/cuda/on_host.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"

/// Whole algorithms on a device: the same types and values as on the host.
///
///     Run run{device};
///     gpu::estimate(algorithm.advantage, run, state.advantage, batch);
///     gpu::Objective objective(device, algorithm);   // once; keeps a few hundred bytes on the device
///     objective.count(run, state, batch);            // counts and sums; of micro-batches they add up
///     objective(run, state, batch);                  // loss and gradients
///     auto result = objective.read(batch);           // waits
namespace roars::gpu {

namespace detail {

template <class Term>
concept HasPrepare = requires(const Term& term, archetype::AnyRun& run, archetype::AnyBatch& batch) {
    term.prepare(run, batch);
}
|| roars::detail::TwoPhase<Term>;

/// What a term writes before its token function, on a device. Specialised for those that have kernels; the others run
/// on the host.
template <class Term>
struct Prepare {
    static constexpr bool on_device = !HasPrepare<Term>;
};

template <class Term>
concept IsRebuilt = requires(const Term& term, const typename roars::detail::sums<Term>::type& sums) {
    term.with(sums);
};
template <class Term, class RunType, class BatchType, class Sums>
void prepare_on_host(const Term& term, RunType& run, BatchType& batch, const Sums& sums) {
    if constexpr (requires { term.prepare(run, batch, sums); })
        term.prepare(run, batch, sums);
    else if constexpr (requires { term.prepare(run, batch); })
        term.prepare(run, batch);
}

template <class Term>
using ReadsOfTerm =
    unite_t<needs_of<Term>, typename roars::detail::prepare_needs<Term>::type, columns<mask_of<Term>, col::groups>>;

/// sum of what `value` gives at the trainable tokens.
template <class Value, class Real>
struct AtTrainable {
    Value value;
    const Real* mask;
    ROARS_FN double operator()(std::int64_t t) const { return is_selected(mask, t) ? value(t) : 0.0; }
};
template <class Real>
struct MeanOfLength {
    const double* sum;
    const std::int64_t* length;
    Real* mean;
    ROARS_FN void operator()(std::int64_t i) const {
        mean[i] = static_cast<Real>(length[i] > 0 ? sum[i] / static_cast<double>(length[i]) : sum[i]);
    }
};
/// Column_i = the sum of value(t) over the trainable tokens of sequence i; 0 where there are none.
template <class D, class BatchType, class Value>
void write_sequence_sums(D& device, BatchType& batch, const Value& value, typename BatchType::Real* to) {
    using Real = typename BatchType::Real;
    segmented_sum_of(device, sequences_of(batch), AtTrainable<Value, Real>{value, mask_or_null<col::mask>(batch)}, to);
}
/// Column_i = the mean over the same tokens.
template <class D, class BatchType, class Value>
void write_sequence_means(D& device, BatchType& batch, const Value& value, typename BatchType::Real* to) {
    using Real = typename BatchType::Real;
    Frame<D> frame(device);
    auto* sum = frame.template take<double>(batch.sequences());
    auto* length = frame.template take<std::int64_t>(batch.sequences());
    const Real* mask = mask_or_null<col::mask>(batch);
    segmented_sum_of(device, sequences_of(batch), AtTrainable<Value, Real>{value, mask}, sum);
    trainable_lengths(device, batch, length);
    for_each(device, batch.sequences(), MeanOfLength<Real>{sum, length, to});
}

template <class Real>
struct LogRatioAt {
    const Real *now, *then;
    ROARS_FN double operator()(std::int64_t t) const {
        return static_cast<double>(now[t]) - static_cast<double>(then[t]);
    }
};
template <>
struct Prepare<surrogate::SequenceClip> {
    static constexpr bool on_device = true;
    template <class D, class BatchType>
    static void run(const surrogate::SequenceClip&, D& device, BatchType& batch) {
        LogRatioAt<typename BatchType::Real> ratio{batch[col::logp{}], batch[col::logp_old{}]};
        write_sequence_means(device, batch, ratio, batch[col::sequence_log_ratio{}]);
    }
};
template <class Real>
struct HeldLogRatioAt {
    LogRatioAt<Real> ratio;
    ROARS_FN double operator()(std::int64_t t) const { return log_ratio(ratio(t), 0.0).value; }
};
/// Surrogates that read the sum of a sequence's held log-ratios.
struct PrepareHeldSum {
    static constexpr bool on_device = true;
    template <class Term, class D, class BatchType>
    static void run(const Term&, D& device, BatchType& batch) {
        HeldLogRatioAt<typename BatchType::Real> held{{batch[col::logp{}], batch[col::logp_old{}]}};
        write_sequence_sums(device, batch, held, batch[col::sequence_log_ratio{}]);
    }
};
template <>
struct Prepare<surrogate::VariationalWeight> : PrepareHeldSum {};
template <>
struct Prepare<surrogate::TaperedWeight> : PrepareHeldSum {};

template <class Real>
struct GeometricHeldAt {
    surrogate::GeometricMean term;
    LogRatioAt<Real> ratio;
    const Real* advantage;
    ROARS_FN double operator()(std::int64_t t) const { return term.held(ratio(t), static_cast<double>(advantage[t])); }
};
template <>
struct Prepare<surrogate::GeometricMean> {
    static constexpr bool on_device = true;
    template <class D, class BatchType>
    static void run(const surrogate::GeometricMean& term, D& device, BatchType& batch) {
        GeometricHeldAt<typename BatchType::Real> held{
            term, {batch[col::logp{}], batch[col::logp_old{}]}, batch[col::advantage{}]};
        write_sequence_means(device, batch, held, batch[col::sequence_log_ratio{}]);
    }
};

template <class Terms>
struct TermList;
template <class... Term>
struct TermList<std::tuple<Term...>> {
    using Totals = roars::Totals<Term...>;
    using Result = roars::Result<Term...>;
    using Indices = std::index_sequence_for<Term...>;
    using Masks = unite_t<columns<mask_of<Term>>...>;
    static constexpr std::size_t size = sizeof...(Term);
    static constexpr bool on_device = (Prepare<Term>::on_device && ...);
    template <class D, class BatchType>
    static Result read(D& device, const BatchType& batch, const Outcome* outcome) {
        return read_outcome<Term...>(device, batch, outcome);
    }
};

}  // namespace detail

/// Whether nothing of the estimate and of the objective of A waits for the device or works on the host, so that both
/// may be captured in a graph.
template <class A>
inline constexpr bool runs_on_device =
    Estimate<typename A::Advantage>::on_device && !ShapesReward<typename A::Regularizer> &&
    detail::TermList<typename A::Terms>::on_device;

/// The columns of an algorithm's batch on a device. Without a mask every token counts; name the ones you bring.
template <class A, class D, class Real = float, class Brought = columns<>>
using BatchFor = Batch<Real, unite_t<minus_t<typename A::Columns, typename A::Masks>, Brought>, D>;

/// Rewards of the sequences, by the algorithm's reward, on the host.
template <class A, class D, class BatchType>
void score(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    detail::on_host<needs_of<typename A::Reward>, gives_of<typename A::Reward>>(
        run, batch,
        [&](auto& host_run, auto& host) { roars::detail::call_score(algorithm.reward, host_run, state.reward, host); });
}

/// The regularizer's shaping of the rewards, where it has one (on the host), then the advantage.
template <WholeAlgorithm A, class D, class BatchType>
void estimate(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    using Regularizer = typename A::Regularizer;
    if constexpr (ShapesReward<Regularizer>)
        detail::on_host<needs_of<Regularizer>, gives_of<Regularizer>>(run, batch, [&](auto& host_run, auto& host) {
            roars::detail::call_shape(algorithm.regularizer, host_run, state.regularizer, host);
        });
    estimate(algorithm.advantage, run, state.advantage, batch);
}

/// The objective of an algorithm on a device: its counts and its outcome live there, the sums of terms with two phases
/// on the host. One at a time: what it says is of the last batch it was called with.
template <class A, class D>
class Objective {
    using List = detail::TermList<typename A::Terms>;
    static constexpr std::size_t terms = List::size;

public:
    using Result = typename List::Result;

    Objective(D& device, const A& algorithm)
        : device_(device), algorithm_(algorithm), counts_(device, terms), outcome_(device, 1) {
        begin();
    }

    /// The next count() is the first of a batch.
    void begin() {
        counts_.zero();
        totals_ = {};
    }
    /// Adds the counts and sums of a batch, or of a micro-batch, to those since begin().
    template <class BatchType>
    void add(Run<D>& run, const typename A::State& state, BatchType& batch) {
        auto all = A::terms(algorithm_, state);
        add_all(run, all, batch, typename List::Indices{});
    }
    /// The counts and sums of this batch alone.
    template <class BatchType>
    void count(Run<D>& run, const typename A::State& state, BatchType& batch) {
        begin();
        add(run, state, batch);
    }
    /// Loss, gradients and metrics of a batch, or of a micro-batch of what was counted. Nothing waits if
    /// runs_on_device<A>.
    template <class BatchType>
    void operator()(Run<D>& run, const typename A::State& state, BatchType& batch) {
        auto all = A::terms(algorithm_, state);
        evaluate_all(run, all, batch, typename List::Indices{});
    }
    /// The same from logits, which become their gradient. Shapes: logits [tokens x vocabulary], row t for token t. A
    /// masked token's row is not read; its gradient is zeros. Where a term wants the entropy, the batch has a column
    /// for it.
    template <class BatchType, class T>
    void from_logits(Run<D>& run, const typename A::State& state, BatchType& batch, const Logits<T>& logits,
                     double temperature = 1.0) {
        detail::check_logits(logits, batch.tokens(), temperature);
        Frame<D> frame(device_);
        auto* log_sum_exp = frame.template take<double>(batch.tokens());
        read_logits(batch, logits, temperature, log_sum_exp);
        (*this)(run, state, batch);
        write_gradient(batch, logits, temperature, log_sum_exp);
    }
    /// What the terms read of the logits, by itself: forward only. `log_sum_exp` null or [tokens].
    template <class BatchType, class T>
    void read_logits(BatchType& batch, const Logits<T>& logits, double temperature, double* log_sum_exp = nullptr) {
        using Real = typename BatchType::Real;
        selective_log_softmax(device_, logits, batch[col::token{}], mask(batch), temperature,
                              RowColumns<Real>{batch[col::logp{}], log_sum_exp, optional<col::entropy>(batch),
                                               optional<col::sum_pi_squared>(batch)});
    }
    template <class BatchType, class T>
    void write_gradient(BatchType& batch, const Logits<T>& logits, double temperature, const double* log_sum_exp) {
        using Real = typename BatchType::Real;
        selective_log_softmax_backward(device_, logits, static_cast<const std::int32_t*>(batch[col::token{}]),
                                       temperature, log_sum_exp,
                                       static_cast<const Real*>(optional<col::entropy>(batch)),
                                       static_cast<const Real*>(batch[col::grad<col::logp>{}]),
                                       static_cast<const Real*>(optional<col::grad<col::entropy>>(batch)));
    }
    /// The last outcome, of `batch`; waits. Errors: a value at a trainable token is not finite.
    template <class BatchType>
    Result read(const BatchType& batch) {
        Result result = List::read(device_, batch, outcome_.data());
        for (std::size_t k = 0; k < terms; ++k) result.term_loss[k] += untold_[k];
        return result;
    }
    const Counts* counts() const { return counts_.data(); }

    /// A column of the batch, null where it has none.
    template <class Column, class BatchType>
    static typename BatchType::Real* optional(const BatchType& batch) {
        if constexpr (BatchType::template has<Column>)
            return batch[Column{}];
        else
            return nullptr;
    }
    /// The mask that every term counts by; null where there is none, or where they differ.
    template <class BatchType>
    static const typename BatchType::Real* mask(const BatchType& batch) {
        if constexpr (std::is_same_v<typename List::Masks, columns<col::mask>>)
            return detail::mask_or_null<col::mask>(batch);
        else
            return nullptr;
    }

private:
    template <class Tuple, class BatchType, std::size_t... k>
    void add_all(Run<D>& run, const Tuple& all, BatchType& batch, std::index_sequence<k...>) {
        (gpu::count<mask_of<std::tuple_element_t<k, Tuple>>>(device_, batch, counts_.data() + k, true), ...);
        (add_sums<k>(run, std::get<k>(all), batch), ...);
    }
    template <std::size_t k, class Term, class BatchType>
    void add_sums(Run<D>& run, const Term& term, BatchType& batch) {
        if constexpr (roars::detail::TwoPhase<Term> && !detail::Prepare<Term>::on_device)
            detail::on_host<detail::ReadsOfTerm<Term>, columns<>>(run, batch, [&](auto& host_run, auto& host) {
                using Sums = typename Term::Sums;
                Sums sums = term.reduce(host_run, host);
                if constexpr (!std::is_same_v<Sums, NoState>) std::get<k>(totals_.sums) += sums;
            });
    }

    template <class Tuple, class BatchType, std::size_t... k>
    void evaluate_all(Run<D>& run, const Tuple& all, BatchType& batch, std::index_sequence<k...>) {
        // In braces, because terms are prepared in their order: one may read what an earlier one gives.
        std::tuple weighed{ready<k>(run, std::get<k>(all), batch)...};
        evaluate(device_, batch, counts_.data(), outcome_.data(), std::get<k>(weighed)...);
    }
    template <std::size_t k, class Term, class BatchType>
    auto ready(Run<D>& run, const Term& term, BatchType& batch) {
        using Default = std::remove_cvref_t<decltype(algorithm_.optimizer.aggregate)>;
        using Aggregate = roars::detail::aggregate<Term, Default>;
        Term bound = term;
        untold_[k] = 0.0;
        if constexpr (!detail::Prepare<Term>::on_device) {
            const auto& sums = std::get<k>(totals_.sums);
            if constexpr (detail::IsRebuilt<Term>) bound = term.with(sums);
            detail::on_host<detail::ReadsOfTerm<Term>, gives_of<Term>>(run, batch, [&](auto& host_run, auto& host) {
                detail::prepare_on_host(bound, host_run, host, sums);
                untold_[k] = roars::detail::untold_loss(bound, host_run, host, sums);
            });
        } else if constexpr (detail::HasPrepare<Term>) {
            detail::Prepare<Term>::run(term, device_, batch);
        }
        return Weighed<Term, typename Aggregate::type>{bound, Aggregate::of(term, algorithm_.optimizer.aggregate)};
    }

    D& device_;
    A algorithm_;
    Buffer<Counts, D> counts_;
    Buffer<Outcome, D> outcome_;
    typename List::Totals totals_{};
    std::array<double, terms> untold_{};
};
template <class D, class A>
Objective(D&, const A&) -> Objective<A, D>;

}  // namespace roars::gpu
