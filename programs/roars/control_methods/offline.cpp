#include "../train_control.hpp"

namespace roars::program {

void add_offline_methods(Programs& programs) {
    add_control<actor::DeterministicAction, false, methods::BehaviourCloning, methods::TwinDelayedCloning>(programs);
    add_control<actor::DiagonalGaussian<true>, false, methods::ImplicitQLearning, methods::AdvantageWeighted,
                methods::Fdvl, methods::FdvlVariation>(programs);
    add_control<actor::Balanced<actor::DiagonalGaussian<true>>, false, methods::Famo2oOffline, methods::Famo2oOnline,
                methods::Famo2o>(programs);
    add_control<actor::Balanced<actor::SquashedGaussian>, false, methods::Famo2oConservativeOffline,
                methods::Famo2oConservativeOnline, methods::Famo2oConservative>(programs);
    add_control<actor::SquashedGaussian, false, methods::ConservativeQ, methods::ConservativeQLagrangian,
                methods::Recoil, methods::RecoilStabilised>(programs);
}

}  // namespace roars::program
