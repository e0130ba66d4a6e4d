#pragma once

#include <array>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

#include "roars/concepts.hpp"
#include "roars/units.hpp"

namespace roars {

/// Named in the compiler's message when parts do not fit together. Only the empty set is complete, so the missing
/// columns stand in the name of an incomplete type.
template <class Columns>
struct column_needed_but_given_by_no_part_or_actor;
template <>
struct column_needed_but_given_by_no_part_or_actor<columns<>> : std::true_type {};
template <class Columns>
struct column_given_but_read_by_no_part;
template <>
struct column_given_but_read_by_no_part<columns<>> : std::true_type {};
template <class Columns>
struct column_acted_on_but_read_by_no_part;
template <>
struct column_acted_on_but_read_by_no_part<columns<>> : std::true_type {};
template <class Columns>
struct column_given_by_two_parts;
template <>
struct column_given_by_two_parts<columns<>> : std::true_type {};

namespace detail {

/// The terms that a part adds to the loss: itself, or what it lists.
template <HasTerms P>
auto terms_of(const P& part, const state_of<P>& state) {
    if constexpr (LossTerm<P>)
        return std::tuple<P>(part);
    else
        return part.terms(state);
}
template <class P>
auto terms_of(const P&, const state_of<P>&) {
    return std::tuple<>();
}
template <class P>
using terms_type = decltype(terms_of(std::declval<const P&>(), std::declval<const state_of<P>&>()));

/// What a part changes the meaning of without writing it: `acts_on` of a part that moves the reference, say.
template <class P>
struct acts_on {
    using type = columns<>;
};
template <class P>
requires requires { typename P::acts_on; }
struct acts_on<P> {
    using type = typename P::acts_on;
};

template <class Tuple>
struct of_terms;
template <class... Term>
struct of_terms<std::tuple<Term...>> {
    using gives = unite_t<gives_of<Term>...>;
    using needs = unite_t<typename prepare_needs<Term>::type..., minus_t<unite_t<needs_of<Term>...>, gives>>;
    using slopes = unite_t<typename Term::differentiates...>;
    using masks = unite_t<columns<mask_of<Term>>...>;
    /// Whether the totals of a batch depend on more than its masks.
    static constexpr bool have_sums = (!std::is_empty_v<typename sums<Term>::type> || ...);
};

template <class... Column>
columns<col::grad<Column>...> gradients_of(columns<Column...>);

template <class Set>
struct from_parts;
template <class... Column>
struct from_parts<columns<Column...>> {
    template <class C>
    using only = std::conditional_t<C::origin == Origin::part, columns<C>, columns<>>;
    using type = unite_t<only<Column>...>;
};

/// The order in which data meets the parts, each a stage that needs and gives columns.
template <class Needs, class Gives>
struct Stage {
    using needs = Needs;
    using gives = Gives;
};

template <class Given, class... S>
struct flow {
    using missing = columns<>;
    using inputs = columns<>;
    using twice = columns<>;
};
template <class Given, class First, class... Rest>
struct flow<Given, First, Rest...> {
    using lacking = minus_t<typename First::needs, Given>;
    using after = flow<unite_t<Given, typename First::gives>, Rest...>;
    using missing = unite_t<typename from_parts<lacking>::type, typename after::missing>;
    using inputs = unite_t<minus_t<lacking, typename from_parts<lacking>::type>, typename after::inputs>;
    /// A part that reads a column and writes it again amends it, which is no conflict.
    using twice =
        unite_t<common_t<minus_t<typename First::gives, typename First::needs>, Given>, typename after::twice>;
};

template <class... S>
struct unread {
    using type = columns<>;
};
template <class First, class... Rest>
struct unread<First, Rest...> {
    using type = unite_t<minus_t<typename First::gives, unite_t<columns<>, typename Rest::needs...>>,
                         typename unread<Rest...>::type>;
};

template <class Part>
using shaping_stage =
    std::conditional_t<ShapesReward<Part>, Stage<needs_of<Part>, gives_of<Part>>, Stage<columns<>, columns<>>>;

template <class Term, class Default>
struct aggregate {
    using type = Default;
    static Default of(const Term&, const Default& otherwise) { return otherwise; }
};
template <class Term, class Default>
requires requires(const Term& term) { term.aggregate; }
struct aggregate<Term, Default> {
    using type = std::remove_cvref_t<decltype(std::declval<const Term&>().aggregate)>;
    static type of(const Term& term, const Default&) { return term.aggregate; }
};

template <class P, class RunType, class State, class BatchType>
void call_score(const P& part, RunType& run, State& state, BatchType& batch) {
    if constexpr (SequenceReward<P>)
        score_sequences(part, run, batch);
    else if constexpr (requires { part.score(run, state, batch); })
        part.score(run, state, batch);
    else
        part.score(run, batch);
}
template <class P, class RunType, class State, class BatchType>
void estimate_here(const P& part, RunType& run, State& state, BatchType& batch) {
    if constexpr (requires { part.estimate(run, state, batch); })
        part.estimate(run, state, batch);
    else
        part.estimate(run, batch);
}
/// A device has advantages of its own beside those that run everywhere.
template <class P, class RunType, class State, class BatchType>
void call_estimate(const P& part, RunType& run, State& state, BatchType& batch) {
    if constexpr (std::remove_cvref_t<decltype(run.backend)>::on_device)
        EverywhereOf<RunType>::estimate(part, run, state, batch);
    else
        estimate_here(part, run, state, batch);
}
/// Critics that are trained beside the objective: learn(run, state, batch), a step of their own.
template <class P>
concept Learns = requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
    part.learn(run, state, batch);
};
template <class P, class RunType, class State, class BatchType>
void call_learn(const P& part, RunType& run, State& state, BatchType& batch) {
    if constexpr (Learns<P>) part.learn(run, state, batch);
}
/// Whether a part of the regularizer's slot may be asked to shape on any backend.
template <class P>
inline constexpr bool shapes_everywhere = runs_everywhere<P> || !ShapesReward<P>;
template <class P, class RunType, class State, class BatchType>
void call_shape(const P& part, RunType& run, State& state, BatchType& batch) {
    if constexpr (requires { part.shape(run, state, batch); })
        part.shape(run, state, batch);
    else if constexpr (ShapesReward<P>)
        part.shape(run, batch);
}

/// A part that wants to see all rows of a data set, before the first update.
template <class P>
concept WatchesDataset = requires(const P& part, archetype::AnyRun& run, state_of<P>& state,
                                  const archetype::AnyBatch& data) {
    part.on_dataset(run, state, data);
};
template <class P, class RunType, class State, class BatchType>
void call_on_dataset(const P& part, RunType& run, State& state, const BatchType& data) {
    if constexpr (WatchesDataset<P>) part.on_dataset(run, state, data);
}
template <class P, class RunType, class State, class ResultType>
void call_observe(const P& part, RunType& run, State& state, const ResultType& result) {
    if constexpr (requires { part.observe(run, state, result); }) part.observe(run, state, result);
}
template <class P, class RunType, class State>
Reset call_after_iteration(const P& part, RunType& run, State& state) {
    if constexpr (requires { part.after_iteration(run, state); })
        return part.after_iteration(run, state);
    else
        return {};
}
template <class P, class RunType, class State>
Reset call_after_evaluation(const P& part, RunType& run, State& state, double score) {
    if constexpr (requires { part.after_evaluation(run, state, score); })
        return part.after_evaluation(run, state, score);
    else
        return {};
}

}  // namespace detail

