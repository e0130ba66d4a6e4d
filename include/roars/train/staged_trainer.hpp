#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "roars/stages.hpp"
#include "roars/train/trainer.hpp"

namespace roars::train {

/// Trains one stage after another on the same learner. A stage sees its own progress, random numbers of its own, and
/// what it takes over; its States are kept when it is over. The first stage alone does what a Trainer does.
template <class StagesType, class Learner>
class StagedTrainer;

template <class... S, class Learner>
class StagedTrainer<Stages<S...>, Learner> {
public:
    StagedTrainer(const Stages<S...>& stages, Learner& learner)
        : stages_(stages), learner_(&learner), trainers_(apply(stages, [&](const S&... each) {
              return std::tuple<Trainer<typename S::Algorithm, Learner>...>(
                  Trainer<typename S::Algorithm, Learner>(each.algorithm, learner)...);
          })) {}

    const Stages<S...>& stages() const { return stages_; }
    Learner& learner() { return *learner_; }
    /// Where it stands, saved in the checkpoint.
    struct Position {
        std::int64_t stage = 0;  ///< that the last iteration was in
    };
    ROARS_MEMBERS(Position, stage)
    Position position;

    /// Iteration run.progress.iteration of the whole run; iterations come in order.
    template <class RunType>
    Record iterate(RunType& run) {
        Record record;
        at_work(run, [&](auto& trainer, auto& own) { record = trainer.iterate(own); });
        record.emplace_back("stage", double(position.stage));
        return record;
    }
    /// The same of which nobody wants a record.
    template <class RunType>
    void advance(RunType& run) {
        at_work(run, [](auto& trainer, auto& own) { trainer.advance(own); });
    }
    /// To be told what the policy is worth, behind an iteration.
    template <class RunType>
    void evaluated(RunType& run, double score) {
        for_each_stage([&](auto k) {
            if (std::int64_t(k()) == position.stage) std::get<k()>(trainers_).evaluated(run, score);
        });
    }
    /// Calls visit("stages", position), and visit("stage_0", state) for the State of each stage: all that a checkpoint
    /// must hold beside the learner.
    template <class Visit>
    void for_each_state(Visit&& visit) {
        visit_states(*this, visit);
    }
    template <class Visit>
    void for_each_state(Visit&& visit) const {
        visit_states(*this, visit);
    }
    /// Calls use(state) of the stage that is at work.
    template <class Use>
    void with_state(Use&& use) const {
        for_each_stage([&](auto k) {
            if (std::int64_t(k()) == position.stage) use(std::get<k()>(trainers_).state);
        });
    }
    template <std::size_t k>
    auto& state_of() {
        return std::get<k>(trainers_).state;
    }

private:
    template <class Visit>
    static void for_each_stage(Visit&& visit) {
        [&]<std::size_t... k>(std::index_sequence<k...>) { (visit(std::integral_constant<std::size_t, k>{}), ...); }
        (std::index_sequence_for<S...>{});
    }
    template <class Self, class Visit>
    static void visit_states(Self& self, Visit& visit) {
        visit("stages", self.position);
        for_each_stage([&](auto k) {
            std::get<k()>(self.trainers_).for_each_state([&](std::string_view, auto& state) {
                visit("stage_" + std::to_string(k()), state);
            });
        });
    }
    /// Calls use(trainer, run) of the stage in which the iteration falls, and enters those on the way to it.
    template <class RunType, class Use>
    void at_work(RunType& run, Use&& use) {
        auto place = stages_.at(run.progress.iteration);
        for_each_stage([&]<std::size_t k>(std::integral_constant<std::size_t, k>) {
            if (k > place.stage) return;
            if constexpr (k > 0)
                if (position.stage < std::int64_t(k)) enter<k>();
            if (k < place.stage) return;
            auto own = run;
            own.random = random_of_algorithm(run.random, k);
            own.progress = {place.iteration, place.iterations};
            use(std::get<k>(trainers_), own);
        });
    }
    template <std::size_t k>
    void enter() {
        using Here = std::tuple_element_t<k, std::tuple<S...>>;
        std::get<k>(trainers_).state = Here::begin(std::get<k - 1>(trainers_).state);
        if constexpr (Here::takes_reference) learner_->set_reference();
        position.stage = std::int64_t(k);
    }

    Stages<S...> stages_;
    Learner* learner_;
    std::tuple<Trainer<typename S::Algorithm, Learner>...> trainers_;
};

}  // namespace roars::train
