#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "roars/algorithm.hpp"

namespace roars::train {

/// What one iteration measured, by name, in order.
using Record = std::vector<std::pair<std::string, double>>;

/// Ties an algorithm to a learner (an actor at work on a task). One iteration is
///     collect -> score -> refresh -> estimate -> epochs x minibatches x (objective -> step -> observe) -> observe.
/// The compiler refuses a learner that does not bring what the algorithm asks from outside, and names the column.
template <class A, class Learner>
class Trainer {
public:
    static_assert(fits_v<A, Learner>, "roars: the algorithm asks for a column that this actor and task do not bring");
    using Real = typename Learner::Real;
    using BatchType = Batch<Real, unite_t<typename A::Columns, typename Learner::keeps>>;

    Trainer(const A& algorithm, Learner& learner) : algorithm_(algorithm), learner_(&learner) {}

    const A& algorithm() const { return algorithm_; }
    Learner& learner() { return *learner_; }
    typename A::State state{};

    template <class RunType>
    Record iterate(RunType& run) {
        BatchType batch;
        auto score = [&](auto& drawn) { algorithm_.score(run, state, drawn); };
        algorithm_.sampler.collect(run, state.sampler, *learner_, batch, score);
        learner_->refresh(run, batch);
        algorithm_.estimate(run, state, batch);
        Record record = describe(batch);
        update(run, batch, record);
        if constexpr (requires { algorithm_.sampler.observe(run, state.sampler, batch); })
            algorithm_.sampler.observe(run, state.sampler, batch);
        carry_out(roars::detail::call_after_iteration(algorithm_.regularizer, run, state.regularizer));
        return record;
    }

    /// To be told what the policy is worth, behind an iteration: a part may want to begin again from it.
    template <class RunType>
    void evaluated(RunType& run, double score) {
        carry_out(roars::detail::call_after_evaluation(algorithm_.regularizer, run, state.regularizer, score));
    }

private:
    void carry_out(const Reset& reset) {
        if (reset.reference) learner_->set_reference();
        if (reset.step) state.optimizer = {};
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

    template <class RunType>
    void update(RunType& run, BatchType& batch, Record& record) {
        if (batch.units() == 0) return;
        const auto& optimizer = algorithm_.optimizer;
        using ResultType = decltype(learner_->accumulate(algorithm_, run, state, batch));
        ResultType sum;
        std::int64_t steps = 0;
        for (int epoch = 0; epoch < optimizer.epochs; ++epoch) {
            auto order = shuffled(run, batch.units(), epoch);
            std::int64_t pieces = std::clamp<std::int64_t>(optimizer.minibatches, 1, batch.units());
            for (std::int64_t k = 0; k < pieces; ++k) {
                std::int64_t first = batch.units() * k / pieces, last = batch.units() * (k + 1) / pieces;
                auto minibatch = pieces == 1 ? batch : pick(batch, order, first, last);
                learner_->parameters().zero_gradients();
                auto result = learner_->accumulate(algorithm_, run, state, minibatch);
                sum += result;
                optimizer.step.step(state.optimizer, learner_->parameters().values(),
                                    learner_->parameters().gradients());
                roars::detail::call_observe(algorithm_.regularizer, run, state.regularizer, result);
                ++steps;
            }
        }
        for (double& loss : sum.term_loss) loss /= double(steps);
        record.emplace_back("loss", sum.loss());
        sum.for_each([&](std::string_view name, double value) { record.emplace_back(std::string(name), value); });
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
    static BatchType pick(const BatchType& batch, const std::vector<std::int64_t>& order, std::int64_t first,
                          std::int64_t last) {
        BatchType picked;
        for (std::int64_t i = first; i < last; ++i) {
            std::int64_t unit = order[std::size_t(i)];
            picked.append(batch.slice_units(unit, unit + 1));
        }
        return picked;
    }

    A algorithm_;
    Learner* learner_;
};

}  // namespace roars::train
