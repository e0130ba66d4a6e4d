#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "12_zero_shot.hpp"
#include "roars/environments/flickering.hpp"
#include "roars/methods/zero_shot.hpp"
#include "roars/sampler/contexts.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::claims::of_zero_shot {
namespace {

constexpr std::int32_t side = 5, cells = side * side, moves = 5;

/// Up, right, down, left, stay.
std::int32_t move(std::int32_t cell, std::int32_t action) {
    std::int32_t row = cell / side, column = cell % side;
    if (action == 0) row = std::max(row - 1, 0);
    if (action == 1) column = std::min(column + 1, side - 1);
    if (action == 2) row = std::min(row + 1, side - 1);
    if (action == 3) column = std::max(column - 1, 0);
    return row * side + column;
}

/// The grid as a world. What is seen of a cell is its number, one-hot.
struct Grid {
    static constexpr int observation_size = cells, action_count = moves, max_steps = 25;
    struct State {
        std::int32_t cell;
    };
    void reset(State& state, RandomStream& random) const {
        state.cell = static_cast<std::int32_t>(random.below(cells));
    }
    env::StepResult step(State& state, std::int32_t action, RandomStream&) const {
        state.cell = move(state.cell, action);
        return {0.0, false};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        std::fill(to.begin(), to.end(), Real(0));
        to[std::size_t(state.cell)] = Real(1);
    }
};
using Learner = train::ControlLearner<Grid, actor::TaskValues>;
using Dark = env::Flickering<Grid>;
using RememberingLearner = train::ControlLearner<Dark, actor::Remembering<actor::TaskValues>>;

/// Walks without an aim, begun anew every 25 steps; `low`: in each cell two of the four moves alone are ever made.
struct Walks {
    std::vector<std::int32_t> cell, action;

    Walks(bool low, std::uint64_t seed) {
        RandomStream random(Random(seed, Purpose::task));
        std::array<std::array<std::int32_t, 2>, cells> allowed{};
        for (auto& pair : allowed) {
            pair[0] = static_cast<std::int32_t>(random.below(4));
            pair[1] = static_cast<std::int32_t>((pair[0] + 1 + random.below(3)) % 4);
        }
        std::int32_t at = 0;
        for (int step = 0; step < (low ? 1000 : 5000); ++step) {
            if (step % 25 == 0) at = static_cast<std::int32_t>(random.below(cells));
            cell.push_back(at);
            action.push_back(low ? allowed[std::size_t(at)][std::size_t(random.below(2))]
                                 : static_cast<std::int32_t>(random.below(moves)));
            at = move(at, action.back());
        }
    }
    /// Which cells the rows' own steps lead to from each cell, other than itself.
    std::vector<char> connected() const {
        std::vector<char> reach(std::size_t(cells * cells));
        auto pair = [](std::int32_t from, std::int32_t to) { return std::size_t(from * cells + to); };
        for (std::size_t i = 0; i < cell.size(); ++i) reach[pair(cell[i], move(cell[i], action[i]))] = 1;
        for (std::int32_t by = 0; by < cells; ++by)
            for (std::int32_t from = 0; from < cells; ++from)
                for (std::int32_t to = 0; to < cells; ++to)
                    if (reach[pair(from, by)] && reach[pair(by, to)]) reach[pair(from, to)] = 1;
        for (std::int32_t from = 0; from < cells; ++from) reach[pair(from, from)] = 0;
        return reach;
    }
};

/// The walks as rows of a data set, without a reward.
struct Rows {
    std::int64_t observation_size = cells, action_size = 1;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }

    /// A cell is seen but for a share `dark` of the steps.
    explicit Rows(const Walks& walks, double dark = 0.0, std::uint64_t seed = 0)
        : action(walks.action.begin(), walks.action.end()),
          reward(action.size()),
          terminated(action.size()),
          truncated(action.size()) {
        RandomStream random(Random(seed, Purpose::noise));
        bool seen = true;
        for (std::size_t i = 0; i < action.size(); ++i) {
            if (i % 25 == 0) seen = random.uniform() >= dark;
            put(walks.cell[i], seen, state);
            seen = random.uniform() >= dark;
            put(move(walks.cell[i], walks.action[i]), seen, next_state);
            truncated[i] = i % 25 == 24;
        }
    }

private:
    static void put(std::int32_t cell, bool seen, std::vector<float>& to) {
        to.resize(to.size() + cells);
        if (seen) to[to.size() - cells + std::size_t(cell)] = 1.0f;
    }
};

double goals_reached(Learner& learner, const Walks& data) {
    std::vector<float> every(std::size_t(cells * cells));
    for (std::int32_t cell = 0; cell < cells; ++cell) every[std::size_t(cell * cells + cell)] = 1.0f;
    const std::vector<char> connected = data.connected();
    double reached = 0, asked = 0;
    for (std::int32_t goal = 0; goal < cells; ++goal) {
        learner.pursue_goal(std::span<const float>(every).subspan(std::size_t(goal * cells), cells));
        const critic::Rows<const float> values{learner.task_values(every), moves};
        for (std::int32_t start = 0; start < cells; ++start) {
            if (!connected[std::size_t(start * cells + goal)]) continue;
            std::int32_t at = start;
            for (int step = 0; step < 25 && at != goal; ++step)
                at = move(at, static_cast<std::int32_t>(critic::greedy_action(values[at])));
            reached += at == goal;
            ++asked;
        }
    }
    return asked > 0 ? reached / asked : 0.0;
}