/// What the whole batch says before its parts can be differentiated: counts for each term, and the sums of terms that
/// have two phases. Totals of micro-batches add up exactly.
template <class... Term>
struct Totals {
    std::array<Counts, sizeof...(Term)> counts{};
    std::tuple<typename detail::sums<Term>::type...> sums{};

    Totals& operator+=(const Totals& other) {
        for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
        add(other, std::index_sequence_for<Term...>{});
        return *this;
    }

private:
    template <std::size_t... k>
    void add(const Totals& other, std::index_sequence<k...>) {
        auto one = [](auto& ours, const auto& theirs) {
            if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(ours)>, NoState>) ours += theirs;
        };
        (one(std::get<k>(sums), std::get<k>(other.sums)), ...);
    }
};

/// A reinforcement-learning algorithm: five parts, in the order in which data meets them,
///     collect -> score -> shape -> estimate -> objective -> step.
/// The type chooses the code, the value the numbers. The compiler unites what the parts need and give, refuses a
/// combination in which a column is needed but given by none, given but read by none, or given twice, and gives the
/// batch exactly the united columns. Nothing is dispatched at run time.
template <class Sampler_, class Reward_, class Advantage_, class Regularizer_, class Optimizer_>
struct Algorithm {
    static_assert(Part<Sampler_>,
                  "roars: the first part is no Part: its settings must be copyable as bytes and have defaults");
    static_assert(Part<Reward_>,
                  "roars: the second part is no Part: its settings must be copyable as bytes and have defaults");
    static_assert(Part<Advantage_>,
                  "roars: the third part is no Part: its settings must be copyable as bytes and have defaults");
    static_assert(Part<Regularizer_>,
                  "roars: the fourth part is no Part: its settings must be copyable as bytes and have defaults");
    static_assert(Part<Optimizer_>,
                  "roars: the fifth part is no Part: its settings must be copyable as bytes and have defaults");
    static_assert(SamplerPart<Sampler_>,
                  "roars: the first part is not a SamplerPart: it has no collect(run, state, source, batch, score)");
    static_assert(RewardPart<Reward_>, "roars: the second part is not a RewardPart: it has no score(run, batch)");
    static_assert(AdvantagePart<Advantage_>,
                  "roars: the third part is not an AdvantagePart: it has no estimate(run, batch)");
    static_assert(RegularizerPart<Regularizer_>,
                  "roars: the fourth part is not a RegularizerPart: it has neither shape(run, batch) nor terms");
    static_assert(
        OptimizerPart<Optimizer_>,
        "roars: the fifth part is not an OptimizerPart: it has no terms, aggregate and step, and is no closed form");

