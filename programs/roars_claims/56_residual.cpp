#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "claim.hpp"
#include "roars/actors/heads.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/methods/residual_rl.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/staged_trainer.hpp"
#include "roars/train/with_base_policy.hpp"

namespace roars::claims::of_residual {
namespace {

/// Half the way to the goal in a step, turned by half a radian, and a push that depends on the goal's side.
struct SkewedController {
    struct State {};
    void act(State&, std::span<const double> seen, std::span<double> action) const {
        const double x = (seen[2] - seen[0]) / 0.15, y = (seen[3] - seen[1]) / 0.15;
        const double c = std::cos(0.5), s = std::sin(0.5);
        action[0] = std::clamp(0.5 * (c * x - s * y) + (seen[2] > 0 ? 0.35 : 0.05), -1.0, 1.0);
        action[1] = std::clamp(0.5 * (s * x + c * y) - (seen[2] > 0 ? 0.3 : 0.0), -1.0, 1.0);
    }
};
/// No base at all.
struct Stands {
    struct State {};
    void act(State&, std::span<const double>, std::span<double> action) const {
        std::fill(action.begin(), action.end(), 0.0);
    }
};

/// 20 episodes straight to the goal with noise. What was executed stands there as a correction of the base's action.
template <class Base>
struct Shown {
    std::int64_t observation_size = 6, action_size = 2;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }

    Shown(double action_scale, std::uint64_t seed) {
        const env::PointReach world;
        RandomStream random{Random(seed, Purpose::user)};
        auto episode = env::Episode<env::PointReach>::of(seed, 1000);
        std::array<double, 6> seen{};  // the world's, and the base's action there
        auto look = [&](std::vector<float>& to) {
            typename Base::State memory{};
            world.observe(episode.state, std::span(seen).first(4));
            Base().act(memory, std::span<const double>(seen).first(4), std::span(seen).last(2));
            to.insert(to.end(), seen.begin(), seen.end());
        };
        for (int k = 0; k < 20; ++k) {
            episode.reset(world);
            for (bool ended = false; !ended;) {
                look(state);
                std::array<double, 2> executed{};
                for (std::size_t j = 0; j < 2; ++j) {
                    const double straight = std::clamp((seen[2 + j] - seen[j]) / 0.15, -1.0, 1.0);
                    executed[j] = std::clamp(straight + 0.2 * random.normal(), -1.0, 1.0);
                    action.push_back(static_cast<float>((executed[j] - seen[4 + j]) / action_scale));
                }
                auto result = episode.step(world, std::span<const double>(executed));
                reward.push_back(static_cast<float>(result.reward));
                terminated.push_back(result.terminated);
                truncated.push_back(result.truncated);
                look(next_state);
                ended = result.ended();
            }
        }
    }
};

/// Success over 60 fixed episodes, every 500 steps. The first 500 are the warm-up, and behind them the critics learn
/// alone for `critics_alone` updates.
template <class Base>
Numbers run_residual(double action_scale, double random_range, std::int64_t critics_alone, const Trial& trial) {
    using World = train::WithBasePolicy<env::PointReach, Base>;
    World world;
    world.correction.action_scale = action_scale;
    using Learner = train::ControlLearner<World, actor::DeterministicAction>;
    Learner learner(world,
                    {.width = 64,
                     .layers = 2,
                     .output_gain = 0.0,
                     .noise = 0.1 / action_scale,
                     .target_tau = 0.01,
                     .random_range = random_range,
                     .evaluation_episodes = 60},
                    trial.seed);
    learner.learn_from_demonstrations(Shown<Base>(action_scale, trial.seed));
    auto method = methods::residual_fine_tuning;
    method.sampler.base = {
        .capacity = 10000, .batch_size = 64, .random_steps = 500, .warm_up = 500, .every = 2, .horizon = 3};
    method.sampler.demonstrations = 64;
    method.sampler.horizon = 3;
    method.advantage.network = {.width = 64, .layers = 2, .layer_norm = true};
    method.advantage.critics = 4;
    method.advantage.step.learning_rate = 3e-4 * trial.rate;
    method.advantage.polyak.tau = 0.01;
    method.advantage.target.rule = {.gamma = 0.97, .sigma = 0.1 / action_scale, .noise_clip = 0.3 / action_scale};
    method.advantage.shown.action_scale = action_scale;
    method.optimizer.every = 2;
    method.optimizer.step.base.learning_rate = 3e-4 * trial.rate;
    const methods::Resfit stages{methods::critics_alone(method, critics_alone), {method, 2 * trial.updates}};
    train::StagedTrainer<methods::Resfit, Learner> trainer(stages, learner);
    backend::Host host;
    Numbers numbers;
    auto measure = [&] {
        Run run{host, Random(trial.seed)};
        const double success = learner.evaluate(run).mean;
        if (learner.position.steps == 0) numbers["base"] = success;
        numbers["success@" + std::to_string(learner.position.steps)] = success;
        numbers["success"] = success;
        numbers["gain"] = success - numbers["base"];
    };
    measure();
    for (std::int64_t i = 0; learner.position.steps < trial.updates; ++i) {
        stop_if_interrupted();
        Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, 2 * trial.updates}};
        const std::int64_t before = learner.position.steps;
        trainer.advance(run);
        if (learner.position.steps != before && learner.position.steps % 500 == 0) measure();
    }
    measure();
    return numbers;
}

}  // namespace

/// A poor controller, corrected: near success in 3,000 steps, where the same learner without it is not.
void add(std::vector<Experiment>& all) {
    Arm residual{"ResFiT", [](const Trial& trial) { return run_residual<SkewedController>(0.5, 0.4, 500, trial); }};
    Arm alone{"without a base", [](const Trial& trial) { return run_residual<Stands>(1.0, 1.0, 500, trial); }};
    Arm base{"base", [](const Trial& trial) {
                 return run_residual<SkewedController>(0.5, 0.4, 0, {trial.seed, trial.rate, 0});
             }};
    all.push_back(
        {.name = "residual",
         .paper = "2509.19301, ResFiT",
         .page = "residual-rl",
         .setup = "Point reach, the reward is success alone. Base: a controller with half the gain, turned by 0.5 rad "
                  "and biased. 20 demonstrations, half of every batch of 128; 3,000 steps, the first 500 at random "
                  "around the base, behind them 500 updates of the critics alone, then two updates a step, 4 critics "
                  "of 2 x 64 with layer norm, n = 3, gamma 0.97, action_scale 0.5, Adam 3e-4. Without a base: the same "
                  "with b = 0 and action_scale 1. Measured: success over 60 episodes.",
         .updates = 3000,
         .rates = {0.5, 1, 2, 4},
         .tuned_by = "success",
         .arms = {residual, alone, base},
         .claims = {Claim{.says = "far above the base",
                          .method = "ResFiT",
                          .baseline = "base",
                          .number = "success",
                          .expected = Expected::higher,
                          .least = 0.15},
                    Claim{.says = "and above the same learner without it",
                          .method = "ResFiT",
                          .baseline = "without a base",
                          .number = "success",
                          .expected = Expected::higher,
                          .least = 0.15}}});
}

}  // namespace roars::claims::of_residual
