#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace roars {

/// What a column has one value of. A transition of offline data is a token of a sequence (its trajectory).
enum class Extent { token, turn, sequence, group, batch };

/// Who may put a column into the batch from outside the five parts. A column of `part` comes from a part or not at all.
enum class Origin { part, actor, task };

/// What a value is: a number of the batch's real type, a whole number, or an offset into the next smaller extent.
enum class Kind { real, index, offsets };

/// A set of column types: what a part needs or gives.
template <class... Column>
struct columns {
    static constexpr std::size_t size = sizeof...(Column);
};

namespace detail {

template <class Column, class Set>
struct contains;
template <class Column, class... Member>
struct contains<Column, columns<Member...>> : std::bool_constant<(std::is_same_v<Column, Member> || ...)> {};

template <class Set, class Column, bool known = contains<Column, Set>::value>
struct insert {
    using type = Set;
};
template <class... Member, class Column>
struct insert<columns<Member...>, Column, false> {
    using type = columns<Member..., Column>;
};

template <class... Set>
struct unite {
    using type = columns<>;
};
template <class Set>
struct unite<Set> {
    using type = Set;
};
template <class Set, class... Rest>
struct unite<Set, columns<>, Rest...> : unite<Set, Rest...> {};
template <class Set, class First, class... Other, class... Rest>
struct unite<Set, columns<First, Other...>, Rest...>
    : unite<typename insert<Set, First>::type, columns<Other...>, Rest...> {};

template <class Set, class Taken, class Kept = columns<>>
struct minus {
    using type = Kept;
};
template <class First, class... Other, class Taken, class... Kept>
struct minus<columns<First, Other...>, Taken, columns<Kept...>>
    : minus<columns<Other...>, Taken,
            std::conditional_t<contains<First, Taken>::value, columns<Kept...>, columns<Kept..., First>>> {};

template <class Set, class Other, class Kept = columns<>>
struct common {
    using type = Kept;
};
template <class First, class... Rest, class Other, class... Kept>
struct common<columns<First, Rest...>, Other, columns<Kept...>>
    : common<columns<Rest...>, Other,
             std::conditional_t<contains<First, Other>::value, columns<Kept..., First>, columns<Kept...>>> {};

}  // namespace detail

template <class Column, class Set>
inline constexpr bool contains_v = detail::contains<Column, Set>::value;
template <class... Set>
using unite_t = typename detail::unite<columns<>, Set...>::type;
template <class Set, class Taken>
using minus_t = typename detail::minus<Set, Taken>::type;
template <class Set, class Other>
using common_t = typename detail::common<Set, Other>::type;
/// Every member of Set is a member of Other.
template <class Set, class Other>
inline constexpr bool within_v = minus_t<Set, Other>::size == 0;

/// Calls visit(Column{}) for each member of a set.
template <class... Column, class Visit>
constexpr void for_each_column(columns<Column...>, Visit&& visit) {
    (visit(Column{}), ...);
}

