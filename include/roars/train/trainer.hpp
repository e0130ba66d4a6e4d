#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/random.hpp"

namespace roars::train {

/// What one iteration measured, by name, in order.
using Record = std::vector<std::pair<std::string, double>>;

namespace detail {
template <class... Term>
Result<Term...> result_of(std::tuple<Term...>*);
}  // namespace detail

/// Can the sampler draw from this learner? One that asks more of its source than roll_out says so: draws_from.
template <class A, class Learner>
inline constexpr bool draws_from = [] {
    using BatchType = Batch<typename Learner::Real, unite_t<typename A::Columns, typename Learner::keeps>>;
    if constexpr (requires { A::Sampler::template draws_from<Run<backend::Host>, Learner, BatchType>; })
        return A::Sampler::template draws_from<Run<backend::Host>, Learner, BatchType>;
    else
        return true;
}();

namespace detail {
/// Parameters that are the host's take their steps in the trainer, ...
template <class A, class Learner>
struct steps_of {
    struct type {};
    static constexpr bool own = false;
};
/// ... others where they are: `learner.steps(algorithm)` is what that needs, kept from step to step, with load and save
/// from and to State::optimizer, and `learner.take_step(steps, algorithm, run, state, batch)` the objective, its
/// gradients and the step rule.
template <class A, class Learner>
requires requires(const A& algorithm, Learner& learner) { learner.steps(algorithm); }
struct steps_of<A, Learner> {
    using type = decltype(std::declval<Learner&>().steps(std::declval<const A&>()));
    static constexpr bool own = true;
};
}  // namespace detail

/// The random numbers of the k-th of several algorithms on one learner: none draws again what another has drawn. The
/// first one's are the run's own.
inline Random random_of_algorithm(const Random& random, std::size_t k) {
    return random.under(random.seed() + k * 0x9E3779B97F4A7C15u);
}

/// Ties an algorithm to a learner (an actor at work on a task). One iteration is
///     collect -> score -> refresh -> estimate -> epochs x minibatches x (objective -> step -> observe) -> observe;
/// where the policy learns only now and then (PolicyGradient::every) the critics still learn in each iteration.
/// The compiler refuses a learner that does not bring what the algorithm asks from outside, and names the column.
template <class A, class Learner>
class Trainer {
public:
    static_assert(fits_v<A, Learner>, "roars: the algorithm asks for a column that this actor and task do not bring");
    static_assert(draws_from<A, Learner>, "roars: the sampler asks for more than this learner can draw");
    using Real = typename Learner::Real;
    using BatchType = Batch<Real, unite_t<typename A::Columns, typename Learner::keeps>>;
    using ResultType = decltype(detail::result_of(static_cast<typename A::Terms*>(nullptr)));

    Trainer(const A& algorithm, Learner& learner) : algorithm_(algorithm), learner_(&learner) {
        prepare_source(algorithm_.sampler, learner);
    }

    const A& algorithm() const { return algorithm_; }
    Learner& learner() { return *learner_; }
    typename A::State state{};

    template <class RunType>
    Record iterate(RunType& run) {
        advance(run);
        Record record = describe(batch_);
        if (steps_ > 0) {
            record.emplace_back("loss", result_.loss());
            result_.for_each([&](std::string_view name, double value) { record.emplace_back(name, value); });
        }
        return record;
    }