    using Sampler = Sampler_;
    using Reward = Reward_;
    using Advantage = Advantage_;
    using Regularizer = Regularizer_;
    using Optimizer = Optimizer_;

    Sampler sampler{};
    Reward reward{};
    Advantage advantage{};
    Regularizer regularizer{};
    Optimizer optimizer{};

    /// What the parts learn, owned by the trainer and saved in the checkpoint.
    struct State {
        state_of<Sampler_> sampler{};
        state_of<Reward_> reward{};
        state_of<Advantage_> advantage{};
        state_of<Regularizer_> regularizer{};
        state_of<Optimizer_> optimizer{};

        ROARS_MEMBERS(State, sampler, reward, advantage, regularizer, optimizer)
    };

    /// The terms of the loss: the surrogate's, the regularizer's, the critic's.
    using Terms = decltype(std::tuple_cat(std::declval<detail::terms_type<Optimizer>>(),
                                          std::declval<detail::terms_type<Regularizer>>(),
                                          std::declval<detail::terms_type<Advantage>>()));
    static Terms terms(const Algorithm& parts, const State& state) {
        return std::tuple_cat(detail::terms_of(parts.optimizer, state.optimizer),
                              detail::terms_of(parts.regularizer, state.regularizer),
                              detail::terms_of(parts.advantage, state.advantage));
    }

    using OfTerms = detail::of_terms<Terms>;
    using SamplerStage = detail::Stage<needs_of<Sampler>, gives_of<Sampler>>;
    using RewardStage = detail::Stage<needs_of<Reward>, gives_of<Reward>>;
    using ShapeStage = detail::shaping_stage<Regularizer>;
    using AdvantageStage = detail::Stage<needs_of<Advantage>, gives_of<Advantage>>;
    using ObjectiveStage = detail::Stage<typename OfTerms::needs, typename OfTerms::gives>;

