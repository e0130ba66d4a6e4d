#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/actors/decision_transformer.hpp"
#include "roars/actors/heads.hpp"
#include "roars/concepts.hpp"
#include "roars/environments/environment.hpp"
#include "roars/train/returns.hpp"

namespace roars::train {

/// The sequence model and how it acts.
struct SequenceSettings {
    std::int64_t length = 20;   ///< steps that it looks back upon
    std::int64_t steps = 1000;  ///< of an episode that it tells apart
    std::int64_t layers = 3;
    std::int64_t width = 128;
    std::int64_t heads = 1;
    std::int64_t hidden = 512;
    double return_scale = 0.0;  ///< returns are divided by it; 0: by the largest of the data, in absolute value
    double target_share = 1.0;  ///< it asks for worst + share (best - worst) of the data's episodes
    std::int64_t evaluation_episodes = 10;
};
ROARS_FIELDS(SequenceSettings, length, steps, layers, width, heads, hidden, return_scale, target_share,
             evaluation_episodes)

/// A model of sequences that learns from a data set alone what was done where so much was yet to come, and acts by
/// asking for much: actor::DecisionTransformer. A transition is a token, an episode's in their order; what it reads are
/// return_to_go, state and action. Continuous actions are tanh of what it says, scaled to [-1, 1] (policy_action);
/// discrete ones have its logits (logp, entropy). Measured in worlds of their own: the return to go begins as the
/// target, and rewards are taken off.
template <env::Environment Environment, class Head>
class SequenceLearner {
public:
    using Real = float;
    using PolicyHead = Head;
    using Settings = SequenceSettings;
    static constexpr bool continuous = Head::continuous;
    static_assert(std::is_same_v<Head, std::conditional_t<continuous, actor::DeterministicAction, actor::Categorical>>,
                  "roars: a sequence model says an action, or logits of actions");
    using action_column = std::conditional_t<continuous, col::action, col::token>;
    using keeps = columns<col::mask, col::state, action_column, col::return_to_go, col::step_number>;
    using gives = unite_t<
        keeps, columns<col::step_reward, col::terminated, col::done>,
        std::conditional_t<continuous, columns<col::policy_action>, columns<col::logp, col::logp_old, col::entropy>>>;

    SequenceLearner(const Environment& environment, const SequenceSettings& settings, std::uint64_t seed)
        : environment_(environment), settings_(settings), sizes_(env::world_sizes(environment)), model_(shape(), seed) {
        head_.width = sizes_.action;
    }

    actor::Parameters<Real>& parameters() { return model_.parameters(); }
    const actor::Parameters<Real>& parameters() const { return model_.parameters(); }
    const Environment& environment() const { return environment_; }
    const SequenceSettings& settings() const { return settings_; }

    /// Updates so far, saved in the checkpoint; it takes no step of its own.
    struct Position {
        std::int64_t steps = 0, episodes = 0, updates = 0;
    };
    ROARS_MEMBERS(Position, steps, episodes, updates)
    Position position;
    bool take_recent_return(double&) { return false; }

    /// Episodes of data::Transitions, actions in the environment's own range. Errors: no rows, sizes that are not the
    /// environment's.
    template <class Transitions>
    void learn_from(const Transitions& data) {
        expect_rows_of(data, sizes_.observation, continuous ? sizes_.action : 1);
        state_.assign(data.state.begin(), data.state.end());
        action_.assign(data.action.begin(), data.action.end());
        if constexpr (continuous)
            for (Real& each : action_) each = from_environment(environment_, each);
        reward_.assign(data.reward.begin(), data.reward.end());
        terminated_.assign(data.terminated.begin(), data.terminated.end());
        const auto rows = static_cast<std::size_t>(data.rows());
        done_.resize(rows), to_go_.resize(rows), number_.resize(rows);
        worst_ = best_ = 0;
        bool any = false;
        double sum = 0, largest = 0;
        for (std::size_t i = rows; i-- > 0;) {
            done_[i] = Real(data.terminated[i] || data.truncated[i] || i + 1 == rows);
            sum = double(reward_[i]) + (done_[i] != Real(0) ? 0.0 : sum);
            to_go_[i] = static_cast<Real>(sum);
            largest = std::max(largest, std::abs(sum));
            if (i > 0 && !(data.terminated[i - 1] || data.truncated[i - 1])) continue;
            worst_ = any ? std::min(worst_, sum) : sum;
            best_ = any ? std::max(best_, sum) : sum;
            any = true;
        }
        for (std::size_t i = 0; i < rows; ++i)
            number_[i] = i == 0 || done_[i - 1] != Real(0) ? Real(0) : number_[i - 1] + Real(1);
        scale_ = settings_.return_scale != 0.0 ? settings_.return_scale : largest > 0.0 ? largest : 1.0;
        for (Real& each : to_go_) each = static_cast<Real>(double(each) / scale_);
    }
    /// What it asks for, as a return.
    double target_return() const { return worst_ + settings_.target_share * (best_ - worst_); }