    /// An iteration of which nobody wants a record. What it left behind: result(), the sum over the updates, its losses
    /// the mean over them; batch().
    template <class RunType>
    void advance(RunType& run) {
        show_data(run);
        guide(run);
        if constexpr (!keeps_batch) batch_ = BatchType();
        auto score = [&](auto& drawn) { algorithm_.score(run, state, drawn); };
        algorithm_.sampler.collect(run, state.sampler, *learner_, batch_, score);
        const bool due = policy_is_due(run);
        if constexpr (requires { learner_->refresh(run, batch_, due); })
            learner_->refresh(run, batch_, due);
        else
            learner_->refresh(run, batch_);
        algorithm_.learn(run, state, batch_);
        result_ = {};
        steps_ = 0;
        if (due) {
            algorithm_.signal(run, state, batch_);
            update(run, batch_);
        }
        if constexpr (requires { algorithm_.sampler.observe(run, state.sampler, batch_); })
            algorithm_.sampler.observe(run, state.sampler, batch_);
        if constexpr (requires { learner_->after_iteration(run, due); }) learner_->after_iteration(run, due);
        carry_out(roars::detail::call_after_iteration(algorithm_.regularizer, run, state.regularizer));
    }
    /// Calls visit("method", state): all that a checkpoint must hold beside the learner. The next step begins from what
    /// is put there.
    template <class Visit>
    void for_each_state(Visit&& visit) {
        if constexpr (StepsOf::own)
            if (own_steps_) own_steps_->save(state.optimizer);
        visit("method", state);
        own_steps_.reset();
    }
    template <class Visit>
    void for_each_state(Visit&& visit) const {
        if constexpr (StepsOf::own)
            if (own_steps_) {
                auto whole = state;
                own_steps_->save(whole.optimizer);
                return visit("method", std::as_const(whole));
            }
        visit("method", state);
    }
    /// Calls use(state) of the algorithm that is at work.
    template <class Use>
    void with_state(Use&& use) const {
        use(state);
    }
    const ResultType& result() const { return result_; }
    const BatchType& batch() const { return batch_; }

    /// To be told what the policy is worth, behind an iteration: a part may want to begin again from it.
    template <class RunType>
    void evaluated(RunType& run, double score) {
        carry_out(roars::detail::call_after_evaluation(algorithm_.regularizer, run, state.regularizer, score));
    }

private:
    /// A regularizer that wants to see the whole data set sees it before the first update, also behind a checkpoint.
    template <class RunType>
    void show_data(RunType& run) {
        if constexpr (roars::detail::WatchesDataset<typename A::Regularizer>) {
            static_assert(
                requires(BatchType & rows) { learner_->all_rows(rows); },
                "roars: the regularizer looks at a data set, and this learner has none");
            if (shown_) return;
            BatchType data;
            learner_->all_rows(data);
            roars::detail::call_on_dataset(algorithm_.regularizer, run, state.regularizer, std::as_const(data));
            shown_ = true;
        }
    }
    /// A learner may act by what the advantage has learnt (a plan, a critic's best action, a balance for each state):
    /// guided_by(run, advantage, state), before anything else in every iteration. Both outlive the learner's use.
    template <class RunType>
    void guide(RunType& run) {
        if constexpr (requires { learner_->guided_by(run, algorithm_.advantage, state.advantage); })
            learner_->guided_by(run, algorithm_.advantage, state.advantage);
        else
            static_assert(!ClosedFormPart<typename A::Optimizer>,
                          "roars: the optimizer is a closed form, and this learner does not act by the advantage");
    }
    void carry_out(const Reset& reset) {
        if constexpr (requires { learner_->set_reference(); })
            if (reset.reference) learner_->set_reference();
        if (!reset.step) return;
        state.optimizer = {};
        own_steps_.reset();
    }

    static Record describe(const BatchType& batch) {
        Record record{{"sequences", double(batch.sequences())}, {"tokens", double(batch.tokens())}};
        double n = std::max<double>(1.0, double(batch.sequences()));
        record.emplace_back("length", double(batch.tokens()) / n);
        auto mean = [&]<class Column>(Column column, const char* name) {
            if constexpr (BatchType::template has<Column>) {
                double sum = 0;
                for (Real value : batch[column]) sum += double(value);
                record.emplace_back(name, sum / n);
            }
        };
        mean(col::outcome{}, "outcome");
        mean(col::reward{}, "reward");
        mean(col::truncated{}, "truncated");
        return record;
    }

    /// A sampler that fills the same batch again and again says `using keeps_batch = void`.
    static constexpr bool keeps_batch = requires { typename A::Sampler::keeps_batch; };
    /// A learner whose transitions stand for themselves says `using minibatches_of_tokens = void`.
    static constexpr bool cuts_tokens = requires { typename Learner::minibatches_of_tokens; };

