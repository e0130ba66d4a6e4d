#include "../train_control.hpp"

namespace roars::program {

void add_offline_methods(Programs& programs) {
    add_control<actor::DeterministicAction, false, methods::BehaviourCloning, methods::TwinDelayedCloning>(programs);
    add_control<actor::DiagonalGaussian<true>, false, methods::ImplicitQLearning, methods::AdvantageWeighted>(programs);
    add_control<actor::SquashedGaussian, false, methods::ConservativeQ>(programs);
}

}  // namespace roars::program