template <class Method>
Method small(const Method& paper) {
    Method method = paper;
    method.sampler.base.batch_size = 128;
    auto& model = method.advantage;
    model.dimensions = 25, model.members = 1;
    model.forward = {.width = 128, .layers = 1}, model.backward = {.layers = 0};
    model.loss.gamma = 0.9, model.acts.count = moves, model.step.learning_rate = 1e-3;
    return method;
}
template <class Doubt>
double learn(const Doubt& doubt, bool low, const Trial& trial) {
    using Method = methods::ZeroShot<Doubt>;
    Method method = small(Method{});
    method.advantage.doubt = doubt;
    const Walks data(low, trial.seed);
    Learner learner(Grid{}, {}, trial.seed);
    learner.learn_from(Rows(data));
    train::Trainer<Method, Learner> trainer(method, learner);
    train_for(trial, trainer);
    return goals_reached(learner, data);
}

/// All pairs of start and goal; the task of a goal from labels of the data's rows. What is seen of a walk flickers,
/// too.
double goals_reached_in_the_dark(RememberingLearner& learner, const Walks& data, std::int64_t length, double dark,
                                 std::uint64_t seed) {
    RandomStream random(Random(seed, Purpose::evaluate));
    double reached = 0;
    for (std::int32_t goal = 0; goal < cells; ++goal) {
        std::vector<float> label(data.cell.size());
        for (std::size_t i = 0; i < label.size(); ++i) label[i] = float(move(data.cell[i], data.action[i]) == goal);
        learner.pursue_rewards(label);
        std::vector<std::int32_t> at(cells);
        std::vector<char> there(cells);
        std::vector<sampler::Past<float>> pasts(cells, {length, cells, moves, true});
        for (int step = 0; step < 25; ++step) {
            std::vector<float> contexts;
            for (std::int32_t start = 0; start < cells; ++start) {
                auto& past = pasts[std::size_t(start)];
                if (step == 0) at[std::size_t(start)] = start;
                std::vector<float> seen(cells);
                seen[std::size_t(at[std::size_t(start)])] = float(random.uniform() >= dark);
                step == 0 ? past.begin(seen) : past.see(seen);
                contexts.insert(contexts.end(), past.context().begin(), past.context().end());
            }
            const critic::Rows<const float> values{learner.task_values(contexts), moves};
            for (std::size_t start = 0; start < cells; ++start) {
                const auto action = critic::greedy_action(values[std::int64_t(start)]);
                std::vector<float> done(moves);
                done[std::size_t(action)] = 1.0f;
                pasts[start].act(done);
                at[start] = move(at[start], static_cast<std::int32_t>(action));
                there[start] = there[start] || at[start] == goal;
            }
        }
        for (std::int32_t start = 0; start < cells; ++start) reached += start != goal && there[std::size_t(start)];
    }
    return reached / double(cells * (cells - 1));
}
Arm remembering(std::string name, std::int64_t length, double dark) {
    return {std::move(name), [=](const Trial& trial) {
                auto method = small(methods::forward_backward_memory);
                method.advantage.memory = {.length = length, .backward_length = length, .units = 64};
                const Walks data(false, trial.seed);
                RememberingLearner learner(Dark{}, {.context = length}, trial.seed);
                learner.learn_from(Rows(data, dark, trial.seed));
                train::Trainer<methods::ForwardBackwardMemory, RememberingLearner> trainer(method, learner);
                train_for(trial, trainer);
                return Numbers{{"goals reached", goals_reached_in_the_dark(learner, data, length, dark, trial.seed)}};
            }};
}

}  // namespace

void add_zero_shot(std::vector<Experiment>& all) {
    all.push_back(
        of_doubt("zero-shot",
                 "A 5 x 5 grid, 4 moves and staying. Low data: 1,000 steps with two moves in each cell; full: 5,000 "
                 "steps of any. d = 25, F with one layer of 128, B linear, gamma 0.9, batch 128, Adam 1e-3, 3,000 "
                 "updates. Measured: the share of (start, goal) pairs, connected in the data, that the policy of the "
                 "goal's task walks in 25 steps.",
                 0.1, [](const auto& doubt, bool low, const Trial& trial) { return learn(doubt, low, trial); }));
}

/// A memory of the steps before, where the state is not always seen.
void add_zero_shot_memory(std::vector<Experiment>& all) {
    auto claim = [](std::string says, std::string method, std::string baseline, Expected expected) {
        return Claim{.says = std::move(says),
                     .method = std::move(method),
                     .baseline = std::move(baseline),
                     .number = "goals reached",
                     .expected = expected};
    };
    all.push_back(
        {.name = "zero-shot-memory",
         .paper = "2506.15446, zero-shot RL, in part",
         .page = "zero-shot-rl",
         .setup = "The same grid and full data; the cell is not seen in 0.2 of the steps, in the data and in the walks "
                  "that are measured. F and B read contexts through recurrent networks of 64 units, d = 25, gamma 0.9, "
                  "batch 128, Adam 1e-3, 3,000 updates; contexts of 8 steps, or of 1. A goal's task is that of the "
                  "data's rows that reached it. Measured: the share of all (start, goal) pairs walked in 25 steps.",
         .updates = 3000,
         .arms = {remembering("contexts of 1", 1, 0.2), remembering("contexts of 8", 8, 0.2),
                  remembering("contexts of 1, all seen", 1, 0.0)},
         .claims = {
             claim("a memory helps where the state flickers", "contexts of 8", "contexts of 1", Expected::higher),
             claim("flickering costs without one", "contexts of 1", "contexts of 1, all seen", Expected::lower)}});
}

}  // namespace roars::claims::of_zero_shot