    template <class RunType>
    bool policy_is_due(const RunType& run) const {
        if constexpr (requires { algorithm_.optimizer.every; })
            return algorithm_.optimizer.every <= 1 || run.progress.iteration % algorithm_.optimizer.every == 0;
        else
            return true;
    }

    template <class RunType>
    void update([[maybe_unused]] RunType& run, [[maybe_unused]] BatchType& batch) {
        if constexpr (!ClosedFormPart<typename A::Optimizer>) learn_policy(run, batch);
    }
    template <class RunType>
    void learn_policy(RunType& run, BatchType& batch) {
        const std::int64_t units = cuts_tokens ? batch.tokens() : batch.units();
        if (units == 0) return;
        const auto& optimizer = algorithm_.optimizer;
        const std::int64_t pieces = std::clamp<std::int64_t>(optimizer.minibatches, 1, units);
        for (int epoch = 0; epoch < optimizer.epochs; ++epoch) {
            if (pieces == 1) {
                step_on(run, batch);
                continue;
            }
            auto order = shuffled(run, units, epoch);
            for (std::int64_t k = 0; k < pieces; ++k) {
                pick(batch, order, units * k / pieces, units * (k + 1) / pieces);
                step_on(run, minibatch_);
            }
        }
        for (double& loss : result_.term_loss) loss /= double(steps_);
    }
    template <class RunType>
    void step_on(RunType& run, BatchType& batch) {
        auto result = objective_and_step(run, batch);
        result_ += result;
        roars::detail::call_observe(algorithm_.regularizer, run, state.regularizer, result);
        ++steps_;
    }

    template <class RunType>
    auto objective_and_step(RunType& run, BatchType& batch) {
        if constexpr (StepsOf::own) {
            if (!own_steps_) own_steps_.emplace(learner_->steps(algorithm_)).load(state.optimizer);
            return learner_->take_step(*own_steps_, algorithm_, run, state, batch);
        } else {
            learner_->parameters().zero_gradients();
            auto result = learner_->accumulate(algorithm_, run, state, batch);
            algorithm_.optimizer.step.step(state.optimizer, learner_->parameters().values(),
                                           learner_->parameters().gradients());
            return result;
        }
    }

    /// The order in which an epoch takes the units: a function of seed, iteration and epoch.
    template <class RunType>
    static std::vector<std::int64_t> shuffled(RunType& run, std::int64_t count, int epoch) {
        std::vector<std::int64_t> order(static_cast<std::size_t>(count));
        for (std::int64_t i = 0; i < count; ++i) order[std::size_t(i)] = i;
        RandomStream stream(run.random.of(Purpose::shuffle).at(std::uint32_t(run.progress.iteration)),
                            std::uint64_t(epoch) << 32);
        for (std::int64_t i = count - 1; i > 0; --i)
            std::swap(order[std::size_t(i)], order[std::size_t(stream.below(i + 1))]);
        return order;
    }
    void pick(const BatchType& batch, const std::vector<std::int64_t>& order, std::int64_t first, std::int64_t last) {
        if constexpr (cuts_tokens) {
            minibatch_.gather_tokens(batch, std::span(order).subspan(static_cast<std::size_t>(first),
                                                                     static_cast<std::size_t>(last - first)));
        } else {
            minibatch_ = BatchType();
            for (std::int64_t i = first; i < last; ++i) {
                std::int64_t unit = order[std::size_t(i)];
                minibatch_.append(batch.slice_units(unit, unit + 1));
            }
        }
    }

    using StepsOf = detail::steps_of<A, Learner>;
    std::optional<typename StepsOf::type> own_steps_;
    BatchType batch_, minibatch_;
    ResultType result_{};
    std::int64_t steps_ = 0;
    bool shown_ = false;
    A algorithm_;
    Learner* learner_;
};

}  // namespace roars::train
