#include <cmath>

#include "claim.hpp"
#include "roars/actors/heads.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/methods/a2pr.hpp"
#include "roars/methods/offline.hpp"
#include "roars/methods/prdc.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::claims::of_guided_policies {
namespace {

/// 2,000 logged steps of the cliff bandit, actions well away from the cliff: 90 % near -0.5, 10 % anywhere below 0.6.
struct Log {
    std::int64_t observation_size = 1, action_size = 1;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }

    Log(const env::CliffBandit& world, std::uint64_t seed) {
        RandomStream random(Random(seed, Purpose::task));
        for (int row = 0; row < 2000; ++row) {
            env::CliffBandit::State at;
            world.reset(at, random);
            double usual = -0.5 + 0.15 * random.normal(), rare = -1.0 + 1.6 * random.uniform();
            double a = random.uniform() < 0.9 ? std::clamp(usual, -1.0, 0.6) : rare;
            state.push_back(static_cast<float>(at.context));
            action.push_back(static_cast<float>(a));
            const float taken[] = {static_cast<float>(a)};
            reward.push_back(static_cast<float>(world.step(at, std::span<const float>(taken), random).reward));
        }
        next_state = state;
        terminated.assign(state.size(), 1);
        truncated.assign(state.size(), 0);
    }
};

using Learner = train::ControlLearner<env::CliffBandit, actor::DeterministicAction>;

/// Networks and rates: 2 x 64, Adam 1e-3, batches of 128, gamma 0.
template <class Method>
void make_small(Method& method, double rate, double alpha) {
    const step::AdamW adam{.learning_rate = 1e-3 * rate};
    auto& critics = [&]() -> auto& {
        if constexpr (requires { method.advantage.model; }) {
            method.advantage.value_network = {.width = 64, .layers = 2};
            method.advantage.value_step = adam;
            method.advantage.model.width = 64;
            method.advantage.model.step = adam;
            return method.advantage.critics;
        } else {
            return method.advantage;
        }
    }
    ();
    critics.network = {.width = 64, .layers = 2};
    critics.step = adam;
    critics.target.rule.gamma = 0.0;
    method.sampler.batch_size = 128;
    method.sampler.standardise = false;  // one state, of about the unit already
    method.optimizer.step = adam;
    method.optimizer.surrogate.alpha = alpha;
    method.optimizer.every = 2;
}

/// The policy's return over 200 contexts, and how far its critic's estimate is from it.
template <class Method>
Numbers run_offline(Method method, double alpha, const Trial& trial) {
    make_small(method, trial.rate, alpha);
    env::CliffBandit world;
    Learner learner(world, {.width = 64, .layers = 2, .evaluation_episodes = 200}, trial.seed);
    learner.learn_from(Log(world, trial.seed));
    train::Trainer<Method, Learner> trainer(method, learner);
    backend::Host host;
    double estimate = 0.0;
    for (std::int64_t i = 0; i < trial.updates; ++i) {
        stop_if_interrupted();
        Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, trial.updates}};
        trainer.advance(run);
        if (i + 20 >= trial.updates && i % method.optimizer.every == 0) estimate = trainer.result().metric("q");
    }
    Run run{host, Random(trial.seed), Progress{trial.updates, trial.updates}};
    double mean = learner.evaluate(run).mean;
    return {
        {"return", mean}, {"overestimation", estimate - mean}, {"error of the estimate", std::abs(estimate - mean)}};
}

template <class Method>
Arm arm(std::string name, const Method& method, double alpha) {
    return {std::move(name), [=](const Trial& trial) { return run_offline(method, alpha, trial); }};
}
methods::TwinDelayedCloning free_td3() {
    auto method = methods::td3_bc;
    method.regularizer.coefficient = 0.0;
    return method;
}
Claim better(std::string says, std::string method, double least) {
    return {.says = std::move(says),
            .method = std::move(method),
            .baseline = "TD3+BC",
            .number = "return",
            .expected = Expected::higher,
            .least = least};
}
Claim estimated(std::string method) {
    return {.says = "its critic believes what is true, without a constraint it does not",
            .method = std::move(method),
            .baseline = "TD3",
            .number = "error of the estimate",
            .expected = Expected::lower,
            .least = 1.0};
}
constexpr const char* cliff =
    "One step: r = a + 0.2 sin(3 s), -1 beyond a = 0.7. 2,000 logged rows, 90 % of their actions near -0.5, 10 % "
    "uniform "
    "below 0.6. Networks 2 x 64, Adam 1e-3, batch 128, 2,000 updates, the policy in every second, gamma 0, the same "
    "alpha "
    "for all: 0.1.";

}  // namespace

/// Good actions are rare in the data at any one state, and never far away in state.
void add_dataset_constraint(std::vector<Experiment>& all) {
    all.push_back(
        {.name = "dataset-constraint",
         .paper = "2306.06569, PRDC",
         .page = "prdc",
         .setup = cliff,
         .updates = 2000,
         .arms = {arm("TD3", free_td3(), 0.1), arm("TD3+BC", methods::td3_bc, 0.1), arm("PRDC", methods::prdc, 0.1),
                  arm("PRDC, alpha 0.05", methods::prdc, 0.05), arm("PRDC, alpha 0.5", methods::prdc, 0.5),
                  arm("TD3+BC, alpha 0.05", methods::td3_bc, 0.05), arm("TD3+BC, alpha 0.5", methods::td3_bc, 0.5),
                  arm("TD3+BC, alpha 1", methods::td3_bc, 1.0), arm("PRDC, alpha 1", methods::prdc, 1.0)},
         .claims = {better("the good actions of the data are found", "PRDC", 0.5), estimated("PRDC")}});
}

void add_guided_policy(std::vector<Experiment>& all) {
    all.push_back(
        {.name = "advantage-guided",
         .paper = "2405.19909, A2PR",
         .page = "a2pr",
         .setup = cliff,
         .updates = 2000,
         .arms = {arm("TD3", free_td3(), 0.1), arm("TD3+BC", methods::td3_bc, 0.1), arm("A2PR", methods::a2pr, 0.1)},
         .claims = {better("good actions are imitated, usual ones are not", "A2PR", 0.2), estimated("A2PR")}});
}

}  // namespace roars::claims::of_guided_policies
