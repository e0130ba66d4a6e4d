#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "12_zero_shot.hpp"
#include "roars/data/transitions.hpp"
#include "roars/methods/zero_shot.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::claims::of_zero_shot_continuous {
namespace {

/// A place in the square [-1, 1]^2 that an action of [-1, 1]^2 moves by up to 0.3. An episode ends, paid 1, within 0.2
/// of the goal, which is the caller's and is not seen.
struct Plane {
    const std::array<double, 2>* goal;

    static constexpr int observation_size = 2, action_size = 2, max_steps = 25;
    struct State {
        std::array<double, 2> place;
    };
    double action_low() const { return -1; }
    double action_high() const { return 1; }
    void reset(State& state, RandomStream& random) const {
        for (double& each : state.place) each = 2 * random.uniform() - 1;
    }
    template <class Real>
    env::StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        bool there = true;
        for (std::size_t j = 0; j < 2; ++j) {
            state.place[j] = std::clamp(state.place[j] + 0.3 * std::clamp(double(action[j]), -1.0, 1.0), -1.0, 1.0);
            there = there && std::abs(state.place[j] - (*goal)[j]) < 0.2;
        }
        return {there ? 1.0 : 0.0, there};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        for (std::size_t j = 0; j < 2; ++j) to[j] = static_cast<Real>(state.place[j]);
    }
};
using Learner = train::ControlLearner<Plane, actor::ForTask<actor::DeterministicAction>>;

/// Walks without an aim, begun anew every 25 steps; `low`: in each of 16 tiles along two of the four axes' directions
/// alone, nearly.
data::Transitions<float> walks(bool low, std::uint64_t seed) {
    data::Transitions<float> rows;
    rows.observation_size = rows.action_size = 2;
    RandomStream random(Random(seed, Purpose::task));
    std::array<std::array<std::int64_t, 2>, 16> allowed{};
    for (auto& pair : allowed) {
        pair[0] = random.below(4);
        pair[1] = (pair[0] + 1 + random.below(3)) % 4;
    }
    const std::array<double, 2> nowhere{9, 9};
    const Plane world{&nowhere};
    Plane::State at{};
    auto tile = [](double x) { return std::min(static_cast<std::size_t>((x + 1) * 2), std::size_t(3)); };
    for (int step = 0; step < (low ? 1000 : 5000); ++step) {
        if (step % 25 == 0) world.reset(at, random);
        std::array<float, 2> action{};
        for (float& each : action) each = float(2 * random.uniform() - 1);
        if (low) {
            const std::int64_t way = allowed[4 * tile(at.place[0]) + tile(at.place[1])][std::size_t(random.below(2))];
            for (float& each : action) each *= 0.2f;
            action[std::size_t(way % 2)] = way < 2 ? 1.0f : -1.0f;
        }
        for (double each : at.place) rows.state.push_back(float(each));
        rows.action.insert(rows.action.end(), action.begin(), action.end());
        world.step(at, std::span<const float>(action), random);
        for (double each : at.place) rows.next_state.push_back(float(each));
        rows.reward.push_back(0), rows.terminated.push_back(0), rows.truncated.push_back(step % 25 == 24);
    }
    return rows;
}

template <class Doubt>
double learn(const Doubt& doubt, bool low, const Trial& trial) {
    using Method = methods::ZeroShotContinuous<Doubt>;
    Method method{};
    method.sampler.base.batch_size = 128;
    method.optimizer.step.learning_rate = 1e-3;
    auto& model = method.advantage;
    model.dimensions = 25, model.members = 1;
    model.forward = {.width = 128, .layers = 2}, model.backward = {.width = 64, .layers = 2};
    model.loss.gamma = 0.9, model.doubt = doubt, model.step.learning_rate = 2e-3;
    std::array<double, 2> goal{9, 9};
    Learner learner(Plane{&goal}, {.task_dimensions = 25, .evaluation_episodes = 25}, trial.seed);
    learner.learn_from(walks(low, trial.seed));
    train::Trainer<Method, Learner> trainer(method, learner);
    train_for(trial, trainer);
    backend::Host host;
    double reached = 0;
    for (int place = 0; place < 25; ++place) {
        goal = {0.4 * (place / 5 - 2), 0.4 * (place % 5 - 2)};
        learner.pursue_goal(std::vector<float>{float(goal[0]), float(goal[1])});
        Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(place)), Progress{}};
        reached += learner.evaluate(run).mean / 25;
    }
    return reached;
}
}  // namespace

/// The same of continuous actions, by a policy that reads the task.
void add(std::vector<Experiment>& all) {
    all.push_back(of_doubt(
        "zero-shot-continuous",
        "A square, steps of up to 0.3 of 2. Low data: 1,000 steps, in each of 16 tiles along two of the four "
        "directions; full: 5,000 steps of any. d = 25, F with two layers of 128, B and the policy with two of 64, "
        "gamma 0.9, batch 128, Adam 2e-3 (policy 1e-3), 3,000 updates. Measured: the share of 25 goals "
        "times 25 starts that the policy of the goal's task reaches in 25 steps.",
        0.0, [](const auto& doubt, bool low, const Trial& trial) { return learn(doubt, low, trial); }));
}

}  // namespace roars::claims::of_zero_shot_continuous