/// The columns. A column is a type: its name, what there is one of, who brings it, what a value is.
namespace col {

#define ROARS_COLUMN(NAME, EXTENT, ORIGIN, KIND)         \
    struct NAME {                                        \
        static constexpr std::string_view name = #NAME;  \
        static constexpr Extent extent = Extent::EXTENT; \
        static constexpr Origin origin = Origin::ORIGIN; \
        static constexpr Kind kind = Kind::KIND;         \
    }

// Structure. The offsets of sequences into tokens are always there; groups and turns only where a part needs them.
ROARS_COLUMN(groups, group, task, offsets);         ///< group g owns sequences [o_g, o_g+1)
ROARS_COLUMN(turns, turn, task, offsets);           ///< turn k owns tokens [o_k, o_k+1)
ROARS_COLUMN(turn_owner, sequence, task, offsets);  ///< sequence i owns turns [o_i, o_i+1)

// Tokens, as the actor sees them.
ROARS_COLUMN(token, token, task, index);           ///< the token's number in the vocabulary, or the discrete action
ROARS_COLUMN(mask, token, task, real);             ///< 1 = trainable, 0 = never touches a loss
ROARS_COLUMN(logp, token, actor, real);            ///< log-probability under the policy now
ROARS_COLUMN(logp_old, token, actor, real);        ///< under the policy that began this update
ROARS_COLUMN(logp_behaviour, token, actor, real);  ///< under whatever really drew the token
ROARS_COLUMN(logp_ref, token, actor, real);        ///< under the reference policy
ROARS_COLUMN(logp_teacher, token, actor, real);    ///< under a teacher
ROARS_COLUMN(entropy, token, actor, real);         ///< of the policy's distribution at the token, nats
ROARS_COLUMN(sum_pi_squared, token, actor, real);  ///< sum of squared probabilities of that distribution
ROARS_COLUMN(value, token, actor, real);           ///< the critic's estimate before the token
ROARS_COLUMN(value_old, token, actor, real);       ///< the same when the batch was collected
ROARS_COLUMN(next_value, token, actor, real);      ///< the critic's estimate of the state after the token
ROARS_COLUMN(q, token, actor, real);               ///< action value of (state, action)
ROARS_COLUMN(external, token, task, real);         ///< 1 = not written by this policy (a hint, a given solution)
ROARS_COLUMN(planning, token, task, real);         ///< 1 = says what to do next, 0 = does it
ROARS_COLUMN(decision, token, task, real);         ///< 1 = the token that decides: to reason, to accept

// What the task says of an answer.
ROARS_COLUMN(outcome, sequence, task, real);          ///< raw verdict or score of the task, before any shaping
ROARS_COLUMN(truncated, sequence, task, real);        ///< 1 = cut by the length limit
ROARS_COLUMN(format, sequence, task, real);           ///< 1 = has the form that was asked for
ROARS_COLUMN(reasoned, sequence, task, real);         ///< 1 = it has a reasoning that is not empty
ROARS_COLUMN(needs_reasoning, sequence, task, real);  ///< 1 = the prompt is one that should be reasoned about
ROARS_COLUMN(constraints, sequence, task, real);      ///< a row: count, low, high, points of each countable constraint
ROARS_COLUMN(rubric, sequence, task, real);           ///< a row: points, and 1 if it is met, of each criterion
ROARS_COLUMN(verifiable, sequence, task, real);       ///< 1 = the task could judge the answer, 0 = it has no verdict
ROARS_COLUMN(answer, sequence, task, index);          ///< identifier of the final answer: equal answers, equal numbers
ROARS_COLUMN(prompt, sequence, task, index);          ///< identifier of the prompt
ROARS_COLUMN(greedy_outcome, sequence, task, real);   ///< outcome of the greedy answer to the same prompt
ROARS_COLUMN(chosen, sequence, task, real);  ///< 1 = the preferred one of a pair or a desirable answer, 0 = the other
ROARS_COLUMN(mismatched, sequence, task, real);  ///< 1 = an answer to another prompt: it measures, and is never learnt
ROARS_COLUMN(preference, sequence, task,
             real);  ///< of a pair's chosen answer: the probability that it is the better one
ROARS_COLUMN(model_score, sequence, actor, real);   ///< what a learned reward model says of an answer
ROARS_COLUMN(step_reward, token, task, real);       ///< reward of an environment's step
ROARS_COLUMN(terminated, token, task, real);        ///< 1 = the episode ended here, nothing follows
ROARS_COLUMN(done, token, task, real);              ///< 1 = terminated, or cut here for another reason
ROARS_COLUMN(state, token, task, real);             ///< a row: what was observed before the step
ROARS_COLUMN(action, token, task, real);            ///< a row: the action that was taken
ROARS_COLUMN(next_state, token, task, real);        ///< a row: what was observed after the step
ROARS_COLUMN(return_to_go, token, task, real);      ///< the sum of rewards from this step to the episode's end
ROARS_COLUMN(step_number, token, task, real);       ///< of its episode, from 0
ROARS_COLUMN(policy_action, token, actor, real);    ///< a row: the policy's own action in that state, now
ROARS_COLUMN(balance, token, actor, real);          ///< improvement against constraint: an input of the policy
ROARS_COLUMN(task, token, actor, real);             ///< a row: what is wanted there, an input of policy and critic
ROARS_COLUMN(balanced_action, token, actor, real);  ///< a row: the policy's action by the balance chosen for the state
ROARS_COLUMN(action_by_balance, token, actor, real);  ///< a row: how that action moves with that balance
ROARS_COLUMN(turn_outcome, turn, task, real);         ///< raw score of a turn
ROARS_COLUMN(cost, sequence, task, real);             ///< what was paid for the rollout's calls
ROARS_COLUMN(judgement, turn, task, real);            ///< 1 = accepts what a search found, 0 = rejects, -1 = neither
ROARS_COLUMN(relevance, turn, task, real);            ///< of what it judges to the true answer, 0 to 1
ROARS_COLUMN(tool_calls, sequence, task, real);       ///< how often the rollout called a tool, in vain or not
ROARS_COLUMN(confidence, turn, actor, real);          ///< in the true answer before the turn: mean log-probability
ROARS_COLUMN(executed, turn, task, real);             ///< 1 = the environment could carry the turn's action out
ROARS_COLUMN(turn_features, turn, actor, real);       ///< a row: what the policy knows at the turn's end
ROARS_COLUMN(reopens, sequence, task, real);          ///< 1 = has answered, and could have asked more instead
ROARS_COLUMN(tool_kinds, sequence, task, real);       ///< how many different kinds of tool it called
ROARS_COLUMN(branch_parent, sequence, actor, index);  ///< its parent's place in the group, before its own; -1 = none
ROARS_COLUMN(branch_token, sequence, actor, index);   ///< how many of its first tokens are its parent's
// Control. Rows are wide columns; `next` is of the state after the step.
ROARS_COLUMN(policy_samples, token, actor, real);         ///< a row: several more actions of the policy there, now
ROARS_COLUMN(policy_logp, token, actor, real);            ///< log-probability of policy_action, which it moves with
ROARS_COLUMN(policy_mean, token, actor, real);            ///< a row: the mean of the policy's distribution, now
ROARS_COLUMN(policy_deviation, token, actor, real);       ///< a row: its standard deviation
ROARS_COLUMN(policy_mean_old, token, actor, real);        ///< a row: the mean of the policy that began this update
ROARS_COLUMN(policy_deviation_old, token, actor, real);   ///< a row: its standard deviation
ROARS_COLUMN(q_gradient, token, actor, real);             ///< a row: d q / d policy_action
ROARS_COLUMN(next_policy_action, token, actor, real);     ///< a row: an action of the policy
ROARS_COLUMN(next_logp, token, actor, real);              ///< its log-probability
ROARS_COLUMN(next_target_action, token, actor, real);     ///< a row: the action of the target policy, or several
ROARS_COLUMN(logits, token, actor, real);                 ///< a row: of every action, in the state before the step
ROARS_COLUMN(action_values, token, actor, real);          ///< a row: the action values in that state
ROARS_COLUMN(next_action_values, token, actor, real);     ///< a row: the action values
ROARS_COLUMN(next_target_values, token, actor, real);     ///< a row: the action values of the target network
ROARS_COLUMN(quantiles, token, actor, real);              ///< a row: quantiles of the return of the action taken
ROARS_COLUMN(next_target_quantiles, token, actor, real);  ///< a row: quantiles by the target network, action by action
ROARS_COLUMN(sampled_action, token, actor, real);         ///< a row: several actions to compare with the one taken
ROARS_COLUMN(sampled_logp, token, actor, real);           ///< a row: the log-density that each was drawn with
ROARS_COLUMN(reference_action, token, actor, real);       ///< a row: actions of frozen policies, one after another
ROARS_COLUMN(next_bonus, token, part, real);              ///< what a regularizer adds to the value of the next state
ROARS_COLUMN(target_quantiles, token, part, real);        ///< a row: quantiles of the critic's target
// Data that the policy is held to.
ROARS_COLUMN(neighbour_action, token, part, real);  ///< a row: the action of a nearby row of the data
ROARS_COLUMN(taken_q, token, actor, real);          ///< action value of the action in the data
ROARS_COLUMN(model_action, token, actor, real);     ///< a row: an action of a model of the data's behaviour
ROARS_COLUMN(model_q, token, actor, real);          ///< its action value
ROARS_COLUMN(proposed_action, token, actor,
             real);  ///< a row: an action drawn from such a model, which the policy moves
ROARS_COLUMN(next_proposed_action, token, actor, real);  ///< a row: several, in the next state
ROARS_COLUMN(model_samples, token, part, real);          ///< a row: several actions drawn from such a model
ROARS_COLUMN(reconstruction, token, actor, real);        ///< a row: the action in the data, through a variational model
ROARS_COLUMN(latent_mean, token, actor, real);           ///< a row: the mean of that model's code
ROARS_COLUMN(latent_deviation, token, actor, real);      ///< a row: its standard deviation
// A finite problem as tables, one row of each a batch: [horizon, states, actions].
ROARS_COLUMN(problem_shape, batch, task, index);    ///< a row: horizon, states, actions
ROARS_COLUMN(known_reward, batch, task, real);      ///< a row: the reward of every step, state and action
ROARS_COLUMN(reference_policy, batch, part, real);  ///< a row: the probability of every action under a reference

// What the parts make of it.
ROARS_COLUMN(reward, sequence, part, real);              ///< shaped reward of a sequence
ROARS_COLUMN(component_reward, sequence, part, real);    ///< a row, one reward for each of several aims
ROARS_COLUMN(token_reward, token, part, real);           ///< shaped reward of a token
ROARS_COLUMN(turn_reward, turn, part, real);             ///< shaped reward of a turn
ROARS_COLUMN(advantage, token, part, real);              ///< the signal that the surrogate raises
ROARS_COLUMN(advantage_global, token, part, real);       ///< a second signal, across prompts
ROARS_COLUMN(sequence_advantage, sequence, part, real);  ///< the signal of a whole sequence
ROARS_COLUMN(blend, sequence, part, real);               ///< weight of the first of two signals
ROARS_COLUMN(returns, token, part, real);                ///< the critic's target
ROARS_COLUMN(importance_weight, token, part, real);      ///< a constant factor of the surrogate
ROARS_COLUMN(entropy_weight, token, part, real);         ///< a constant factor of the token's entropy bonus
ROARS_COLUMN(sequence_log_ratio, sequence, part, real);  ///< a sequence's mean or sum of logp - logp_old
ROARS_COLUMN(sequence_loss, sequence, part, real);       ///< a loss that belongs to a whole sequence
ROARS_COLUMN(sequence_gradient, sequence, part, real);   ///< its derivative by each of the sequence's log-probabilities
ROARS_COLUMN(keep, token, part, real);                   ///< 1 = the token's loss counts
ROARS_COLUMN(selected, sequence, part, real);            ///< 1 = the sequence is learnt from
ROARS_COLUMN(penalty_weight, sequence, part, real);      ///< a constant factor of a regularizer's loss
ROARS_COLUMN(token_gradient, token, part, real);         ///< a derivative that was found for the token beforehand
ROARS_COLUMN(penalised, token, part, real);              ///< 1 = the token carries an extra penalty

/// d loss / d Column: what an objective gives.
template <class Column>
struct grad {
    static constexpr std::string_view name = Column::name;
    static constexpr Extent extent = Column::extent;
    static constexpr Origin origin = Origin::part;
    static constexpr Kind kind = Column::kind;
};

}  // namespace col

template <class Column>
inline constexpr bool is_gradient_v = false;
template <class Column>
inline constexpr bool is_gradient_v<col::grad<Column>> = true;

/// What one value of a column is stored as.
template <class Column, class Real>
using value_of = std::conditional_t<Column::kind == Kind::real, Real,
                                    std::conditional_t<Column::kind == Kind::index, std::int32_t, std::int64_t>>;

namespace detail {
template <class Part>
struct needs {
    using type = columns<>;
};
template <class Part>
requires requires { typename Part::needs; }
struct needs<Part> {
    using type = typename Part::needs;
};
template <class Part>
struct gives {
    using type = columns<>;
};
template <class Part>
requires requires { typename Part::gives; }
struct gives<Part> {
    using type = typename Part::gives;
};
}  // namespace detail

/// What a part reads; nothing where it does not say.
template <class Part>
using needs_of = typename detail::needs<Part>::type;
/// What a part writes; nothing where it does not say.
template <class Part>
using gives_of = typename detail::gives<Part>::type;

}  // namespace roars