    using Flow = detail::flow<columns<>, SamplerStage, RewardStage, ShapeStage, AdvantageStage, ObjectiveStage>;
    static_assert(column_needed_but_given_by_no_part_or_actor<typename Flow::missing>::value,
                  "roars: a part needs a column that no earlier part gives");
    static_assert(column_given_by_two_parts<typename Flow::twice>::value, "roars: two parts give the same column");
    static_assert(
        column_given_but_read_by_no_part<typename detail::unread<
            SamplerStage, RewardStage, ShapeStage, AdvantageStage,
            detail::Stage<unite_t<typename OfTerms::needs, typename OfTerms::gives, typename OfTerms::masks>,
                          columns<>>>::type>::value,
        "roars: a part gives a column that no later part reads: its work and its settings would have no effect");

    static_assert(column_acted_on_but_read_by_no_part<
                      minus_t<typename detail::acts_on<Regularizer>::type,
                              unite_t<needs_of<Sampler>, needs_of<Reward>, typename ShapeStage::needs,
                                      needs_of<Advantage>, typename OfTerms::needs>>>::value,
                  "roars: a part acts on a column that no part reads: its work and its settings would have no effect");

    /// What must come from outside: from the actor (log-probabilities, values) and from the task (outcomes).
    using Inputs = typename Flow::inputs;
    /// d loss / d column, for each column that a term differentiates.
    using Gradients = decltype(detail::gradients_of(typename OfTerms::slopes{}));
    /// What the parts write.
    using Gives = unite_t<gives_of<Sampler>, gives_of<Reward>, typename ShapeStage::gives, gives_of<Advantage>,
                          typename OfTerms::gives>;
    /// Masks that no part writes: they come from the task, and without one every token counts.
    using Masks = minus_t<typename OfTerms::masks, Gives>;
    /// Exactly the columns of this algorithm's batch.
    using Columns = unite_t<Inputs, Masks, Gives, Gradients>;
    template <class Real = float>
    using BatchFor = Batch<Real, Columns>;

    /// The same for a batch that somebody else has sampled: what the stages behind the sampler ask, of it too, and use.
    using SampledInputs = unite_t<
        typename detail::flow<gives_of<Sampler>, RewardStage, ShapeStage, AdvantageStage, ObjectiveStage>::inputs,
        gives_of<Sampler>>;
    using SampledColumns = unite_t<SampledInputs, Masks, gives_of<Reward>, typename ShapeStage::gives,
                                   gives_of<Advantage>, typename OfTerms::gives, Gradients>;

    /// Rewards of the sequences. A sampler has its draws scored by this before it decides what enters the batch.
    template <class RunType, class BatchType>
    void score(RunType& run, State& state, BatchType& batch) const {
        detail::call_score(reward, run, state.reward, batch);
    }
    /// The regularizer's shaping of the rewards, the critics' own step where the advantage has such, then the
    /// advantage.
    template <class RunType, class BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        learn(run, state, batch);
        signal(run, state, batch);
    }
    /// Its two halves, for an iteration in which the critics learn and the policy does not.
    template <class RunType, class BatchType>
    void learn(RunType& run, State& state, BatchType& batch) const {
        detail::call_shape(regularizer, run, state.regularizer, batch);
        detail::call_learn(advantage, run, state.advantage, batch);
    }
    template <class RunType, class BatchType>
    void signal(RunType& run, State& state, BatchType& batch) const {
        detail::call_estimate(advantage, run, state.advantage, batch);
    }

    /// The whole batch's counts and sums, which its micro-batches share. Those of micro-batches add up to them.
    template <class BatchType>
    auto totals(auto& run, const State& state, BatchType& batch) const {
        return std::apply(
            [&](const auto&... term) {
                Totals<std::remove_cvref_t<decltype(term)>...> all;
                std::size_t k = 0;
                ((all.counts[k++] = count<mask_of<std::remove_cvref_t<decltype(term)>>>(run.backend, batch)), ...);
                reduce(run, batch, all, std::index_sequence_for<decltype(term)...>{}, term...);
                return all;
            },
            terms(*this, state));
    }

    /// Loss, gradients and metrics of a batch, or of a micro-batch of the batch that `whole` was counted on.
    template <class BatchType, class... Term>
    Result<Term...> objective(auto& run, const State& state, BatchType& batch, const Totals<Term...>& whole) const {
        auto all = terms(*this, state);
        return evaluate_terms(run, batch, all, whole, std::index_sequence_for<Term...>{});
    }
    template <class BatchType>
    auto objective(auto& run, const State& state, BatchType& batch) const {
        return objective(run, state, batch, totals(run, state, batch));
    }

