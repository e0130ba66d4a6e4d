#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "roars/interleaved.hpp"
#include "roars/train/trainer.hpp"

namespace roars::train {

template <class Main, class Side, class Learner>
inline constexpr bool draws_from<Interleaved<Main, Side>, Learner> =
    draws_from<Main, Learner>&& draws_from<Side, Learner>;

/// Trains the first algorithm in every iteration and the second one behind it wherever its sampler says that it is due,
/// at most once an iteration. Each is a Trainer: States, step rules and moments are its own, and so are the second
/// one's random numbers. As long as that is not due this does what a Trainer of the first one does.
template <class Method, class Learner>
class InterleavedTrainer;

template <class Main, class Side, class Learner>
class InterleavedTrainer<Interleaved<Main, Side>, Learner> {
    using MainTrainer = Trainer<Main, Learner>;
    static_assert(
        column_needed_but_given_by_no_part_or_actor<
            minus_t<typename Side::Sampler::watches, typename MainTrainer::BatchType::Columns>>::value,
        "roars: the sampler of the second algorithm watches a column that the batch of the first one has not got");

public:
    InterleavedTrainer(const Interleaved<Main, Side>& method, Learner& learner)
        : main_(method.main, learner), side_(method.side, learner) {}

    Learner& learner() { return main_.learner(); }
    /// Where it stands, saved in the checkpoint.
    struct Position {
        std::int64_t side_iterations = 0;
    };
    ROARS_MEMBERS(Position, side_iterations)
    Position position;

    /// What the first one measured; "side", the iterations of the second one so far; and its loss, where it had one.
    template <class RunType>
    Record iterate(RunType& run) {
        Record record = main_.iterate(run);
        const bool took = follow(run);
        record.emplace_back("side", double(position.side_iterations));
        if (took) record.emplace_back("side_loss", side_.result().loss());
        return record;
    }
    /// The same of which nobody wants a record.
    template <class RunType>
    void advance(RunType& run) {
        main_.advance(run);
        follow(run);
    }
    template <class RunType>
    void evaluated(RunType& run, double score) {
        main_.evaluated(run, score);
        side_.evaluated(run, score);
    }
    /// Calls visit("interleaved", position), visit("main", state) and visit("side", state): all that a checkpoint must
    /// hold beside the learner.
    template <class Visit>
    void for_each_state(Visit&& visit) {
        visit_states(*this, visit);
    }
    template <class Visit>
    void for_each_state(Visit&& visit) const {
        visit_states(*this, visit);
    }
    /// Calls use(state) of the first algorithm.
    template <class Use>
    void with_state(Use&& use) const {
        use(main_.state);
    }
    MainTrainer& main() { return main_; }
    Trainer<Side, Learner>& side() { return side_; }

private:
    template <class RunType>
    bool follow(RunType& run) {
        const auto& sampler = side_.algorithm().sampler;
        sampler.watch(run, side_.state.sampler, learner(), main_.batch());
        if (!sampler.due(side_.state.sampler)) return false;
        auto own = run;
        own.random = random_of_algorithm(run.random, 1);
        side_.advance(own);
        ++position.side_iterations;
        return true;
    }
    template <class Self, class Visit>
    static void visit_states(Self& self, Visit& visit) {
        visit("interleaved", self.position);
        self.main_.for_each_state([&](std::string_view, auto& state) { visit("main", state); });
        self.side_.for_each_state([&](std::string_view, auto& state) { visit("side", state); });
    }

    MainTrainer main_;
    Trainer<Side, Learner> side_;
};

}  // namespace roars::train
