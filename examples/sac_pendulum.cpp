// Soft actor-critic swings up a pendulum: five parts, an environment, a learner, and a loop of one's own.
// Usage: example_sac_pendulum [SEEDS [STEPS]]. Prints time and return of each seed, and their mean. One environment,
// networks of two hidden layers of 64 units, batches of 100, one update of critics, policy and temperature a step.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "roars/environments/pendulum.hpp"
#include "roars/methods/sac.hpp"
#include "roars/train/control_learner.hpp"

using namespace roars;

namespace {

/// The paper's settings, but for what a small task asks for.
methods::SoftActorCritic small_sac() {
    auto method = methods::sac;
    method.sampler = {.capacity = 100000, .batch_size = 100, .random_steps = 100, .warm_up = 100};
    method.advantage.network = {.width = 64, .layers = 2};
    method.advantage.step.learning_rate = 1e-3;
    method.regularizer.step.learning_rate = 1e-3;
    method.optimizer.step.learning_rate = 1e-3;
    return method;
}

train::Returns train_one(std::uint64_t seed, std::int64_t steps) {
    using Learner = train::ControlLearner<env::Pendulum, actor::SquashedGaussian>;
    Learner learner(env::Pendulum{}, {.width = 64, .layers = 2}, seed);
    train::Trainer<methods::SoftActorCritic, Learner> trainer(small_sac(), learner);
    backend::Host host;
    for (std::int64_t i = 0; i < steps; ++i) {
        Run run{host, Random(seed).at(static_cast<std::uint32_t>(i)), Progress{i, steps}};
        trainer.advance(run);
    }
    Run run{host, Random(seed)};
    return learner.evaluate(run);
}

}  // namespace

int main(int argc, char** argv) {
    const int seeds = argc > 1 ? std::atoi(argv[1]) : 1;
    const std::int64_t steps = argc > 2 ? std::atoll(argv[2]) : 8000;
    if (seeds < 1 || steps < 1) {
        std::fprintf(stderr, "usage: example_sac_pendulum [SEEDS [STEPS]], both 1 or more\n");
        return 2;
    }
    double mean = 0;
    for (int seed = 0; seed < seeds; ++seed) {
        auto start = std::chrono::steady_clock::now();
        auto returns = train_one(static_cast<std::uint64_t>(seed), steps);
        double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::printf("seed %d: return %.1f +- %.1f over %lld episodes, %.2f s\n", seed, returns.mean, returns.deviation,
                    static_cast<long long>(returns.episodes), seconds);
        mean += returns.mean / seeds;
    }
    std::printf("mean return of %d seed%s after %lld steps: %.1f\n", seeds, seeds == 1 ? "" : "s",
                static_cast<long long>(steps), mean);
    return mean > -400 ? 0 : 1;
}
