#include "roars/methods/dapo.hpp"

using namespace roars;

/// One method as an engine instantiates it.
double dapo_loss(backend::Host& host, const methods::Dapo& dapo, methods::Dapo::State& state,
                 methods::Dapo::BatchFor<float>& batch) {
    Run run{host};
    dapo.score(run, state, batch);
    dapo.estimate(run, state, batch);
    return dapo.objective(run, state, batch).loss();
}
