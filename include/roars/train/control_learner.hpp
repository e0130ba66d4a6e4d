#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/actors/heads.hpp"
#include "roars/actors/parameters.hpp"
#include "roars/concepts.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/environments/environment.hpp"
#include "roars/networks/perceptron.hpp"
#include "roars/reward/task_inference.hpp"
#include "roars/sampler/balance.hpp"
#include "roars/sampler/contexts.hpp"
#include "roars/sampler/standardise.hpp"
#include "roars/train/returns.hpp"
#include "roars/train/saved_shape.hpp"
#include "roars/train/trainer.hpp"

namespace roars::network {
/// Of roars/networks/recurrent.hpp, which brings Eigen: for a policy with a memory, whose method includes it.
template <class Real>
class Recurrent;
}  // namespace roars::network

namespace roars::train {

/// The policy's network and how it acts.
struct ControlSettings {
    std::int64_t environments = 1;  ///< copies of the world, stepped together
    std::int64_t width = 64;        ///< units of a hidden layer
    std::int64_t layers = 2;        ///< hidden layers
    bool layer_norm = false;        ///< of the hidden layers
    bool tanh = false;              ///< hidden units are tanh; false: relu
    double output_gain = 0.01;      ///< start deviation of the policy's last layer; 0: it begins at exactly 0
    double noise = 0.1;             ///< deviation of the noise on a deterministic action, of half the action's range
    double epsilon_start = 1.0;     ///< share of random actions of a greedy policy at the first step,
    double epsilon_end = 0.05;      ///< and from step
    std::int64_t epsilon_steps = 10000;    ///< on
    std::int64_t quantiles = 1;            ///< of the return of each action; 1: its mean alone
    bool dueling = false;                  ///< action values are a state's value and advantages (arXiv 1511.06581)
    double target_tau = 0.005;             ///< how far the target network follows; 1: it is copied,
    std::int64_t target_every = 1;         ///< in every so-manieth update
    std::int64_t sampled_actions = 10;     ///< where a critic compares actions of a row (CQL: of each of three kinds)
    std::int64_t matched_actions = 4;      ///< of the policy in a state, where several are looked at
    std::int64_t candidates = 100;         ///< the best of so many is done, where a critic chooses among sayings
    double random_range = 1.0;             ///< actions of the random steps lie within +- this
    bool balance_by_state = true;          ///< a policy that reads a balance acts by what the advantage chooses for the
    double balance = 11.0;                 ///< state, where it does; else by this one
    std::int64_t balance_dimensions = 6;   ///< of its encoding, an even number
    double balance_base = 10000.0;         ///< of the encoding's wave lengths
    std::int64_t labelled_states = 10000;  ///< rows of the data whose rewards say what the task is, where one is given
    std::int64_t task_dimensions = 50;     ///< of a task that the policy reads
    std::int64_t context = 32;             ///< steps that a policy with a memory is shown,
    bool repeat_first = true;              ///< before the episode its first one; false: zeros
    std::int64_t memory_units = 64;        ///< of its recurrent network
    std::int64_t evaluation_episodes = 10;
};
ROARS_FIELDS(ControlSettings, environments, width, layers, layer_norm, tanh, output_gain, noise, epsilon_start,
             epsilon_end, epsilon_steps, quantiles, dueling, target_tau, target_every, sampled_actions, matched_actions,
             candidates, random_range, balance_by_state, balance, balance_dimensions, balance_base, labelled_states,
             task_dimensions, context, repeat_first, memory_units, evaluation_episodes)

namespace detail {

template <class Head>
struct head_columns;
template <>
struct head_columns<actor::SquashedGaussian> {
    using type =
        columns<col::policy_action, col::policy_samples, col::policy_logp, col::next_policy_action, col::next_logp,
                col::logp, col::logp_old, col::logp_behaviour, col::sampled_action, col::sampled_logp>;
};
template <bool bounded>
struct head_columns<actor::DiagonalGaussian<bounded>> {
    using type = columns<col::policy_action, col::policy_samples, col::next_policy_action, col::next_logp, col::logp,
                         col::logp_old, col::logp_behaviour, col::entropy>;
};
template <>
struct head_columns<actor::DeterministicAction> {
    using type = columns<col::policy_action, col::next_policy_action, col::next_target_action>;
};
template <class Head>
struct head_columns<actor::Balanced<Head>> {
    using type = unite_t<typename head_columns<Head>::type, columns<col::balanced_action, col::action_by_balance>>;
};
template <class Head>
struct head_columns<actor::ForTask<Head>> : head_columns<Head> {};
template <class Head>
struct head_columns<actor::Remembering<Head>> : head_columns<Head> {};
template <>
struct head_columns<actor::BestOfDraws> {
    using type = columns<col::policy_action, col::policy_samples, col::next_target_action>;
};
template <>
struct head_columns<actor::MovedProposal> {
    using type = columns<col::policy_action, col::next_target_action, col::proposed_action, col::next_proposed_action>;
};
template <>
struct head_columns<actor::ChosenCode> {
    using type = columns<col::policy_action, col::next_target_action>;
};
template <>
struct head_columns<actor::TaskValues> {
    using type = columns<>;
};
template <>
struct head_columns<actor::Categorical> {
    using type = columns<col::logp, col::logp_old, col::logp_behaviour, col::entropy>;
};
template <>
struct head_columns<actor::ActionValues> {
    using type =
        columns<col::q, col::next_action_values, col::next_target_values, col::quantiles, col::next_target_quantiles>;
};

template <class Head>
inline constexpr bool is_action_values = std::is_base_of_v<actor::ActionValues, Head>;
/// A policy without a network: the advantage says what it does.
template <class Head>
inline constexpr bool is_told = std::is_base_of_v<actor::TaskValues, Head>;
/// Its network reads the task beside the state.
template <class Head>
inline constexpr bool reads_task = false;
template <class Head>
inline constexpr bool reads_task<actor::ForTask<Head>> = true;
template <class Head>
inline constexpr bool reads_task<actor::Remembering<Head>> = reads_task<Head>;
/// A policy for any task that is given.
template <class Head>
inline constexpr bool pursues_task = is_told<Head> || reads_task<Head>;
/// What it is shown of a state is a context.
template <class Head>
inline constexpr bool remembers = false;
template <class Head>
inline constexpr bool remembers<actor::Remembering<Head>> = true;
template <class Head>
inline constexpr bool is_diagonal = false;
template <bool bounded>
inline constexpr bool is_diagonal<actor::DiagonalGaussian<bounded>> = true;
template <class Head>
inline constexpr bool is_diagonal<actor::Balanced<Head>> = is_diagonal<Head>;
template <class Head>
inline constexpr bool reads_balance = false;
template <class Head>
inline constexpr bool reads_balance<actor::Balanced<Head>> = true;
/// What the advantage may draw for a row of this policy.
template <class Column, class Head>
inline constexpr bool is_chosen = false;
template <class Head>
inline constexpr bool is_chosen<col::balance, Head> = reads_balance<Head>;
template <class Head>
inline constexpr bool is_chosen<col::task, Head> = pursues_task<Head>;
template <class Head>
inline constexpr bool is_squashed = std::is_base_of_v<actor::SquashedGaussian, Head>;
template <class Head>
inline constexpr bool is_deterministic = std::is_base_of_v<actor::DeterministicAction, Head>;
/// A policy whose sayings the advantage makes actions.
template <class Head>
inline constexpr bool is_carried = requires {
    Head::carried;
};
template <class Head>
inline constexpr bool reads_proposal = std::is_same_v<Head, actor::MovedProposal>;

}  // namespace detail

/// A policy network at work in copies of an environment: takes steps, fills the columns that an actor brings, turns an
/// objective into the gradient of its parameters, and measures itself. Only the columns of the algorithm's batch are
/// computed. A transition is a token; actions of continuous environments are scaled to [-1, 1] in the batch. With
/// `value_head` a network of values stands beside the policy's and is trained by the same objective. An
/// actor::Balanced head reads the balance of each row beside the state; it acts and is measured by the balance that the
/// advantage chooses for the state, or by settings.balance. Of a head that is `carried` the advantage makes actions,
/// and chooses the best of several; before the first iteration it does nothing, the middle of the range. An
/// actor::TaskValues head has no network: the greedy action of the advantage's values for a task is taken. An
/// actor::ForTask head reads the task of each row beside the state, and acts for the one that is pursued. To an
/// actor::Remembering head, and to the advantage with it, a state is the context of its step (sampler::Past), discrete
/// actions one-hot; those of a data set are held in memory.
template <env::Environment Environment, class Head, bool value_head = false>
class ControlLearner {
public:
    using Real = float;
    static constexpr bool continuous = Head::continuous;
    using action_column = std::conditional_t<continuous, col::action, col::token>;
    using gives =
        unite_t<columns<col::state, col::next_state, col::step_reward, col::terminated, col::done, col::mask,
                        col::external, action_column>,
                typename detail::head_columns<Head>::type,
                std::conditional_t<value_head, columns<col::value, col::value_old, col::next_value>, columns<>>>;
    /// What it needs in any batch of its own.
    using keeps = columns<col::mask, col::state, col::next_state, action_column>;
    using minibatches_of_tokens = void;

