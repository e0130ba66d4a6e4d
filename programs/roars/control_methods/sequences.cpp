#include "../train_control.hpp"
#include "roars/train/sequence_learner.hpp"

namespace roars::program {

void add_sequence_models(Programs& programs) {
    add_learner<train::SequenceLearner<ContinuousWorld, actor::DeterministicAction>, methods::DecisionTransformer>(
        programs);
    add_learner<train::SequenceLearner<DiscreteWorld, actor::Categorical>, methods::DiscreteDecisionTransformer>(
        programs);
}

}  // namespace roars::program
