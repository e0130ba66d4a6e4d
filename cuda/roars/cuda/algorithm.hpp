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

/// Whether what stands before a term's own function runs on a device; that function always does.
template <class Term>
inline constexpr bool term_on_device = roars::detail::term_runs_everywhere<Term>;

template <class Term>
concept IsRebuilt = requires(const Term& term, const typename roars::detail::sums<Term>::type& sums) {
    term.with(sums);
};
template <class Term>
struct RebuiltThere {
    const Term* at;

    static constexpr std::string_view name = Term::name;
    using needs = needs_of<Term>;
    using differentiates = typename Term::differentiates;
    using mask = mask_of<Term>;
    static constexpr auto metrics = metrics_of<Term>;
};
/// A term that was rebuilt by sums on the device, where it lies.
template <class Term>
struct Rebuilt : RebuiltThere<Term> {
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return this->at->token(x);
    }
};
template <RowTerm Term>
struct Rebuilt<Term> : RebuiltThere<Term> {
    using rows = typename Term::rows;
    template <class X, class Slope>
    ROARS_FN auto row(const X& x, const Slope& slope) const {
        return this->at->row(x, slope);
    }
};
template <class Term>
struct Rebuild {
    Term term;
    const typename Term::Sums* sums;
    Term* to;
    ROARS_FN void operator()(std::int64_t) const { *to = term.with(*sums); }
};

/// A term's sums between add() and the end of its pass, as they are handed to it; they lie in the device's memory.
template <class Sums, class D>
class HeldSums {
public:
    explicit HeldSums(D& device) : there_(device, !std::is_empty_v<Sums>) {}
    void clear() { there_.zero(); }
    Sums& get() { return *there_.data(); }

private:
    Buffer<Sums, D> there_;
};
/// Lists, which know their size on the host.
template <class Lists, class D>
requires requires(Lists& lists) { lists.clear(); }
class HeldSums<Lists, D> {
public:
    explicit HeldSums(D&) {}
    void clear() { lists_.clear(); }
    Lists& get() { return lists_; }

private:
    Lists lists_;
};
template <class Term, class D>
struct Remembered {
    static constexpr bool has_sums = term_on_device<Term> && !std::is_empty_v<typename roars::detail::sums<Term>::type>;
    static constexpr bool is_rebuilt = has_sums && IsRebuilt<Term>;
    using Sums = std::conditional_t<has_sums, roars::detail::sums_in<Term, D>, std::type_identity<NoState>>;
    HeldSums<typename Sums::type, D> sums;
    Buffer<Term, D> rebuilt;
    explicit Remembered(D& device) : sums(device), rebuilt(device, is_rebuilt) {}
};

template <class Term>
using ReadsOfTerm =
    unite_t<needs_of<Term>, typename roars::detail::prepare_needs<Term>::type, columns<mask_of<Term>, col::groups>>;

template <class Regularizer>
inline constexpr bool shapes_on_device = roars::detail::shapes_everywhere<Regularizer>;

template <class Terms>
struct TermList;
template <class... Term>
struct TermList<std::tuple<Term...>> {
    using Totals = roars::Totals<Term...>;
    using Result = roars::Result<Term...>;
    using Indices = std::index_sequence_for<Term...>;
    using Masks = unite_t<columns<mask_of<Term>>...>;
    static constexpr std::size_t size = sizeof...(Term);
    static constexpr bool on_device = (term_on_device<Term> && ...);
    template <class D>
    using Memory = std::tuple<Remembered<Term, D>...>;
    template <class D>
    static Memory<D> memory(D& device) {
        return {Remembered<Term, D>(device)...};
    }
    template <class D, class BatchType>
    static Result read(D& device, const BatchType& batch, const Outcome* outcome) {
        return read_outcome<Term...>(device, batch, outcome);
    }
};

}  // namespace detail

/// Whether nothing of the estimate and of the objective of A waits for the device or works on the host, so that both
/// may be captured in a graph.
template <class A>
inline constexpr bool runs_on_device = Estimate<typename A::Advantage>::on_device&&
    detail::shapes_on_device<typename A::Regularizer>&& detail::TermList<typename A::Terms>::on_device;
/// The same of its rewards.
template <class A>
inline constexpr bool scores_on_device = runs_everywhere<typename A::Reward>;

/// The columns of an algorithm's batch on a device. Without a mask every token counts; name the ones you bring.
template <class A, class D, class Real = float, class Brought = columns<>>
using BatchFor = Batch<Real, unite_t<minus_t<typename A::Columns, typename A::Masks>, Brought>, D>;

/// Rewards of the sequences, by the algorithm's reward.
template <class A, class D, class BatchType>
void score(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    using Reward = typename A::Reward;
    if constexpr (scores_on_device<A>)
        roars::detail::call_score(algorithm.reward, run, state.reward, batch);
    else
        detail::on_host<needs_of<Reward>, gives_of<Reward>>(run, batch, [&](auto& host_run, auto& host) {
            roars::detail::call_score(algorithm.reward, host_run, state.reward, host);
        });
}

namespace detail {
template <class A, class D, class BatchType>
void shape(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    using Regularizer = typename A::Regularizer;
    if constexpr (ShapesReward<Regularizer> && detail::shapes_on_device<Regularizer>)
        roars::detail::call_shape(algorithm.regularizer, run, state.regularizer, batch);
    else if constexpr (ShapesReward<Regularizer>)
        detail::on_host<needs_of<Regularizer>, gives_of<Regularizer>>(run, batch, [&](auto& host_run, auto& host) {
            roars::detail::call_shape(algorithm.regularizer, host_run, state.regularizer, host);
        });
}
/// Critics that take steps of their own learn on the host; work(run, batch) is done there on the same copy.
template <class A, class D, class BatchType, class Work>
void learn_and(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch, Work&& work) {
    using Advantage = typename A::Advantage;
    on_host<needs_of<Advantage>, gives_of<Advantage>>(run, batch, [&](auto& host_run, auto& host) {
        roars::detail::call_learn(algorithm.advantage, host_run, state.advantage, host);
        work(host_run, host);
    });
}
}  // namespace detail