    using PolicyHead = Head;
    using PolicyNetwork =
        std::conditional_t<detail::remembers<Head>, network::Recurrent<Real>, network::Perceptron<Real>>;
    using Settings = ControlSettings;
    ControlLearner(const Environment& environment, const ControlSettings& settings, std::uint64_t seed)
        : environment_(environment),
          settings_(settings),
          sizes_(env::world_sizes(environment)),
          observation_size_(shown_size()),
          head_(make_head()) {
        expect(settings.environments > 0 && settings.layers >= 0 && settings.width > 0 && settings.quantiles > 0,
               "control settings: environments, width and quantiles are 1 or more, layers 0 or more");
        if constexpr (detail::reads_balance<Head>)
            expect(settings.balance_dimensions > 0 && settings.balance_dimensions % 2 == 0 &&
                       settings.balance_base > 0 && std::isfinite(settings.balance),
                   "control settings: balance_dimensions is an even number, 2 or more, balance_base above 0, balance "
                   "finite");
        if constexpr (!detail::is_told<Head>) {
            policy_ = make_policy();
            add_network(parameters_, policy_, "policy.");
        }
        free_at_ = parameters_.size();
        if (head_.free_parameters() > 0) parameters_.add("policy.log_deviation", {head_.free_parameters()});
        if constexpr (value_head) {
            value_at_ = parameters_.size();
            value_ = network::Perceptron<Real>(shape(observation_size_, 1, network::Activation::identity, 1.0));
            add_network(parameters_, value_, "value.");
            value_.initialise(part(parameters_.values(), value_at_, value_), seed, 1);
        }
        if constexpr (!detail::is_told<Head>) policy_.initialise(part(parameters_.values(), 0, policy_), seed, 0);
        auto values = std::as_const(parameters_).values();
        target_.assign(values.begin(), values.begin() + policy_.parameters());
        for (std::int64_t e = 0; e < settings.environments; ++e) {
            episodes_.push_back(env::Episode<Environment>::of(seed, static_cast<std::uint32_t>(e)));
            episodes_.back().reset(environment_);
            pasts_.push_back(no_past());
            look(environment_, episodes_.back(), pasts_.back(), true);
        }
    }

    actor::Parameters<Real>& parameters() { return parameters_; }
    const actor::Parameters<Real>& parameters() const { return parameters_; }
    const Environment& environment() const { return environment_; }
    const ControlSettings& settings() const { return settings_; }

    /// From now on it acts and is measured as this member of its family. Errors: a balance that is not finite.
    void act_by(double balance) requires detail::reads_balance<Head> {
        expect(std::isfinite(balance), "control: the balance to act by is not finite");
        settings_.balance = balance;
        settings_.balance_by_state = false;
    }
    void act_by_state() requires detail::reads_balance<Head> { settings_.balance_by_state = true; }

    /// From now on it acts by what the advantage has learnt, where its head asks for that.
    template <class RunType, class Advantage, class State>
    void guided_by([[maybe_unused]] RunType& run, [[maybe_unused]] const Advantage& advantage,
                   [[maybe_unused]] State& state) {
        [[maybe_unused]] const std::uint64_t seed = run.random.seed();
        if constexpr (detail::remembers<Head>)
            expect(advantage.memory.length == settings_.context, [&] {
                return "control: the advantage reads contexts of " + std::to_string(advantage.memory.length) +
                       " steps, expected control.context, " + std::to_string(settings_.context);
            });
        if constexpr (detail::is_told<Head>) {
            expect(advantage.acts.count == head_.width, [&] {
                return "control: the advantage values " + std::to_string(advantage.acts.count) +
                       " actions, expected the world's " + std::to_string(head_.width);
            });
            values_of_ = [&, seed, width = observation_size_](std::span<const Real> states, std::span<const Real> task,
                                                              std::span<Real> q) {
                advantage.template values<Real>(state, seed, {states, width}, task, {q, advantage.acts.count});
            };
        }
        if constexpr (detail::reads_task<Head>)
            expect(advantage.dimensions == settings_.task_dimensions, [&] {
                return "control: tasks of " + std::to_string(advantage.dimensions) +
                       " numbers, expected control.task_dimensions, " + std::to_string(settings_.task_dimensions);
            });
        if constexpr (detail::pursues_task<Head>) {
            task_width_ = advantage.dimensions;
            represent_ = [&, seed, width = observation_size_](std::span<const Real> states) {
                return advantage.template representations<Real>(state, seed, {states, width});
            };
            drawn_by(run, advantage, state);
        } else if constexpr (detail::is_carried<Head>) {
            propose_ = [&, width = observation_size_](const Random& random, std::uint32_t which,
                                                      std::span<const Real> states, std::int64_t samples,
                                                      std::span<Real> to) {
                advantage.propose(state, random, which, states, width, samples, to);
            };
            carry_out_ = [&, seed, width = observation_size_](std::span<const Real> states, std::int64_t samples,
                                                              std::span<const Real> proposed,
                                                              std::span<const Real> said, std::span<Real> to) {
                advantage.act(state, seed, states, width, samples, proposed, said, to);
            };
        } else if constexpr (detail::reads_balance<Head>) {
            if constexpr (requires(std::span<const Real> states, std::span<Real> to) {
                              advantage.guide(state, seed, states, observation_size_, to);
                          }) {
                balance_to_act_ = [&, seed, width = observation_size_](std::span<const Real> states,
                                                                       std::span<Real> to) {
                    advantage.guide(state, seed, states, width, to);
                };
                drawn_by(run, advantage, state);
            }
        }
    }

    /// The task from now on, a vector of norm sqrt(d); that of a goal to be reached, by its observation; that of
    /// rewards of the data's rows, the data's own or others, each at the state that was reached. Before the first
    /// iteration there is nothing to ask.
    void pursue(std::span<const Real> task) requires detail::pursues_task<Head> {
        task_.assign(task.begin(), task.end());
    }
    void pursue_goal(std::span<const Real> observation) requires detail::pursues_task<Head> {
        std::vector<Real> goal(observation.begin(), observation.end());
        if constexpr (detail::remembers<Head>) {
            auto past = no_past();
            past.begin(observation);
            goal.assign(past.context().begin(), past.context().end());
        }
        show(goal);
        pursue(reward::task_of_goal(representations(goal)[0]));
    }
    void pursue_rewards() requires detail::pursues_task<Head> { pursue_rewards(data_.reward); }
    void pursue_rewards(std::span<const Real> reward) requires detail::pursues_task<Head> {
        const auto rows =
            static_cast<std::size_t>(std::min<std::int64_t>(settings_.labelled_states, std::ssize(reward)));
        auto states = std::span<const Real>(data_.next_state).first(rows * std::size_t(observation_size_));
        backend::Host host;
        pursue(reward::task_of_rewards(host, representations(states), reward.first(rows)));
    }
    /// What the advantage says of every action for the task, of states as the batch has them.
    /// Shapes: states [rows x observation] -> [rows x actions].
    std::span<const Real> task_values(std::span<const Real> states) requires detail::is_told<Head> {
        told_.assign(
            states.size() / static_cast<std::size_t>(observation_size_) * static_cast<std::size_t>(head_.width),
            Real(0));
        if (values_of_ != nullptr && !task_.empty()) values_of_(states, task_, told_);
        return told_;
    }

    /// What it has done, saved in the checkpoint.
    struct Position {
        std::int64_t steps = 0, episodes = 0, updates = 0;
        std::int64_t recent_episodes = 0;  ///< that ended since the last report
        double recent_returns = 0;
    };
    ROARS_MEMBERS(Position, steps, episodes, updates, recent_episodes, recent_returns)
    Position position;

    /// The mean return of the episodes that ended since it was asked last; false if none did.
    bool take_recent_return(double& mean) {
        if (position.recent_episodes == 0) return false;
        mean = position.recent_returns / double(position.recent_episodes);
        position.recent_episodes = 0;
        position.recent_returns = 0;
        return true;
    }

    /// `steps` steps of every environment into a batch of one stream an environment. Where an episode ends the next one
    /// begins in the same stream; next_state is what was seen before that.
    template <class RunType, class BatchType>
    void roll_steps(RunType& run, BatchType& batch, std::int64_t steps, bool at_random) {
        const std::int64_t copies = settings_.environments;
        offsets_.resize(static_cast<std::size_t>(copies) + 1);
        for (std::int64_t e = 0; e <= copies; ++e) offsets_[static_cast<std::size_t>(e)] = e * steps;
        batch.reshape(offsets_);
        set_widths(batch);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        say_external(batch, Real(0));
        seen_.resize(static_cast<std::size_t>(copies * observation_size_));
        for (std::int64_t t = 0; t < steps; ++t) {
            for (std::int64_t e = 0; e < copies; ++e) observe(e, row(seen_, e, observation_size_));
            choose(run, t, at_random);
            for (std::int64_t e = 0; e < copies; ++e) step_one(batch, e, e * steps + t);
            position.steps += copies;
        }
    }