    /// Windows of up to `length` steps, a sequence each.
    template <class RunType, class BatchType>
    void draw_windows(RunType& run, BatchType& batch, std::int64_t count, std::int64_t length) {
        const std::int64_t rows = std::ssize(reward_);
        expect(rows > 0, "sequence model: there is no data set to draw from");
        expect(length > 0 && length <= settings_.length, [&] {
            return "sequence model: windows of " + std::to_string(length) + " steps, expected 1 to " +
                   std::to_string(settings_.length) + ", which it looks back upon";
        });
        const Random random = run.random.of(Purpose::resample);
        offsets_.assign(1, 0);
        taken_.clear();
        for (std::int64_t k = 0; k < count; ++k) {
            std::int64_t row = std::min(
                static_cast<std::int64_t>(random.uniform(static_cast<std::uint32_t>(k), 0) * double(rows)), rows - 1);
            const std::int64_t last = row + length;
            do taken_.push_back(row);
            while (done_[static_cast<std::size_t>(row)] == Real(0) && ++row < last);
            offsets_.push_back(std::ssize(taken_));
        }
        batch.reshape(offsets_);
        set_widths(batch);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(1));
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            const std::int64_t from = taken_[static_cast<std::size_t>(t)];
            put(batch, col::state{}, state_, from, t);
            put(batch, action_column{}, action_, from, t);
            put(batch, col::return_to_go{}, to_go_, from, t);
            put(batch, col::step_number{}, number_, from, t);
            put(batch, col::step_reward{}, reward_, from, t);
            put(batch, col::terminated{}, terminated_, from, t);
            put(batch, col::done{}, done_, from, t);
        }
    }

    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType& batch) {
        set_widths(batch);
        if constexpr (BatchType::template has<col::logp_old>) {
            forward(batch);
            head_.log_probability(std::span<const Real>(out_), std::span<const Real>(),
                                  std::as_const(batch)[col::token{}], batch[col::logp_old{}], std::span<Real>());
        }
    }
    /// Loss of the batch, its gradient added to the parameters'.
    template <class A, class RunType, class BatchType>
    auto accumulate(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch) {
        forward(batch);
        say(batch);
        auto result = algorithm.objective(run, state, batch);
        const auto& read = std::as_const(batch);
        grad_out_.assign(out_.size(), Real(0));
        if constexpr (continuous) {
            auto action = read[col::policy_action{}], slope = read[col::grad<col::policy_action>{}];
            for (std::size_t i = 0; i < grad_out_.size(); ++i)
                grad_out_[i] = slope[i] * (Real(1) - action[i] * action[i]);
        } else {
            std::span<const Real> by_entropy;
            if constexpr (BatchType::template has<col::grad<col::entropy>>)
                by_entropy = read[col::grad<col::entropy>{}];
            head_.d_log_probability(std::span<const Real>(out_), std::span<const Real>(), read[col::token{}],
                                    read[col::grad<col::logp>{}], by_entropy, std::span<Real>(grad_out_),
                                    std::span<Real>());
        }
        model_.backward(windows_of(read), grad_out_);
        ++position.updates;
        return result;
    }

    /// Whole episodes in worlds of their own, asking for target_return(): the same ones whenever it is asked.
    template <class RunType>
    Returns evaluate(RunType& run) {
        const Original& world = env::original(environment_);
        auto worlds = evaluation_worlds(world, run.random.seed(), settings_.evaluation_episodes);
        std::vector<Past> pasts(worlds.size());
        std::vector<char> living(worlds.size(), 1);
        const std::int64_t longest = longest_episode(world);
        for (std::int64_t t = 0; t < longest; ++t) {
            for (std::size_t e = 0; e < worlds.size(); ++e)
                if (living[e]) look(world, worlds[e], t, pasts[e]);
            auto said = ask(pasts, living);
            bool any = false;
            std::size_t row = 0;
            for (std::size_t e = 0; e < worlds.size(); ++e) {
                if (!living[e]) continue;
                living[e] = !act(world, said.subspan(row++ * outputs(), outputs()), worlds[e], pasts[e]);
                any = any || living[e];
            }
            if (!any) break;
        }
        return returns_of(worlds);
    }

    template <class File>
    void write(File& file) const {
        parameters().write(file);
    }
    template <class File>
    void read(const File& file) {
        parameters().read(file);
    }

