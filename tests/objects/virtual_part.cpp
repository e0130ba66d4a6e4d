#include "roars/methods/dapo.hpp"

/// What the check must find: a part behind a virtual function.
namespace roars {
struct AnyReward {
    virtual ~AnyReward() = default;
    virtual double value(double outcome) const { return outcome; }
};
AnyReward* any_reward = new AnyReward;
}  // namespace roars

double dapo_loss(roars::backend::Host& host, roars::methods::Dapo::State& state,
                 roars::methods::Dapo::BatchFor<float>& batch) {
    roars::Run run{host};
    return roars::any_reward->value(roars::methods::dapo.objective(run, state, batch).loss());
}
