#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/critic/carried.hpp"

namespace roars::advantage {

/// What ModelCritics have learnt, and their memory between two batches, which is not saved.
template <class Real, class Critics, class Carried>
struct ModelCriticsState {
    ActionCriticsState<Real> critics;
    critic::ActionModel<Real> model;
    std::int64_t batches = 0;  ///< learnt from
    double loss = 0;           ///< of the critics' last step

    ROARS_MEMBERS(ModelCriticsState, critics, model, batches, loss)

    /// The batch as the critics see it: actions where the policy says something else.
    Batch<Real, unite_t<needs_of<Critics>, gives_of<Critics>, columns<col::mask>>> rows;
    std::vector<Real> seen, action, shown;
};

/// A model of the data's actions, ActionCritics, and a policy whose sayings become actions by Carried: the critics see
/// the actions. One step a batch each,
///     the model by surrogate::Variational on every action of the data (its threshold is below 0), in the first
///     `model_batches` batches, or in all (0);
///     the critics towards SupportTarget at the actions of next_target_action, behind the first `critics_after`.
/// For the policy, behind the first `policy_after`: q of its action, and q_gradient by what it says; until then 0.
/// model_samples (where Carried gives it): as many actions of the model as there are policy_samples. Shapes: as
/// ActionCritics; next_target_action [rows x samples]. Sources: BCQ, arXiv 1812.02900; BEAR, arXiv 1906.00949; PLAS,
/// arXiv 2011.07213.
template <class Carried, critic::PolicyValue climbed>
struct ModelCritics {
    using Critics = ActionCritics<critic::SupportTarget<climbed>>;

    Critics critics{};
    critic::ActionModelSettings model{.loss = {.threshold = -1.0}};
    Carried carried{};
    std::int64_t model_batches = 0;
    std::int64_t critics_after = 0;
    std::int64_t policy_after = 0;

    using needs = unite_t<needs_of<Critics>, needs_of<Carried>>;
    using gives = unite_t<gives_of<Critics>, gives_of<Carried>>;
    template <class Real>
    using StateOf = ModelCriticsState<Real, Critics, Carried>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, ModelCriticsState<Real, Critics, Carried>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        open(state, run.random.seed(), batch.width(col::state{}), batch.width(col::action{}));
        ++state.batches;
        if (model_batches == 0 || state.batches <= model_batches)
            state.model.learn(run, model, read, 2, [](auto&& taken_q, auto&& value) {
                std::fill(taken_q.begin(), taken_q.end(), Real(0));
                std::fill(value.begin(), value.end(), Real(0));
            });
        if (state.batches <= critics_after) return;
        fill_rows(state, read);
        std::span<const Real> proposed;
        if constexpr (contains_v<col::next_proposed_action, needs>) proposed = read[col::next_proposed_action{}];
        const std::int64_t samples = samples_of(state, read[col::next_target_action{}], batch.tokens());
        state.rows.set_width(col::next_target_action{}, samples * batch.width(col::action{}));
        carried.template carry<Real>(
            run.backend, state.model,
            critic::repeat_rows<Real>(read[col::next_state{}], batch.width(col::state{}), samples, state.seen),
            proposed, read[col::next_target_action{}], state.rows[col::next_target_action{}]);
        critics.learn(run, state.critics, state.rows);
        state.loss = state.critics.loss;
    }

    template <class RunType, class Real, class BatchType>
    void estimate(RunType& run, ModelCriticsState<Real, Critics, Carried>& state, BatchType& batch) const {
        batch.set_width(col::q_gradient{}, batch.width(col::policy_action{}));
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        open(state, run.random.seed(), batch.width(col::state{}), batch.width(col::action{}));
        if constexpr (contains_v<col::model_samples, gives>) {
            batch.set_width(col::model_samples{}, batch.width(col::policy_samples{}));
            state.model.draw(run.random, 5, read[col::state{}],
                             batch.width(col::model_samples{}) / batch.width(col::action{}),
                             batch[col::model_samples{}]);
        }
        if (state.batches <= policy_after) {
            std::fill(batch[col::q{}].begin(), batch[col::q{}].end(), Real(0));
            std::fill(batch[col::q_gradient{}].begin(), batch[col::q_gradient{}].end(), Real(0));
            return;
        }
        fill_rows(state, read);
        auto& rows = state.rows;
        std::span<const Real> proposed;
        if constexpr (contains_v<col::proposed_action, needs>) proposed = read[col::proposed_action{}];
        samples_of(state, read[col::policy_action{}], batch.tokens());
        carried.template carry<Real>(run.backend, state.model, read[col::state{}], proposed, read[col::policy_action{}],
                                     rows[col::policy_action{}]);
        critics.estimate(run, state.critics, rows);
        std::copy(rows[col::q{}].begin(), rows[col::q{}].end(), batch[col::q{}].begin());
        carried.template back<Real>(run.backend, state.model, proposed, read[col::policy_action{}],
                                    std::as_const(rows)[col::q_gradient{}], batch[col::q_gradient{}]);
    }

