#pragma once

#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>

#include "roars/batch.hpp"
#include "roars/everywhere.hpp"
#include "roars/fields.hpp"
#include "roars/objective.hpp"
#include "roars/primitives/sampling.hpp"
#include "roars/run.hpp"
#include "roars/term.hpp"

/// The five slots, as concepts. A part is a value: settings, no virtual functions, no ownership. What it learns is its
/// `State`, which the trainer owns. A stage is called as stage(run, batch), or as stage(run, state, batch) by a part
/// that has a State.
namespace roars {

/// Settings that can be copied to a kernel and printed.
template <class P>
concept Part = std::is_trivially_copyable_v<P> && std::is_default_constructible_v<P>;

struct NoState {};
ROARS_FIELDS(NoState)

namespace detail {
template <class P>
struct state_type {
    using type = NoState;
};
template <class P>
requires requires { typename P::State; }
struct state_type<P> {
    using type = typename P::State;
};

using EveryColumn = columns<
    col::groups, col::turns, col::turn_owner, col::token, col::mask, col::logp, col::logp_old, col::logp_behaviour,
    col::logp_ref, col::logp_teacher, col::entropy, col::sum_pi_squared, col::value, col::value_old, col::next_value,
    col::q, col::external, col::outcome, col::truncated, col::answer, col::prompt, col::greedy_outcome, col::chosen,
    col::step_reward, col::terminated, col::done, col::turn_outcome, col::reward, col::component_reward,
    col::token_reward, col::turn_reward, col::advantage, col::advantage_global, col::blend, col::returns,
    col::importance_weight, col::sequence_log_ratio, col::sequence_loss, col::sequence_gradient, col::keep,
    col::penalised, col::mismatched, col::planning, col::format, col::verifiable, col::preference, col::model_score,
    col::sequence_advantage, col::selected, col::penalty_weight, col::token_gradient, col::grad<col::logp>,
    col::grad<col::entropy>, col::grad<col::value>, col::state, col::action, col::next_state, col::policy_action,
    col::policy_logp, col::q_gradient, col::next_policy_action, col::next_logp, col::next_target_action,
    col::next_action_values, col::next_target_values, col::quantiles, col::next_target_quantiles, col::sampled_action,
    col::sampled_logp, col::next_bonus, col::target_quantiles, col::balance, col::reference_action,
    col::neighbour_action, col::taken_q, col::model_action, col::model_q, col::reconstruction, col::latent_mean,
    col::latent_deviation, col::balanced_action, col::action_by_balance, col::problem_shape, col::known_reward,
    col::reference_policy, col::policy_mean, col::policy_deviation, col::policy_mean_old, col::policy_deviation_old,
    col::policy_samples, col::proposed_action, col::next_proposed_action, col::model_samples, col::return_to_go,
    col::step_number, col::tool_calls, col::reasoned, col::needs_reasoning, col::decision, col::confidence,
    col::executed, col::turn_features, col::constraints, col::entropy_weight, col::tool_kinds, col::branch_parent,
    col::branch_token, col::cost, col::judgement, col::relevance, col::rubric, col::reopens>;
}  // namespace detail

template <class P>
using state_of = typename detail::state_type<P>::type;

namespace archetype {
/// What the concepts try a part on: a batch with every column.
using AnyBatch = Batch<float, detail::EveryColumn>;
using AnyView = BatchView<float, detail::EveryColumn>;
using AnyRun = Run<backend::Host>;

/// Where a sampler's rollouts come from.
struct AnySource {
    void roll_out(AnyRun&, AnyBatch& batch, std::int64_t prompts, std::int64_t group_size, const Generation&);
};
struct AnyScore {
    void operator()(AnyBatch&) const;
};
}  // namespace archetype

/// collect(run, state, source, batch, score): decides which rollouts or rows enter the batch. It may roll out, have the
/// result scored and roll out again; `observe` (optional) sees the outcome afterwards. prepare(source) (optional) asks
/// something of the source before all of that.
template <class P>
concept SamplerPart = Part<P> &&
    requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnySource& source,
             archetype::AnyBatch& batch, archetype::AnyScore& score) {
    part.collect(run, state, source, batch, score);
};
/// prepare(source) of a sampler, or of what amends its batch.
template <class P, class Source>
void prepare_source(const P& part, Source& source) {
    if constexpr (requires { part.prepare(source); }) part.prepare(source);
}