private:
    template <class BatchType, class TotalsType, std::size_t... k, class... Term>
    static void reduce(auto& run, BatchType& batch, TotalsType& all, std::index_sequence<k...>, const Term&... term) {
        auto one = [&](const auto& each, auto& sums) {
            if constexpr (detail::TwoPhase<std::remove_cvref_t<decltype(each)>>)
                sums = detail::reduce_base(each, run, batch);
        };
        (one(term, std::get<k>(all.sums)), ...);
    }

    template <class BatchType, class Tuple, class TotalsType, std::size_t... k>
    auto evaluate_terms(auto& run, BatchType& batch, const Tuple& all, const TotalsType& whole,
                        std::index_sequence<k...>) const {
        using Default = std::remove_cvref_t<decltype(optimizer.aggregate)>;
        auto ready = [&](const auto& term, const auto& sums) {
            using Term = std::remove_cvref_t<decltype(term)>;
            Term bound = term;
            if constexpr (requires { term.with(sums); }) bound = term.with(sums);
            detail::prepare_base(bound, run, batch, sums);
            using Aggregate = detail::aggregate<Term, Default>;
            return Weighed<Term, typename Aggregate::type>{bound, Aggregate::of(term, optimizer.aggregate)};
        };
        // In braces, because terms are prepared in their order: one may read what an earlier one gives.
        std::tuple weighed{ready(std::get<k>(all), std::get<k>(whole.sums))...};
        auto result = evaluate(run.backend, batch, whole.counts, std::get<k>(weighed)...);
        ((result.term_loss[k] += detail::untold_loss(std::get<k>(weighed).term, run, batch, std::get<k>(whole.sums))),
         ...);
        return result;
    }
};

template <class S, class R, class A, class G, class O>
ROARS_FIELDS_OF((Algorithm<S, R, A, G, O>), sampler, reward, advantage, regularizer, optimizer)

/// An actor and a task that bring everything that an algorithm asks from outside.
template <class A, class... Provider>
inline constexpr bool fits_v =
    column_needed_but_given_by_no_part_or_actor<minus_t<typename A::Inputs, unite_t<gives_of<Provider>...>>>::value;

/// The batch of an algorithm whose inputs are in the caller's memory, from the reward on: what the sampler alone reads
/// is not asked for, because the caller has sampled. It owns what else these stages write, zero at first; whatever of
/// that the caller has borrowed too (a gradient, say) is written there.
template <class A, class BatchType>
auto complete(BatchType&& borrowed) {
    static_assert(column_needed_but_given_by_no_part_or_actor<
                      minus_t<typename A::SampledInputs, typename std::remove_cvref_t<BatchType>::Columns>>::value,
                  "roars: the batch lacks a column that the algorithm asks from outside");
    return std::forward<BatchType>(borrowed).with(
        minus_t<typename A::SampledColumns, unite_t<typename A::SampledInputs, typename A::Masks>>{});
}

/// Rewards, advantages, loss, gradients and metrics of a batch in one call, for an engine that keeps no run and no
/// State: the parts see their first iteration.
template <class A, class BatchType>
auto loss(const A& algorithm, BatchType& batch) {
    backend::Host host;
    Run run{host};
    typename A::State state;
    algorithm.score(run, state, batch);
    algorithm.estimate(run, state, batch);
    return algorithm.objective(run, state, batch);
}

}  // namespace roars