private:
    using Original = env::OriginalOf<Environment>;

    actor::DecisionTransformerSettings shape() const {
        return {.state_width = sizes_.observation,
                .outputs = sizes_.action,
                .discrete = !continuous,
                .length = settings_.length,
                .steps = settings_.steps,
                .layers = settings_.layers,
                .width = settings_.width,
                .heads = settings_.heads,
                .hidden = settings_.hidden};
    }
    std::size_t outputs() const { return static_cast<std::size_t>(sizes_.action); }

    template <class BatchType>
    void set_widths(BatchType& batch) const {
        auto set = [&]<class Column>(Column column, std::int64_t width) {
            if constexpr (BatchType::template has<Column>) batch.set_width(column, width);
        };
        set(col::state{}, sizes_.observation);
        if constexpr (continuous) {
            set(col::action{}, sizes_.action);
            set(col::policy_action{}, sizes_.action);
        }
    }
    template <class BatchType, class Column>
    static void put(BatchType& batch, Column column, const std::vector<Real>& from, std::int64_t row, std::int64_t to) {
        if constexpr (BatchType::template has<Column>) {
            auto target = batch.row(column, to);
            for (std::size_t j = 0; j < target.size(); ++j)
                target[j] = static_cast<std::remove_reference_t<decltype(target[j])>>(
                    from[static_cast<std::size_t>(row) * target.size() + j]);
        }
    }
    template <class BatchType>
    actor::StepWindows<Real> windows_of(const BatchType& batch) const {
        actor::StepWindows<Real> windows{.offsets = batch.token_offsets(),
                                         .state = batch[col::state{}],
                                         .return_to_go = batch[col::return_to_go{}],
                                         .number = batch[col::step_number{}]};
        if constexpr (continuous)
            windows.action = batch[col::action{}];
        else
            windows.token = batch[col::token{}];
        return windows;
    }
    template <class BatchType>
    void forward(const BatchType& batch) {
        auto said = model_.forward(windows_of(std::as_const(batch)));
        out_.assign(said.begin(), said.end());
    }
    template <class BatchType>
    void say(BatchType& batch) const {
        if constexpr (continuous) {
            auto action = batch[col::policy_action{}];
            for (std::size_t i = 0; i < action.size(); ++i) action[i] = std::tanh(out_[i]);
        } else {
            std::span<Real> entropy;
            if constexpr (BatchType::template has<col::entropy>) entropy = batch[col::entropy{}];
            head_.log_probability(std::span<const Real>(out_), std::span<const Real>(),
                                  std::as_const(batch)[col::token{}], batch[col::logp{}], entropy);
        }
    }

    /// The last steps of an episode that is under way; the action of the newest is not known and 0.
    struct Past {
        std::vector<Real> state, action, to_go, number;
        std::vector<std::int32_t> token;
    };
    void look(const Original& world, const env::Episode<Original>& episode, std::int64_t t, Past& past) const {
        const auto width = static_cast<std::size_t>(sizes_.observation);
        past.state.resize(past.state.size() + width);
        world.observe(episode.state, std::span<Real>(past.state).last(width));
        past.action.resize(past.action.size() + (continuous ? outputs() : 0));
        past.token.push_back(0);
        past.to_go.push_back(static_cast<Real>((target_return() - episode.episode_return) / scale_));
        past.number.push_back(static_cast<Real>(t));
        if (std::ssize(past.number) <= settings_.length) return;
        auto forget = [](auto& values, std::size_t count) {
            values.erase(values.begin(), values.begin() + std::ptrdiff_t(count));
        };
        forget(past.state, width), forget(past.action, continuous ? outputs() : 0);
        forget(past.token, 1), forget(past.to_go, 1), forget(past.number, 1);
    }
    /// What the model says of the newest step of each living episode.
    std::span<const Real> ask(const std::vector<Past>& pasts, const std::vector<char>& living) {
        together_ = {};
        offsets_.assign(1, 0);
        auto join = [](auto& into, const auto& from) { into.insert(into.end(), from.begin(), from.end()); };
        for (std::size_t e = 0; e < pasts.size(); ++e) {
            if (!living[e]) continue;
            join(together_.state, pasts[e].state), join(together_.action, pasts[e].action);
            join(together_.to_go, pasts[e].to_go), join(together_.number, pasts[e].number);
            join(together_.token, pasts[e].token);
            offsets_.push_back(std::ssize(together_.number));
        }
        return model_.forward_last({.offsets = offsets_,
                                    .state = together_.state,
                                    .action = together_.action,
                                    .return_to_go = together_.to_go,
                                    .token = together_.token,
                                    .number = together_.number});
    }
    /// The best action by what the model said. Did the episode end?
    bool act(const Original& world, std::span<const Real> said, env::Episode<Original>& episode, Past& past) const {
        if constexpr (continuous) {
            auto action = std::span<Real>(past.action).last(outputs());
            for (std::size_t j = 0; j < action.size(); ++j) action[j] = std::tanh(said[j]);
            std::vector<Real> scaled(action.size());
            to_environment(environment_, std::span<const Real>(action), std::span<Real>(scaled));
            return episode.step(world, std::span<const Real>(scaled)).ended();
        } else {
            past.token.back() = head_.best(said);
            return episode.step(world, past.token.back()).ended();
        }
    }

    Environment environment_;
    SequenceSettings settings_;
    env::WorldSizes sizes_;
    Head head_;
    actor::DecisionTransformer<Real> model_;
    std::vector<Real> state_, action_, reward_, terminated_, done_, to_go_, number_;
    double worst_ = 0, best_ = 0, scale_ = 1;
    std::vector<std::int64_t> offsets_, taken_;
    std::vector<Real> out_, grad_out_;
    Past together_;
};

}  // namespace roars::train