/// The reward of one sequence as a function: x[col::outcome{}] is its value of a column, x.row(col::constraints{}) its
/// values of a wide one, x.length() its tokens.
template <class BatchType>
class SequenceView {
public:
    ROARS_FN SequenceView(const BatchType& batch, std::int64_t index) : batch_(batch), index_(index) {}
    template <class Column>
    ROARS_FN double operator[](Column column) const {
        static_assert(Column::extent == Extent::sequence, "the reward of a sequence reads columns of sequences");
        return double(batch_[column][static_cast<std::size_t>(index_)]);
    }
    /// The sequence's row of a wide column.
    template <class Column>
    ROARS_FN auto row(Column column) const {
        static_assert(Column::extent == Extent::sequence, "the reward of a sequence reads columns of sequences");
        if constexpr (requires { batch_[column].data(); }) {
            const auto width = static_cast<std::size_t>(batch_.width(column));
            return batch_[column].subspan(static_cast<std::size_t>(index_) * width, width);
        } else {
            return batch_.row(column, index_);
        }
    }
    ROARS_FN std::int64_t length() const {
        return detail::token_offset(batch_, index_ + 1) - detail::token_offset(batch_, index_);
    }
    ROARS_FN std::int64_t index() const { return index_; }

private:
    const BatchType& batch_;
    std::int64_t index_;
};
template <class P>
concept SequenceReward = requires(const P& part, const SequenceView<archetype::AnyView>& x) {
    { part.value(x) } -> std::convertible_to<double>;
};

namespace detail {
/// The reward of a sequence as a body of a loop.
template <class P, class X>
struct ValueOfSequence {
    P part;
    X x;
    ROARS_FN auto operator()(std::int64_t i) const {
        return static_cast<typename X::Real>(part.value(SequenceView<X>(x, i)));
    }
};
template <class P, class X>
struct ScoreSequence {
    ValueOfSequence<P, X> value;
    ROARS_FN void operator()(std::int64_t i) const { value.x[col::reward{}][i] = value(i); }
};
template <class P, class RunType, class BatchType>
void score_sequences(const P& part, RunType& run, BatchType& batch) {
    auto x = view_of<unite_t<needs_of<P>, columns<col::reward>>>(run, batch);
    EverywhereOf<RunType>::for_each(run.backend, batch.sequences(), ScoreSequence<P, decltype(x)>{{part, x}});
}
}  // namespace detail

/// score(run, [state,] batch): rollouts -> numbers per sequence, turn or token; or value(x), the reward of one
/// sequence.
template <class P>
concept RewardPart = Part<P> &&(
    SequenceReward<P> ||
    requires(const P& part, archetype::AnyRun& run, archetype::AnyBatch& batch) { part.score(run, batch); } ||
    requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
        part.score(run, state, batch);
    });

/// estimate(run, [state,] batch): numbers -> a signal per token. Critics live here. Those that have a loss of their
/// own, apart from the policy's, take their step in learn(run, state, batch), which comes first and in every iteration;
/// estimate only comes where the policy learns.
template <class P>
concept AdvantagePart = Part<P> &&(
    requires(const P& part, archetype::AnyRun& run, archetype::AnyBatch& batch) { part.estimate(run, batch); } ||
    requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
        part.estimate(run, state, batch);
    });

/// shape(run, [state,] batch) on the rewards, before the advantage; ...
template <class P>
concept ShapesReward = requires(const P& part, archetype::AnyRun& run, archetype::AnyBatch& batch) {
    part.shape(run, batch);
}
|| requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
    part.shape(run, state, batch);
};
/// ... or terms(state), a tuple of terms fused into the loss; or itself such a term.
template <class P>
concept HasTerms = LossTerm<P> || requires(const P& part, const state_of<P>& state) {
    std::tuple_size<decltype(part.terms(state))>::value;
};
/// What a part may ask of the trainer behind an iteration, never within the updates of one batch: the policy as it is
/// becomes the reference; the step rule forgets its moments and counts its steps anew.
struct Reset {
    bool reference = false;
    bool step = false;
    Reset& operator|=(const Reset& other) {
        reference = reference || other.reference;
        step = step || other.step;
        return *this;
    }
};

/// Keeps the policy near something, or spread out. It may watch the run, with any of
///     on_dataset(run, state, data)             all rows of a data set, before the first update,
///     observe(run, state, result)              the result of every update,
///     after_iteration(run, state) -> Reset     the end of an iteration,
///     after_evaluation(run, state, score) -> Reset     what the policy was found to be worth.
template <class P>
concept RegularizerPart = Part<P> &&(ShapesReward<P> || HasTerms<P> || requires { typename P::does_nothing; });

/// The step rule: one flat span of parameters, one of gradients.
template <class P>
concept StepPart = Part<P> && requires(const P& part, typename P::State& state, std::span<float> parameters,
                                       std::span<float> gradients, double scale) {
    part.step(state, parameters, gradients, scale);
};

/// The best policy is known without a step of a gradient, as soon as the advantage is.
template <class P>
concept ClosedFormPart = requires {
    typename P::closed_form;
};
/// The surrogate as terms, the aggregation over tokens, the step rule; or a closed form.
template <class P>
concept OptimizerPart = Part<P> &&(ClosedFormPart<P> || (HasTerms<P> && requires(const P& part) {
                                       requires Aggregation<std::remove_cvref_t<decltype(part.aggregate)>>;
                                       requires StepPart<std::remove_cvref_t<decltype(part.step)>>;
                                   }));

}  // namespace roars