    /// From now on all states are shown standardised (sampler::Standardise) by the moments of the first data set that
    /// it learns from: those of rows, of worlds, of goals.
    void standardise() {
        if (std::exchange(standardises_, true)) return;
        if (!data_.reward.empty()) take_moments();
    }
    const sampler::StateMoments& moments() const { return moments_; }

    /// From now on rows are drawn from `data`: columns state, action, reward, next_state, terminated, truncated, as of
    /// data::Transitions, actions in the environment's own range. Errors: no rows, sizes that are not the
    /// environment's.
    template <class Transitions>
    void learn_from(const Transitions& data) {
        data_ = rows_of(data);
        if (standardises_ && moments_.mean.empty()) take_moments();
    }
    /// The same of an expert's rows, beside which there may be others.
    template <class Transitions>
    void learn_from_demonstrations(const Transitions& data) {
        demonstrations_ = rows_of(data);
    }
    /// `count` rows of the data, each drawn with the same probability.
    template <class RunType, class BatchType>
    void draw_rows(RunType& run, BatchType& batch, std::int64_t count) {
        draw_from(data_, 0, run, batch, count, 1);
    }
    /// The same of the demonstrations, each row with up to `horizon` - 1 that followed it in its episode, which are not
    /// trainable. `external` is 1 for these rows alone.
    template <class RunType, class BatchType>
    void demonstrate(RunType& run, BatchType& batch, std::int64_t count, std::int64_t horizon = 1) {
        draw_from(demonstrations_, 1, run, batch, count, horizon);
    }
    /// Gives every row of a batch what the advantage draws for its state: a balance, a task.
    template <class BatchType, class Column>
    void choose(BatchType& batch, Column column) requires detail::is_chosen<Column, Head> {
        ask_for_draws(std::as_const(batch)[col::state{}], batch[column]);
    }
    /// All rows of the data, in their order, as one sequence.
    template <class BatchType>
    void all_rows(BatchType& batch) const {
        const std::int64_t whole[] = {0, std::ssize(data_.reward)};
        batch.reshape(whole);
        set_widths(batch);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        for (std::int64_t t = 0; t < batch.tokens(); ++t) put_row(data_, t, batch, t);
    }

    /// Fills what the actor says before the policy's update; what only that update reads is left out where it is not
    /// `due`.
    template <class RunType, class BatchType>
    void refresh(RunType& run, BatchType& batch, bool due) {
        fresh_ = nullptr;
        set_widths(batch);
        if (batch.tokens() == 0) return;
        fill_next(run, batch);
        if constexpr (BatchType::template has<col::proposed_action>)
            propose_(run.random, 6, std::as_const(batch)[col::state{}], 1, batch[col::proposed_action{}]);
        if constexpr (value_head) fill_values(batch);
        if constexpr (BatchType::template has<col::sampled_action>) fill_samples(run, batch);
        if constexpr (BatchType::template has<col::balanced_action>) fill_balanced(run, batch);
        constexpr bool old = BatchType::template has<col::logp_old>, acts = BatchType::template has<col::policy_action>;
        if (!due) return;
        constexpr bool values = BatchType::template has<col::quantiles> ||
                                (BatchType::template has<col::q> && detail::is_action_values<Head>);
        if constexpr (old || acts || values || BatchType::template has<col::logp>)
            out_ = policy_.forward(policy_values(), policy_reads(std::as_const(batch)));
        if constexpr (old) say_logp(batch, batch[col::logp_old{}], std::span<Real>());
        if constexpr (acts) act_again(run, batch);
        if constexpr (values) say_values(batch);
        fresh_ = &batch;
    }

    /// Loss of the batch, its gradient added to the parameters'. Actions of the policy itself are those of refresh.
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch) {
        constexpr bool acts = BatchType::template has<col::grad<col::policy_action>> ||
                              BatchType::template has<col::grad<col::policy_logp>>;
        constexpr bool says =
            BatchType::template has<col::grad<col::logp>> || BatchType::template has<col::grad<col::entropy>>;
        static_assert(
            !acts || !detail::is_diagonal<Head>,
            "roars: this policy's actions are not differentiated: take SquashedGaussian or DeterministicAction");
        expect(!acts || fresh_ == &batch,
               "control: actions of the policy are differentiated in one update a batch: expected "
               "optimizer.epochs = 1 and optimizer.minibatches = 1");
        if (fresh_ != &batch) out_ = policy_.forward(policy_values(), policy_reads(std::as_const(batch)));
        if constexpr (says) {
            if constexpr (BatchType::template has<col::entropy>)
                say_logp(batch, logp_of(batch), batch[col::entropy{}]);
            else
                say_logp(batch, logp_of(batch), std::span<Real>());
        }
        if constexpr (detail::is_action_values<Head>) say_values(batch);
        if constexpr (BatchType::template has<col::grad<col::value>>) {
            auto value = value_.forward(value_values(), std::as_const(batch)[col::state{}]);
            std::copy(value.begin(), value.end(), batch[col::value{}].begin());
        }
        auto result = algorithm.objective(run, state, batch);
        differentiate(batch);
        fresh_ = nullptr;
        return result;
    }

    /// Behind an iteration: the target network follows.
    template <class RunType>
    void after_iteration(RunType& run, bool due) {
        if (!due || !learnt_) return;
        learnt_ = false;
        ++position.updates;
        critic::Periodic{settings_.target_every, {settings_.target_tau}}.follow(
            run.backend, position.updates, policy_values(), std::span<Real>(target_));
    }

    /// Whole episodes in worlds of their own, without exploration: the same ones whenever it is asked.
    template <class RunType>
    Returns evaluate(RunType& run) {
        if constexpr (detail::pursues_task<Head>)
            if (task_.empty() && represent_ != nullptr) {
                pursue_rewards();
                auto returns = evaluate(run);
                task_.clear();
                return returns;
            }
        const Original& world = env::original(environment_);
        auto worlds = evaluation_worlds(world, run.random.seed(), settings_.evaluation_episodes);
        std::vector<char> living(worlds.size(), 1);
        std::vector<Real> seen(worlds.size() * observation_size_), action(std::size_t(head_.width));
        std::vector<sampler::Past<Real>> pasts(worlds.size(), no_past());
        const std::int64_t longest = longest_episode(world);
        for (std::int64_t t = 0; t < longest; ++t) {
            for (std::size_t e = 0; e < worlds.size(); ++e) {
                if (living[e]) look(world, worlds[e], pasts[e], t == 0);
                see(world, worlds[e], pasts[e], row(seen, std::int64_t(e), observation_size_));
            }
            show(seen);
            std::span<const Real> out;
            if constexpr (detail::is_carried<Head>)
                out = carried_actions(Random(run.random.seed(), Purpose::evaluate, at_evaluation),
                                      static_cast<std::uint32_t>(t), seen);
            else
                out = says(std::span<const Real>(seen));
            bool any = false;
            for (std::size_t e = 0; e < worlds.size(); ++e) {
                if (!living[e]) continue;
                living[e] = !act_best(out, e, action, worlds[e], pasts[e]).terminated;
                any = any || living[e];
            }
            if (!any) break;
        }
        fresh_ = nullptr;
        return returns_of(worlds);
    }

    void write(Tensors& file) const {
        parameters_.write(file);
        if constexpr (acts_by_itself)
            SavedShape{policy_.settings(), head_.width, detail::is_squashed<Head>}.write(file);
        file.put<Real>("target_policy", {std::ssize(target_)}, target_);
        auto words = words_of_episodes();
        file.put<std::int64_t>("episodes", {std::ssize(words)}, words);
        if constexpr (detail::remembers<Head>)
            for (std::size_t e = 0; e < pasts_.size(); ++e) pasts_[e].write(file, "past." + std::to_string(e));
        write_moments(file, moments_);
    }
    void read(const Tensors& file) {
        parameters_.read(file);
        file.get<Real>("target_policy", {std::ssize(target_)}, std::span<Real>(target_));
        auto words = words_of_episodes();
        file.get<std::int64_t>("episodes", {std::ssize(words)}, std::span<std::int64_t>(words));
        for (std::size_t e = 0; e < episodes_.size(); ++e)
            take_words(episodes_[e], words.data() + e * words_an_episode);
        if constexpr (detail::remembers<Head>)
            for (std::size_t e = 0; e < pasts_.size(); ++e) pasts_[e].read(file, "past." + std::to_string(e));
        read_moments(file, observation_size_, moments_);
    }

private:
    using Original = env::OriginalOf<Environment>;
    using World = env::Episode<Environment>;
    static_assert(std::is_trivially_copyable_v<typename Environment::State>);
    /// What the policy's network says of a state is an action, whatever the advantage has learnt.
    static constexpr bool acts_by_itself = continuous && !detail::is_carried<Head> && !detail::reads_balance<Head> &&
                                           !detail::reads_task<Head> && !detail::remembers<Head>;
    /// State, position of the random stream, steps, return. The stream itself is that of seed and copy.
    static constexpr std::size_t state_words = (sizeof(typename Environment::State) + 7) / 8;
    static constexpr std::size_t words_an_episode = state_words + 3;
    /// Of the numbers of Purpose::evaluate, those that draw actions; episodes have others.
    static constexpr std::uint32_t at_evaluation = 0x80000000u;