/// The regularizer's shaping of the rewards, the critics' own step where the advantage has such, then the advantage.
template <WholeAlgorithm A, class D, class BatchType>
void estimate(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    detail::shape(algorithm, run, state, batch);
    if constexpr (roars::detail::Learns<typename A::Advantage>)
        detail::learn_and(algorithm, run, state, batch, [&](auto& host_run, auto& host) {
            roars::detail::call_estimate(algorithm.advantage, host_run, state.advantage, host);
        });
    else
        estimate(algorithm.advantage, run, state.advantage, batch);
}
/// Its first half, for an iteration in which the critics learn and the policy does not.
template <WholeAlgorithm A, class D, class BatchType>
void learn(const A& algorithm, Run<D>& run, typename A::State& state, BatchType& batch) {
    detail::shape(algorithm, run, state, batch);
    if constexpr (roars::detail::Learns<typename A::Advantage>)
        detail::learn_and(algorithm, run, state, batch, [](auto&, auto&) {});
}

/// The objective of an algorithm on a device: its counts and its outcome live there, the sums that the host prepares
/// there. One at a time: what it says is of the last batch it was called with.
template <class A, class D>
class Objective {
    using List = detail::TermList<typename A::Terms>;
    static constexpr std::size_t terms = List::size;

public:
    using Result = typename List::Result;

    Objective(D& device, const A& algorithm)
        : device_(device),
          algorithm_(algorithm),
          counts_(device, terms),
          outcome_(device, 1),
          memory_(List::memory(device)),
          untold_there_(device, terms) {
        begin();
    }

    /// The next count() is the first of a batch.
    void begin() {
        counts_.zero();
        totals_ = {};
        std::apply([](auto&... one) { (one.sums.clear(), ...); }, memory_);
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
        auto untold = untold_there_.download();
        for (std::size_t k = 0; k < terms; ++k) result.term_loss[k] += untold_[k] + untold[k];
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
        if constexpr (Sums<k>::has_sums)
            roars::detail::add_sums(term, run, batch, std::get<k>(memory_).sums.get());
        else if constexpr (roars::detail::TwoPhase<Term> && !detail::term_on_device<Term>)
            detail::on_host<detail::ReadsOfTerm<Term>, columns<>>(run, batch, [&](auto& host_run, auto& host) {
                roars::detail::add_sums(term, host_run, host, std::get<k>(totals_.sums));
            });
    }

    template <class Tuple, class BatchType, std::size_t... k>
    void evaluate_all(Run<D>& run, const Tuple& all, BatchType& batch, std::index_sequence<k...>) {
        // In braces, because terms are prepared in their order: one may read what an earlier one gives.
        untold_there_.zero();
        std::tuple weighed{ready<k>(run, std::get<k>(all), batch)...};
        evaluate(device_, batch, counts_.data(), outcome_.data(), std::get<k>(weighed)...);
    }
    template <std::size_t k, class Term, class BatchType>
    auto ready(Run<D>& run, const Term& term, BatchType& batch) {
        using Default = std::remove_cvref_t<decltype(algorithm_.optimizer.aggregate)>;
        using Aggregate = roars::detail::aggregate<Term, Default>;
        untold_[k] = 0.0;
        auto weighed = [&](const auto& one) {
            return Weighed<std::remove_cvref_t<decltype(one)>, typename Aggregate::type>{
                one, Aggregate::of(term, algorithm_.optimizer.aggregate)};
        };
        if constexpr (Sums<k>::has_sums) {
            auto& memory = std::get<k>(memory_);
            const auto& sums = memory.sums.get();  // on the device: only kernels read it
            roars::detail::add_untold(term, run, batch, sums, untold_there_.data()[k]);
            if constexpr (Sums<k>::is_rebuilt) {
                for_each(device_, 1, detail::Rebuild<Term>{term, &sums, memory.rebuilt.data()});
                return weighed(detail::Rebuilt<Term>{{memory.rebuilt.data()}});
            } else {
                roars::detail::prepare_base(term, run, batch, sums);
                return weighed(term);
            }
        } else if constexpr (detail::term_on_device<Term>) {
            roars::detail::prepare_base(term, run, batch, roars::detail::NoSums{});
            return weighed(term);
        } else {
            Term bound = term;
            const auto& sums = std::get<k>(totals_.sums);
            if constexpr (detail::IsRebuilt<Term>) bound = term.with(sums);
            detail::on_host<detail::ReadsOfTerm<Term>, gives_of<Term>>(run, batch, [&](auto& host_run, auto& host) {
                roars::detail::prepare_base(bound, host_run, host, sums);
                untold_[k] = roars::detail::untold_loss(bound, host_run, host, sums);
            });
            return weighed(bound);
        }
    }
    template <std::size_t k>
    using Sums = std::tuple_element_t<k, typename List::template Memory<D>>;

    D& device_;
    A algorithm_;
    Buffer<Counts, D> counts_;
    Buffer<Outcome, D> outcome_;
    typename List::Totals totals_{};
    typename List::template Memory<D> memory_;
    Buffer<double, D> untold_there_;
    std::array<double, terms> untold_{};  ///< of the terms that the host prepares
};
template <class D, class A>
Objective(D&, const A&) -> Objective<A, D>;

}  // namespace roars::gpu