    /// `samples` actions of the model for each state. Shapes: states [rows x width] -> [rows x samples x actions].
    template <class Real>
    void propose(ModelCriticsState<Real, Critics, Carried>& state, const Random& random, std::uint32_t which,
                 std::span<const Real> states, std::int64_t width, std::int64_t samples,
                 std::span<Real> actions) const {
        open(state, random.seed(), width, std::ssize(actions) * width / (std::ssize(states) * samples));
        state.model.draw(random, which, states, samples, actions);
    }
    /// The action of each state: of its `samples` sayings the one whose action the first critic values most, of equal
    /// ones the first. Shapes: as propose; said [rows x samples x what is said] -> action [rows x actions].
    template <class Real>
    void act(ModelCriticsState<Real, Critics, Carried>& state, std::uint64_t seed, std::span<const Real> states,
             std::int64_t width, std::int64_t samples, std::span<const Real> proposed, std::span<const Real> said,
             std::span<Real> action) const {
        const std::int64_t rows = std::ssize(states) / width, actions = std::ssize(action) / rows;
        open(state, seed, width, actions);
        state.critics.networks.open(critics.network, critics.critics, width + actions, 1, seed, 1000);
        auto seen = critic::repeat_rows<Real>(states, width, samples, state.seen);
        state.action.resize(static_cast<std::size_t>(rows * samples * actions));
        backend::Host host;
        carried.template carry<Real>(host, state.model, seen, proposed, said, state.action);
        auto q =
            state.critics.networks.forward(0, critic::join_rows<Real>(seen, width, state.action, actions, state.shown));
        for (std::int64_t r = 0; r < rows; ++r) {
            auto own = q.begin() + r * samples;
            std::int64_t best = std::max_element(own, own + samples) - own;
            std::copy_n(state.action.begin() + (r * samples + best) * actions, actions, action.begin() + r * actions);
        }
    }

private:
    template <class Real>
    void open(ModelCriticsState<Real, Critics, Carried>& state, std::uint64_t seed, std::int64_t states,
              std::int64_t actions) const {
        expect(model.loss.threshold < 0.0, [&] {
            return "model of actions: threshold is " + std::to_string(model.loss.threshold) +
                   ", expected less than 0: it learns every action";
        });
        state.model.open(model, states, actions, seed, 3000);
    }
    /// How often each row says something. Errors: sayings of another width than Carried takes.
    template <class Real>
    std::int64_t samples_of(const ModelCriticsState<Real, Critics, Carried>& state, std::span<const Real> said,
                            std::int64_t rows) const {
        const std::int64_t width = carried.width(state.model);
        expect(std::ssize(said) % (rows * width) == 0, [&] {
            return "policy beside a model: " + std::to_string(std::ssize(said) / rows) +
                   " numbers a row, expected a multiple of " + std::to_string(width);
        });
        return std::ssize(said) / (rows * width);
    }
    template <class Real, class BatchType>
    void fill_rows(ModelCriticsState<Real, Critics, Carried>& state, const BatchType& batch) const {
        auto& rows = state.rows;
        critic::put_mask(batch, rows);
        auto put = [&](auto column) { critic::put_rows(rows, column, batch[column], batch.width(column)); };
        put(col::state{}), put(col::action{}), put(col::next_state{});
        put(col::token_reward{}), put(col::terminated{});
        rows.set_width(col::policy_action{}, batch.width(col::action{}));
    }
};
template <class Carried, critic::PolicyValue climbed>
ROARS_FIELDS_OF((ModelCritics<Carried, climbed>), critics, model, carried, model_batches, critics_after, policy_after)

}  // namespace roars::advantage