    Head make_head() const {
        Head head;
        head.width = sizes_.action;
        if constexpr (detail::is_action_values<Head>) {
            head.quantiles = settings_.quantiles;
            head.dueling = settings_.dueling;
        }
        return head;
    }
    network::PerceptronSettings shape(std::int64_t inputs, std::int64_t outputs, network::Activation output,
                                      double gain) const {
        network::PerceptronSettings shape;
        shape.widths.push_back(inputs);
        shape.widths.insert(shape.widths.end(), static_cast<std::size_t>(settings_.layers), settings_.width);
        shape.widths.push_back(outputs);
        shape.activation = settings_.tanh ? network::Activation::tanh : network::Activation::relu;
        shape.output = output;
        shape.layer_norm = settings_.layer_norm;
        shape.output_gain = detail::is_action_values<Head> ? 1.0 : gain;
        return shape;
    }
    PolicyNetwork make_policy() const {
        auto rest = [&](std::int64_t inputs) {
            return shape(inputs, head_.outputs(), Head::output, settings_.output_gain);
        };
        if constexpr (detail::remembers<Head>)
            return PolicyNetwork({.step_width = step_size(),
                                  .shown = settings_.context,
                                  .read = settings_.context,
                                  .units = settings_.memory_units,
                                  .rest = rest(settings_.memory_units + policy_inputs() - observation_size_)});
        else
            return PolicyNetwork(rest(policy_inputs()));
    }
    std::int64_t policy_inputs() const {
        return observation_size_ + (detail::reads_balance<Head>    ? settings_.balance_dimensions
                                    : detail::reads_task<Head>     ? settings_.task_dimensions
                                    : detail::reads_proposal<Head> ? head_.width
                                                                   : 0);
    }
    /// Of one step of a context: what is observed, what is done.
    std::int64_t step_size() const { return sizes_.observation + sizes_.action; }
    std::int64_t shown_size() const {
        return detail::remembers<Head> ? settings_.context * step_size() : sizes_.observation;
    }
    sampler::Past<Real> no_past() const {
        if constexpr (detail::remembers<Head>)
            return {settings_.context, sizes_.observation, sizes_.action, settings_.repeat_first};
        else
            return {};
    }
    /// A world's newest observation into its past, where there is one: behind a reset, or behind a step.
    template <class Any, class AnyEpisode>
    void look([[maybe_unused]] const Any& world, [[maybe_unused]] const AnyEpisode& episode,
              [[maybe_unused]] sampler::Past<Real>& past, [[maybe_unused]] bool first) const {
        if constexpr (detail::remembers<Head>) {
            std::vector<Real> newest(static_cast<std::size_t>(sizes_.observation));
            world.observe(episode.state, std::span<Real>(newest));
            if (first)
                past.begin(newest);
            else
                past.see(newest);
        }
    }
    /// What is seen of a world: its observation, or its context.
    template <class Any, class AnyEpisode>
    static void see(const Any& world, const AnyEpisode& episode, [[maybe_unused]] const sampler::Past<Real>& past,
                    std::span<Real> to) {
        if constexpr (detail::remembers<Head>)
            std::copy(past.context().begin(), past.context().end(), to.begin());
        else
            world.observe(episode.state, to);
    }
    /// What is done, an action in [-1, 1] or its number, into a past, where there is one.
    void remember([[maybe_unused]] sampler::Past<Real>& past, [[maybe_unused]] std::span<const Real> action) const {
        if constexpr (detail::remembers<Head> && continuous) {
            past.act(action);
        } else if constexpr (detail::remembers<Head>) {
            std::vector<Real> one_hot(static_cast<std::size_t>(sizes_.action));
            one_hot[static_cast<std::size_t>(action[0])] = Real(1);
            past.act(one_hot);
        }
    }
    void remember(sampler::Past<Real>& past, std::int32_t action) const {
        const Real number = static_cast<Real>(action);
        remember(past, std::span(&number, 1));
    }
    template <class RunType, class Advantage, class State>
    void drawn_by(RunType& run, const Advantage& advantage, State& state) {
        draw_ = [&, random = run.random, progress = run.progress, host = &run.backend, width = observation_size_](
                    std::span<const Real> states, std::span<Real> to) {
            Run again{*host, random, progress};
            advantage.draw(again, state, states, width, to);
        };
    }
    /// What the policy reads: the states of the batch, each with its row's balance where the head reads one. Valid
    /// until it is asked again.
    template <class BatchType>
    requires requires(const BatchType& batch) { batch.tokens(); }
    std::span<const Real> policy_reads(const BatchType& batch) {
        if constexpr (detail::reads_balance<Head>) {
            std::span<const Real> balance = batch[col::balance{}];
            return with_balance(batch[col::state{}], [&](std::size_t r) { return double(balance[r]); });
        } else if constexpr (detail::reads_task<Head>) {
            return with_tasks(batch[col::state{}], batch[col::task{}]);
        } else if constexpr (detail::reads_proposal<Head>) {
            return critic::join_rows<Real>(batch[col::state{}], observation_size_, batch[col::proposed_action{}],
                                           head_.width, read_);
        } else {
            return batch[col::state{}];
        }
    }
    /// The same of the states that come next: by the row's task, or by the balance of the next state.
    template <class BatchType>
    std::span<const Real> reads_next(const BatchType& batch) {
        if constexpr (detail::reads_task<Head>)
            return with_tasks(batch[col::next_state{}], batch[col::task{}]);
        else
            return policy_reads(batch[col::next_state{}]);
    }
    /// The same of states to act in.
    std::span<const Real> policy_reads(std::span<const Real> states) {
        if constexpr (detail::reads_balance<Head>) {
            if (!settings_.balance_by_state || balance_to_act_ == nullptr)
                return with_balance(states, [&](std::size_t) { return settings_.balance; });
            chosen_.resize(states.size() / static_cast<std::size_t>(observation_size_));
            balance_to_act_(states, chosen_);
            return with_balance(states, [&](std::size_t r) { return double(chosen_[r]); });
        } else if constexpr (detail::reads_task<Head>) {
            chosen_ = task_;
            chosen_.resize(static_cast<std::size_t>(settings_.task_dimensions));
            const std::int64_t rows = std::ssize(states) / observation_size_;
            return with_tasks(states, critic::repeat_rows<Real>(chosen_, settings_.task_dimensions, rows, repeated_));
        } else {
            return states;
        }
    }
    std::span<const Real> with_tasks(std::span<const Real> states, std::span<const Real> tasks) {
        return critic::join_rows<Real>(states, observation_size_, tasks, settings_.task_dimensions, read_);
    }
    /// What the policy's network says of states to act in, or the advantage in its place.
    std::span<const Real> says(std::span<const Real> states) {
        if constexpr (detail::is_told<Head>)
            return task_values(states);
        else
            return policy_.forward(policy_values(), policy_reads(states));
    }
    template <class BalanceOf>
    std::span<const Real> with_balance(std::span<const Real> states, BalanceOf&& balance_of) {
        const auto own = static_cast<std::size_t>(observation_size_), all = static_cast<std::size_t>(policy_inputs()),
                   rows = states.size() / own;
        read_.resize(rows * all);
        for (std::size_t r = 0; r < rows; ++r) {
            auto to = std::span<Real>(read_).subspan(r * all, all);
            std::copy_n(states.begin() + std::int64_t(r * own), own, to.begin());
            sampler::encode_balance(balance_of(r), settings_.balance_base, to.subspan(own));
        }
        return read_;
    }
    template <class Element, class Network>
    static std::span<Element> part(std::span<Element> all, std::int64_t at, const Network& network) {
        return all.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(network.parameters()));
    }
    std::span<const Real> policy_values() const { return part(parameters_.values(), 0, policy_); }
    std::span<const Real> value_values() const { return part(parameters_.values(), value_at_, value_); }
    std::span<const Real> free_values() const {
        return parameters_.values().subspan(static_cast<std::size_t>(free_at_),
                                            static_cast<std::size_t>(head_.free_parameters()));
    }
    std::span<Real> free_gradients() {
        return parameters_.gradients().subspan(static_cast<std::size_t>(free_at_),
                                               static_cast<std::size_t>(head_.free_parameters()));
    }
    static std::span<Real> row(std::vector<Real>& values, std::int64_t i, std::int64_t width) {
        return std::span<Real>(values).subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
    }

    template <class BatchType>
    void set_widths(BatchType& batch) const {
        auto set = [&]<class Column>(Column column, std::int64_t width) {
            if constexpr (BatchType::template has<Column>) batch.set_width(column, width);
        };
        set(col::state{}, observation_size_);
        set(col::next_state{}, observation_size_);
        if constexpr (detail::pursues_task<Head>) set(col::task{}, task_width_);
        if constexpr (continuous) {
            set(col::action{}, head_.width);
            const std::int64_t said = said_width(), candidates = detail::is_carried<Head> ? candidates_of_next() : 1;
            set(col::policy_action{}, said);
            set(col::policy_samples{}, settings_.matched_actions * said);
            set(col::proposed_action{}, head_.width);
            set(col::next_proposed_action{}, candidates * head_.width);
            set(col::balanced_action{}, head_.width);
            set(col::action_by_balance{}, head_.width);
            set(col::next_policy_action{}, head_.width);
            set(col::next_target_action{}, candidates * said);
            set(col::sampled_action{}, 3 * settings_.sampled_actions * head_.width);
            set(col::sampled_logp{}, 3 * settings_.sampled_actions);
        } else if constexpr (detail::is_action_values<Head>) {
            set(col::next_action_values{}, head_.width);
            set(col::next_target_values{}, head_.width);
            set(col::quantiles{}, head_.quantiles);
            set(col::next_target_quantiles{}, head_.width * head_.quantiles);
        }
    }

    /// How many numbers the policy says, which need not be an action.
    std::int64_t said_width() const {
        if constexpr (detail::is_deterministic<Head>)
            return head_.outputs();
        else
            return head_.width;
    }
    /// A policy that neither draws nor reads a draw says one thing of a state.
    static constexpr bool says_several = detail::reads_proposal<Head> || !detail::is_deterministic<Head>;
    std::int64_t candidates_of_next() const { return says_several ? settings_.sampled_actions : 1; }

    /// What the policy with these parameters says of each state, `count` times, side by side, and the proposals that it
    /// read. Shapes: states [rows x observation] -> proposed [rows x count x width], said [rows x count x said].
    void say_several(std::span<const Real> parameters, const Random& random, std::uint32_t which,
                     std::span<const Real> states, std::int64_t count, std::span<Real> proposed, std::span<Real> said) {
        if constexpr (detail::reads_proposal<Head>) {
            propose_(random, which, states, count, proposed);
            auto repeated = critic::repeat_rows<Real>(states, observation_size_, count, repeated_);
            head_.mode(
                std::span<const Real>(policy_.forward(
                    parameters, critic::join_rows<Real>(repeated, observation_size_, proposed, head_.width, read_))),
                said);
        } else if constexpr (detail::is_deterministic<Head>) {
            head_.mode(std::span<const Real>(policy_.forward(parameters, states)), said);
        } else {
            draw_several(policy_.forward(parameters, states), random, which, count, noise_, said);
        }
    }
    /// `count` draws of each row, side by side, and the noise that they were made of, draw by draw.
    void draw_several(std::span<const Real> out, const Random& random, std::uint32_t which, std::int64_t count,
                      std::vector<Real>& noise, std::span<Real> said) {
        const auto width = static_cast<std::size_t>(head_.width), times = static_cast<std::size_t>(count),
                   rows = said.size() / (times * width);
        noise.resize(said.size());
        fill_normal(random.of(Purpose::noise), which, std::span<Real>(noise));
        drawn_.resize(rows * width);
        logp_.resize(rows);
        for (std::size_t k = 0; k < times; ++k) {
            head_.sample(out, free_values(), std::span<const Real>(noise).subspan(k * rows * width, rows * width),
                         std::span<Real>(drawn_), std::span<Real>(logp_));
            for (std::size_t r = 0; r < rows; ++r)
                std::copy_n(drawn_.begin() + std::int64_t(r * width), width,
                            said.begin() + std::int64_t((r * times + k) * width));
        }
    }
    /// What is done in these states: an action each.
    std::span<const Real> carried_actions(const Random& random, std::uint32_t which, std::span<const Real> states) {
        const std::int64_t rows = std::ssize(states) / observation_size_,
                           count = says_several ? settings_.candidates : 1;
        told_.assign(static_cast<std::size_t>(rows * head_.width), Real(0));
        if (carry_out_ == nullptr) return told_;
        candidates_.resize(static_cast<std::size_t>(rows * count * said_width()));
        proposals_.resize(detail::reads_proposal<Head> ? static_cast<std::size_t>(rows * count * head_.width) : 0);
        say_several(policy_values(), random, which, states, count, proposals_, candidates_);
        carry_out_(states, count, proposals_, candidates_, told_);
        return told_;
    }

    void observe(std::int64_t copy, std::span<Real> to) const {
        const auto e = static_cast<std::size_t>(copy);
        see(environment_, episodes_[e], pasts_[e], to);
        show(to);
    }
    /// States in the units of the policy.
    void show(std::span<Real> states) const {
        if (moments_.mean.empty()) return;
        backend::Host host;
        sampler::Standardise{}.apply(host, moments_, critic::Rows<Real>{states, observation_size_});
    }
    void take_moments() {
        backend::Host host;
        moments_ = sampler::Standardise{}.moments_of(host, critic::Rows<const Real>{data_.state, observation_size_});
        for (Rows* rows : {&data_, &demonstrations_}) show(rows->state), show(rows->next_state);
    }

    /// Actions for what was seen, into actions_ or tokens_, and their log-probabilities into acted_logp_.
    template <class RunType>
    void choose(RunType& run, std::int64_t t, bool at_random) {
        const auto copies = static_cast<std::size_t>(settings_.environments);
        const Random random = run.random.of(Purpose::sample);
        const auto sequence = static_cast<std::uint32_t>(t);
        acted_logp_.assign(copies, Real(0));
        if constexpr (continuous) {
            actions_.resize(copies * std::size_t(head_.width));
            if (at_random) {
                for (std::size_t i = 0; i < actions_.size(); ++i)
                    actions_[i] = static_cast<Real>(settings_.random_range) *
                                  (Real(2) * random.uniform<Real>(sequence, std::uint32_t(i)) - Real(1));
                return;
            }
            if constexpr (detail::is_carried<Head>) {
                auto action = carried_actions(random, sequence, seen_);
                std::copy(action.begin(), action.end(), actions_.begin());
                return;
            }
            auto out = std::span<const Real>(says(std::span<const Real>(seen_)));
            noise_.resize(actions_.size());
            fill_normal(random, sequence, std::span<Real>(noise_));
            if constexpr (detail::is_deterministic<Head>) {
                head_.mode(out, std::span<Real>(actions_));
                for (std::size_t i = 0; i < actions_.size(); ++i)
                    actions_[i] = std::clamp(actions_[i] + Real(settings_.noise) * noise_[i], Real(-1), Real(1));
            } else {
                head_.sample(out, free_values(), std::span<const Real>(noise_), std::span<Real>(actions_),
                             std::span<Real>(acted_logp_));
            }
        } else {
            tokens_.resize(copies);
            auto out = std::span<const Real>(says(std::span<const Real>(seen_)));
            for (std::size_t e = 0; e < copies; ++e) tokens_[e] = choose_one(out, e, random, sequence, at_random);
            if constexpr (std::is_same_v<Head, actor::Categorical>)
                head_.log_probability(out, free_values(), std::span<const std::int32_t>(tokens_),
                                      std::span<Real>(acted_logp_), std::span<Real>());
        }
    }
    std::int32_t choose_one(std::span<const Real> out, std::size_t e, const Random& random, std::uint32_t sequence,
                            bool at_random) {
        double u = random.uniform(sequence, static_cast<std::uint32_t>(2 * e));
        auto any = static_cast<std::int32_t>(std::min<std::int64_t>(
            static_cast<std::int64_t>(random.uniform(sequence, static_cast<std::uint32_t>(2 * e + 1)) *
                                      double(head_.width)),
            head_.width - 1));
        if (at_random) return any;
        const auto width = static_cast<std::size_t>(head_.outputs());
        auto own = out.subspan(e * width, width);
        if constexpr (detail::is_action_values<Head>)
            return u < epsilon() ? any : best_of(own);
        else
            return head_.draw(own, u);
    }
    double epsilon() const {
        double share =
            settings_.epsilon_steps > 0 ? std::min(1.0, double(position.steps) / double(settings_.epsilon_steps)) : 1.0;
        return settings_.epsilon_start + share * (settings_.epsilon_end - settings_.epsilon_start);
    }
    std::int32_t best_of(std::span<const Real> out) {
        if constexpr (detail::is_action_values<Head>) {
            row_values_.resize(static_cast<std::size_t>(head_.width * head_.quantiles));
            head_.values(out, std::span<Real>(row_values_));
            return head_.best(std::span<const Real>(row_values_));
        } else {
            return head_.best(out);
        }
    }

    void scale(std::span<const Real> action, std::span<Real> to) const {
        if constexpr (continuous) to_environment(environment_, action, to);
    }

    void ask_for_draws(std::span<const Real> states, std::span<Real> to) const {
        expect(draw_ != nullptr,
               "control: no advantage draws a balance or a task, expected advantage::StateBalance or "
               "critic::ForwardBackwardModel");
        draw_(states, to);
    }
    critic::Rows<const Real> representations(std::span<const Real> states) const {
        expect(represent_ != nullptr, "control: a task is asked for before the first iteration");
        return represent_(states);
    }
    /// The balance that the advantage draws for each state, the action by it, and how that action moves with it.
    template <class RunType, class BatchType>
    void fill_balanced(RunType& run, BatchType& batch) {
        const auto& read = std::as_const(batch);
        const auto rows = static_cast<std::size_t>(batch.tokens()), width = static_cast<std::size_t>(head_.width),
                   own = static_cast<std::size_t>(observation_size_),
                   encoded = static_cast<std::size_t>(settings_.balance_dimensions);
        drawn_balance_.resize(rows);
        ask_for_draws(read[col::state{}], drawn_balance_);
        auto said =
            policy_.forward(policy_values(),
                            with_balance(read[col::state{}], [&](std::size_t r) { return double(drawn_balance_[r]); }));
        out_copy_.assign(said.begin(), said.end());
        std::span<const Real> out(out_copy_);
        auto action = batch[col::balanced_action{}], moves = batch[col::action_by_balance{}];
        noise_.resize(action.size());
        logp_.resize(rows);
        fill_normal(run.random.of(Purpose::noise), 3, std::span<Real>(noise_));
        head_.sample(out, free_values(), std::span<const Real>(noise_), action, std::span<Real>(logp_));
        auto& [one, by_out, by_read, slope] = balanced_;
        one.resize(action.size()), by_out.resize(out.size());
        by_read.resize(rows * (own + encoded)), slope.resize(encoded);
        for (std::size_t j = 0; j < width; ++j) {
            std::fill(one.begin(), one.end(), Real(0));
            for (std::size_t r = 0; r < rows; ++r) one[r * width + j] = Real(1);
            std::fill(by_out.begin(), by_out.end(), Real(0));
            if constexpr (detail::is_squashed<Head>)
                head_.d_sample(out, free_values(), std::span<const Real>(noise_), std::span<const Real>(action),
                               std::span<const Real>(one), std::span<const Real>(), std::span<Real>(by_out),
                               free_gradients());
            else  // the mean moves the action as far as it moves
                std::copy(one.begin(), one.end(), by_out.begin());
            policy_.backward_inputs(policy_values(), by_out, by_read);
            for (std::size_t r = 0; r < rows; ++r) {
                sampler::encoded_balance_slope(double(drawn_balance_[r]), settings_.balance_base, std::span(slope));
                Real sum = 0;
                for (std::size_t i = 0; i < encoded; ++i) sum += by_read[r * (own + encoded) + own + i] * slope[i];
                moves[r * width + j] = sum;
            }
        }
        if constexpr (detail::is_diagonal<Head>)  // what is clipped does not move
            for (std::size_t i = 0; i < action.size(); ++i) {
                if (action[i] < Real(-1) || action[i] > Real(1)) moves[i] = Real(0);
                action[i] = std::clamp(action[i], Real(-1), Real(1));
            }
    }

    struct Rows {
        std::vector<Real> state, action, reward, next_state, terminated, done;
    };
    template <class Transitions>
    Rows rows_of(const Transitions& data) const {
        const auto count = static_cast<std::size_t>(data.rows());
        expect_rows_of(data, sizes_.observation, continuous ? head_.width : 1);
        Rows rows;
        rows.state.assign(data.state.begin(), data.state.end());
        rows.next_state.assign(data.next_state.begin(), data.next_state.end());
        rows.reward.assign(data.reward.begin(), data.reward.end());
        rows.action.resize(data.action.size());
        for (std::size_t i = 0; i < data.action.size(); ++i) rows.action[i] = unscaled(Real(data.action[i]));
        rows.terminated.assign(data.terminated.begin(), data.terminated.end());
        rows.done.resize(count);
        for (std::size_t i = 0; i < count; ++i) rows.done[i] = Real(data.terminated[i] || data.truncated[i]);
        if constexpr (detail::remembers<Head>) show_contexts(rows);
        show(rows.state), show(rows.next_state);
        return rows;
    }
    /// Observations become contexts. A row that does not begin where the one before it ended begins an episode.
    void show_contexts(Rows& rows) const {
        const std::vector<Real> state = std::exchange(rows.state, {}), next_state = std::exchange(rows.next_state, {});
        const auto width = static_cast<std::size_t>(sizes_.observation),
                   actions = rows.action.size() / rows.done.size();
        auto past = no_past();
        for (std::size_t i = 0; i < rows.done.size(); ++i) {
            const auto seen = std::span(state).subspan(i * width, width);
            if (i == 0 || rows.done[i - 1] != Real(0) || !std::ranges::equal(past.observation(), seen))
                past.begin(seen);
            rows.state.insert(rows.state.end(), past.context().begin(), past.context().end());
            remember(past, std::span<const Real>(rows.action).subspan(i * actions, actions));
            past.see(std::span(next_state).subspan(i * width, width));
            rows.next_state.insert(rows.next_state.end(), past.context().begin(), past.context().end());
        }
    }
    /// A row drawn is a sequence. Two sets of one iteration are drawn from by different numbers: `which`.
    template <class RunType, class BatchType>
    void draw_from(const Rows& from, std::uint32_t which, RunType& run, BatchType& batch, std::int64_t count,
                   std::int64_t horizon) {
        const std::int64_t rows = std::ssize(from.reward);
        expect(rows > 0, [&] {
            return std::string("control: there is no data set of ") + (which ? "demonstrations" : "rows") +
                   " to draw from";
        });
        const Random random = run.random.of(Purpose::resample);
        offsets_.assign(1, 0);
        taken_.clear();
        for (std::int64_t k = 0; k < count; ++k) {
            double u = random.uniform(static_cast<std::uint32_t>(k), which << 31);
            std::int64_t row = std::min(static_cast<std::int64_t>(u * double(rows)), rows - 1), last = row + horizon;
            do taken_.push_back(row);
            while (from.done[static_cast<std::size_t>(row)] == Real(0) && ++row < std::min(last, rows));
            offsets_.push_back(std::ssize(taken_));
        }
        batch.reshape(offsets_);
        set_widths(batch);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(0));
        for (std::int64_t k = 0; k < count; ++k)
            batch[col::mask{}][static_cast<std::size_t>(offsets_[static_cast<std::size_t>(k)])] = Real(1);
        say_external(batch, Real(which));
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            put_row(from, taken_[static_cast<std::size_t>(t)], batch, t);
        }
    }
    template <class BatchType>
    static void say_external(BatchType& batch, Real value) {
        if constexpr (BatchType::template has<col::external>)
            std::fill(batch[col::external{}].begin(), batch[col::external{}].end(), value);
    }

    Real unscaled(Real action) const {
        if constexpr (continuous)
            return from_environment(environment_, action);
        else
            return action;
    }
    template <class BatchType, class Column>
    static void copy_row(const std::vector<Real>& from, std::int64_t row, BatchType& batch, Column column,
                         std::int64_t to) {
        if constexpr (BatchType::template has<Column>) {
            const std::int64_t width = batch.width(column);
            auto target = batch.row(column, to);
            using Value = typename decltype(target)::value_type;
            for (std::int64_t j = 0; j < width; ++j)
                target[std::size_t(j)] = static_cast<Value>(from[static_cast<std::size_t>(row * width + j)]);
        }
    }

    template <class BatchType>
    static void put_row(const Rows& rows, std::int64_t from, BatchType& batch, std::int64_t to) {
        copy_row(rows.state, from, batch, col::state{}, to);
        copy_row(rows.next_state, from, batch, col::next_state{}, to);
        copy_row(rows.action, from, batch, action_column{}, to);
        copy_row(rows.reward, from, batch, col::step_reward{}, to);
        copy_row(rows.terminated, from, batch, col::terminated{}, to);
        copy_row(rows.done, from, batch, col::done{}, to);
    }
    template <class BatchType>
    void step_one(BatchType& batch, std::int64_t e, std::int64_t token) {
        auto t = static_cast<std::size_t>(token);
        auto& episode = episodes_[static_cast<std::size_t>(e)];
        auto& past = pasts_[static_cast<std::size_t>(e)];
        auto seen = row(seen_, e, observation_size_);
        std::copy(seen.begin(), seen.end(), batch.row(col::state{}, token).begin());
        auto result = [&] {
            if constexpr (continuous) {
                auto action = row(actions_, e, head_.width);
                std::copy(action.begin(), action.end(), batch.row(col::action{}, token).begin());
                scaled_.resize(action.size());
                scale(action, scaled_);
                remember(past, action);
                return episode.step(environment_, std::span<const Real>(scaled_));
            } else {
                remember(past, tokens_[static_cast<std::size_t>(e)]);
                batch[col::token{}][t] = tokens_[static_cast<std::size_t>(e)];
                return episode.step(environment_, tokens_[static_cast<std::size_t>(e)]);
            }
        }();
        const bool ended = result.ended() || (sizes_.limit > 0 && episode.steps >= sizes_.limit);
        look(environment_, episode, past, false);
        if constexpr (BatchType::template has<col::step_reward>) batch[col::step_reward{}][t] = Real(result.reward);
        if constexpr (BatchType::template has<col::terminated>) batch[col::terminated{}][t] = Real(result.terminated);
        if constexpr (BatchType::template has<col::done>) batch[col::done{}][t] = Real(ended);
        if constexpr (BatchType::template has<col::next_state>) observe(e, batch.row(col::next_state{}, token));
        if constexpr (BatchType::template has<col::logp_behaviour>)
            batch[col::logp_behaviour{}][t] = acted_logp_[static_cast<std::size_t>(e)];
        if (!ended) return;
        ++position.episodes;
        ++position.recent_episodes;
        position.recent_returns += episode.episode_return;
        episode.reset(environment_);
        look(environment_, episode, past, true);
    }

    template <class BatchType>
    std::span<Real> logp_of(BatchType& batch) {
        if constexpr (BatchType::template has<col::logp>) {
            return batch[col::logp{}];
        } else {
            logp_.resize(static_cast<std::size_t>(batch.tokens()));
            return logp_;
        }
    }
    template <class BatchType>
    void say_logp(const BatchType& batch, std::span<Real> logp, std::span<Real> entropy) const {
        if constexpr (!detail::is_action_values<Head> && !detail::is_deterministic<Head>)
            head_.log_probability(std::span<const Real>(out_), free_values(), batch[action_column{}], logp, entropy);
    }
    /// The value of the action taken, or the quantiles of its return.
    template <class BatchType>
    void say_values(BatchType& batch) {
        if constexpr (detail::is_action_values<Head>) {
            const auto count = static_cast<std::size_t>(head_.quantiles);
            values_.resize(static_cast<std::size_t>(batch.tokens() * head_.width) * count);
            head_.values(std::span<const Real>(out_), std::span<Real>(values_));
            for (std::size_t t = 0; t < static_cast<std::size_t>(batch.tokens()); ++t) {
                auto taken = static_cast<std::size_t>(batch[col::token{}][t]);
                const Real* from = values_.data() + (t * static_cast<std::size_t>(head_.width) + taken) * count;
                if constexpr (BatchType::template has<col::quantiles>)
                    std::copy_n(from, count, batch[col::quantiles{}].begin() + std::int64_t(t * count));
                if constexpr (BatchType::template has<col::q>) {
                    Real sum = 0;
                    for (std::size_t i = 0; i < count; ++i) sum += from[i];
                    batch[col::q{}][t] = sum / static_cast<Real>(count);
                }
            }
        }
    }

    /// What is asked of the next state.
    template <class RunType, class BatchType>
    void fill_next(RunType& run, BatchType& batch) {
        [[maybe_unused]] const auto& read = std::as_const(batch);
        learnt_ = true;
        if constexpr (BatchType::template has<col::next_policy_action>) {
            auto out = std::span<const Real>(policy_.forward(policy_values(), reads_next(read)));
            auto action = batch[col::next_policy_action{}];
            if constexpr (detail::is_deterministic<Head>) {
                head_.mode(out, action);
            } else {
                noise_.resize(action.size());
                fill_normal(run.random.of(Purpose::noise), 1, std::span<Real>(noise_));
                logp_.resize(static_cast<std::size_t>(batch.tokens()));
                std::span<Real> logp(logp_);
                if constexpr (BatchType::template has<col::next_logp>) logp = batch[col::next_logp{}];
                head_.sample(out, free_values(), std::span<const Real>(noise_), action, logp);
                if constexpr (detail::is_diagonal<Head>)
                    for (Real& a : action) a = std::clamp(a, Real(-1), Real(1));
            }
        }
        if constexpr (BatchType::template has<col::next_target_action> && detail::is_carried<Head>) {
            std::span<Real> proposed;
            if constexpr (BatchType::template has<col::next_proposed_action>)
                proposed = batch[col::next_proposed_action{}];
            say_several(target_, run.random, 7, read[col::next_state{}], candidates_of_next(), proposed,
                        batch[col::next_target_action{}]);
        } else if constexpr (BatchType::template has<col::next_target_action>) {
            auto out = std::span<const Real>(policy_.forward(target_, reads_next(read)));
            head_.mode(out, batch[col::next_target_action{}]);
        }
        if constexpr (BatchType::template has<col::next_action_values>)
            fill_next_values(policy_values(), batch, batch[col::next_action_values{}]);
        if constexpr (BatchType::template has<col::next_target_values>)
            fill_next_values(target_, batch, batch[col::next_target_values{}]);
        if constexpr (BatchType::template has<col::next_target_quantiles>) {
            auto out = std::span<const Real>(policy_.forward(target_, read[col::next_state{}]));
            head_.values(out, batch[col::next_target_quantiles{}]);
        }
    }
    template <class BatchType>
    void fill_next_values(std::span<const Real> parameters, const BatchType& batch, std::span<Real> means) {
        auto out = std::span<const Real>(policy_.forward(parameters, batch[col::next_state{}]));
        const auto count = static_cast<std::size_t>(head_.quantiles);
        values_.resize(means.size() * count);
        head_.values(out, std::span<Real>(values_));
        for (std::size_t i = 0; i < means.size(); ++i) {
            Real sum = 0;
            for (std::size_t j = 0; j < count; ++j) sum += values_[i * count + j];
            means[i] = sum / static_cast<Real>(count);
        }
    }
    template <class BatchType>
    void fill_values(BatchType& batch) {
        const auto& read = std::as_const(batch);
        auto fill = [&](std::span<const Real> states, std::span<Real> to) {
            auto value = value_.forward(value_values(), states);
            std::copy(value.begin(), value.end(), to.begin());
        };
        if constexpr (BatchType::template has<col::next_value>) fill(read[col::next_state{}], batch[col::next_value{}]);
        if constexpr (BatchType::template has<col::value>) fill(read[col::state{}], batch[col::value{}]);
        if constexpr (BatchType::template has<col::value_old>) {
            if constexpr (BatchType::template has<col::value>)
                std::copy(batch[col::value{}].begin(), batch[col::value{}].end(), batch[col::value_old{}].begin());
            else
                fill(read[col::state{}], batch[col::value_old{}]);
        }
    }
    /// The policy's own action in the states of the batch.
    template <class RunType, class BatchType>
    void act_again(RunType& run, BatchType& batch) {
        auto action = batch[col::policy_action{}];
        auto out = std::span<const Real>(out_);
        if constexpr (detail::is_deterministic<Head>) {
            head_.mode(out, action);
        } else {
            policy_noise_.resize(action.size());
            fill_normal(run.random.of(Purpose::noise), 2, std::span<Real>(policy_noise_));
            logp_.resize(static_cast<std::size_t>(batch.tokens()));
            std::span<Real> logp(logp_);
            if constexpr (BatchType::template has<col::policy_logp>) logp = batch[col::policy_logp{}];
            head_.sample(out, free_values(), std::span<const Real>(policy_noise_), action, logp);
            hold_in_range(action);
        }
        if constexpr (BatchType::template has<col::policy_samples>) {
            draw_several(out, run.random, 8, settings_.matched_actions, samples_noise_, batch[col::policy_samples{}]);
            hold_in_range(batch[col::policy_samples{}]);
        }
    }
    static void hold_in_range([[maybe_unused]] std::span<Real> actions) {
        if constexpr (detail::is_diagonal<Head>)
            for (Real& a : actions) a = std::clamp(a, Real(-1), Real(1));
    }
    /// Actions to compare with the one of the data: uniform ones, the policy's in the state, the policy's in the next.
    template <class RunType, class BatchType>
    void fill_samples(RunType& run, BatchType& batch) {
        const auto rows = static_cast<std::size_t>(batch.tokens()), each = std::size_t(settings_.sampled_actions),
                   width = static_cast<std::size_t>(head_.width);
        auto action = batch[col::sampled_action{}], logp = batch[col::sampled_logp{}];
        const Random random = run.random.of(Purpose::resample);
        const Real uniform = -static_cast<Real>(width) * Real(0.6931471805599453);
        for (std::size_t r = 0; r < rows; ++r)
            for (std::size_t k = 0; k < each; ++k) {
                logp[r * 3 * each + k] = uniform;
                for (std::size_t j = 0; j < width; ++j)
                    action[(r * 3 * each + k) * width + j] =
                        Real(2) * random.uniform<Real>(std::uint32_t(r), std::uint32_t(1 + k * width + j)) - Real(1);
            }
        auto draw = [&](std::span<const Real> reads, std::size_t kind) {
            auto out = std::span<const Real>(policy_.forward(policy_values(), reads));
            noise_.resize(rows * width);
            drawn_.resize(rows * width);
            logp_.resize(rows);
            for (std::size_t k = 0; k < each; ++k) {
                fill_normal(random, std::uint32_t((kind * each + k) << 16 | 0xffff), std::span<Real>(noise_));
                head_.sample(out, free_values(), std::span<const Real>(noise_), std::span<Real>(drawn_),
                             std::span<Real>(logp_));
                for (std::size_t r = 0; r < rows; ++r) {
                    std::size_t at = r * 3 * each + kind * each + k;
                    logp[at] = logp_[r];
                    std::copy_n(drawn_.begin() + std::int64_t(r * width), width,
                                action.begin() + std::int64_t(at * width));
                }
            }
        };
        draw(policy_reads(std::as_const(batch)), 1);
        draw(policy_reads(std::as_const(batch)[col::next_state{}]), 2);
    }

    /// From the gradients of the policy's output to those of the parameters.
    template <class BatchType>
    void differentiate(BatchType& batch) {
        const auto& read = std::as_const(batch);
        auto gradient = [&]<class Column>(Column) -> std::span<const Real> {
            if constexpr (BatchType::template has<col::grad<Column>>)
                return read[col::grad<Column>{}];
            else
                return {};
        };
        grad_out_.assign(out_.size(), Real(0));
        std::span<const Real> out(out_);
        constexpr bool acts = BatchType::template has<col::grad<col::policy_action>> ||
                              BatchType::template has<col::grad<col::policy_logp>>;
        constexpr bool says =
            BatchType::template has<col::grad<col::logp>> || BatchType::template has<col::grad<col::entropy>>;
        if constexpr (detail::is_deterministic<Head>) {
            auto from = gradient(col::policy_action{});
            std::copy(from.begin(), from.end(), grad_out_.begin());
        } else if constexpr (acts) {
            head_.d_sample(out, free_values(), std::span<const Real>(policy_noise_), read[col::policy_action{}],
                           gradient(col::policy_action{}), gradient(col::policy_logp{}), std::span<Real>(grad_out_),
                           free_gradients());
        }
        if constexpr (BatchType::template has<col::grad<col::policy_samples>>) differentiate_samples(batch);
        if constexpr (says)
            head_.d_log_probability(out, free_values(), read[action_column{}], gradient(col::logp{}),
                                    gradient(col::entropy{}), std::span<Real>(grad_out_), free_gradients());
        if constexpr (BatchType::template has<col::grad<col::q>> && detail::is_action_values<Head>) {
            // q is the mean of its quantiles.
            auto by_q = gradient(col::q{});
            const auto count = static_cast<std::size_t>(head_.quantiles);
            values_.resize(by_q.size() * count);
            for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = by_q[i / count] / static_cast<Real>(count);
            head_.d_values(read[col::token{}], std::span<const Real>(values_), std::span<Real>(grad_out_));
        }
        if constexpr (BatchType::template has<col::grad<col::quantiles>>)
            head_.d_values(read[col::token{}], gradient(col::quantiles{}), std::span<Real>(grad_out_));
        policy_.backward(policy_values(), grad_out_, part(parameters_.gradients(), 0, policy_));
        if constexpr (BatchType::template has<col::grad<col::value>>)
            value_.backward(value_values(), gradient(col::value{}), part(parameters_.gradients(), value_at_, value_));
    }

    /// Each draw of policy_samples by itself.
    template <class BatchType>
    void differentiate_samples(const BatchType& batch) {
        const auto width = static_cast<std::size_t>(head_.width), rows = static_cast<std::size_t>(batch.tokens()),
                   times = static_cast<std::size_t>(settings_.matched_actions);
        auto said = batch[col::policy_samples{}], slope = batch[col::grad<col::policy_samples>{}];
        drawn_.resize(rows * width);
        slope_.resize(rows * width);
        for (std::size_t k = 0; k < times; ++k) {
            for (std::size_t r = 0; r < rows; ++r) {
                const auto from = std::int64_t((r * times + k) * width), to = std::int64_t(r * width);
                std::copy_n(said.begin() + from, width, drawn_.begin() + to);
                std::copy_n(slope.begin() + from, width, slope_.begin() + to);
            }
            head_.d_sample(std::span<const Real>(out_), free_values(),
                           std::span<const Real>(samples_noise_).subspan(k * rows * width, rows * width),
                           std::span<const Real>(drawn_), std::span<const Real>(slope_), std::span<const Real>(),
                           std::span<Real>(grad_out_), free_gradients());
        }
    }

    auto act_best(std::span<const Real> out, std::size_t e, std::vector<Real>& action, env::Episode<Original>& world,
                  sampler::Past<Real>& past) {
        const auto width = static_cast<std::size_t>(detail::is_carried<Head> ? head_.width : head_.outputs());
        auto own = out.subspan(e * width, width);
        if constexpr (continuous) {
            if constexpr (detail::is_carried<Head>)
                std::copy(own.begin(), own.end(), action.begin());
            else
                head_.mode(own, std::span<Real>(action));
            remember(past, action);
            scale(action, action);
            return world.step(env::original(environment_), std::span<const Real>(action));
        } else {
            const std::int32_t best = best_of(own);
            remember(past, best);
            return world.step(env::original(environment_), best);
        }
    }
    std::vector<std::int64_t> words_of_episodes() const {
        std::vector<std::int64_t> words(episodes_.size() * words_an_episode);
        for (std::size_t e = 0; e < episodes_.size(); ++e) {
            std::int64_t* to = words.data() + e * words_an_episode;
            std::memcpy(to, &episodes_[e].state, sizeof episodes_[e].state);
            std::memcpy(to + state_words, &episodes_[e].random.position, 8);
            to[state_words + 1] = episodes_[e].steps;
            std::memcpy(to + state_words + 2, &episodes_[e].episode_return, 8);
        }
        return words;
    }
    static void take_words(World& world, const std::int64_t* from) {
        std::memcpy(static_cast<void*>(&world.state), from, sizeof world.state);
        std::memcpy(&world.random.position, from + state_words, 8);
        world.steps = from[state_words + 1];
        std::memcpy(&world.episode_return, from + state_words + 2, 8);
    }

    Environment environment_;
    ControlSettings settings_;
    env::WorldSizes sizes_;
    std::int64_t observation_size_;
    Head head_;
    PolicyNetwork policy_;
    network::Perceptron<Real> value_;
    actor::Parameters<Real> parameters_;
    std::int64_t free_at_ = 0, value_at_ = 0;
    std::vector<Real> target_;
    std::vector<env::Episode<Environment>> episodes_;
    std::vector<sampler::Past<Real>> pasts_;  ///< of the copies, where they are remembered
    std::int64_t task_width_ = 0;             ///< of the advantage
    const void* fresh_ = nullptr;             ///< the batch for which out_ is what the policy says, while it is so
    bool learnt_ = false;                     ///< there was a batch to learn from

    Rows data_, demonstrations_;
    bool standardises_ = false;
    sampler::StateMoments moments_;  ///< of the data, where it standardises
    std::vector<Real> read_;         ///< states and encoded balances
    std::vector<Real> task_, told_, chosen_, drawn_balance_, out_copy_;
    std::array<std::vector<Real>, 4> balanced_;  ///< one action, what it moves, and the encoding's slope
    std::function<void(std::span<const Real>, std::span<const Real>, std::span<Real>)> values_of_;
    std::function<critic::Rows<const Real>(std::span<const Real>)> represent_;
    std::function<void(std::span<const Real>, std::span<Real>)> balance_to_act_, draw_;
    std::function<void(const Random&, std::uint32_t, std::span<const Real>, std::int64_t, std::span<Real>)> propose_;
    std::function<void(std::span<const Real>, std::int64_t, std::span<const Real>, std::span<const Real>,
                       std::span<Real>)>
        carry_out_;
    std::vector<Real> repeated_, proposals_, candidates_, samples_noise_, slope_;

    std::span<Real> out_;
    std::vector<std::int64_t> offsets_, taken_;
    std::vector<std::int32_t> tokens_;
    std::vector<Real> seen_, actions_, scaled_, acted_logp_, noise_, policy_noise_, logp_, drawn_, values_, row_values_,
        grad_out_;
};

}  // namespace roars::train
