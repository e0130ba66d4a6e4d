#pragma once

#include "roars/train/interleaved_trainer.hpp"
#include "roars/train/staged_trainer.hpp"
#include "roars/train/trainer.hpp"

namespace roars::train {

namespace detail {
template <class Method, class Learner>
struct trainer_of {
    using type = Trainer<Method, Learner>;
};
template <class... S, class Learner>
struct trainer_of<Stages<S...>, Learner> {
    using type = StagedTrainer<Stages<S...>, Learner>;
};
template <class Main, class Side, class Learner>
struct trainer_of<Interleaved<Main, Side>, Learner> {
    using type = InterleavedTrainer<Interleaved<Main, Side>, Learner>;
};
}  // namespace detail

/// What trains a method: one algorithm, Stages, or Interleaved.
template <class Method, class Learner>
using TrainerOf = typename detail::trainer_of<Method, Learner>::type;

}  // namespace roars::train
