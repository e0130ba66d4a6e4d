#include "make.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <unistd.h>

#include "../roars/console.hpp"
#include "roars/backend.hpp"
#include "roars/data/files.hpp"
#include "roars/environments/any_world.hpp"
#include "roars/environments/registry.hpp"
#include "roars/error.hpp"
#include "roars/methods/dqn.hpp"
#include "roars/methods/sac.hpp"
#include "roars/methods/td3.hpp"
#include "roars/metrics/evaluation.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::program {
namespace {

using Data = data::Transitions<float>;
using SmallLake = std::remove_cvref_t<decltype(env::frozen_lake())>;
using LargeLake = std::remove_cvref_t<decltype(env::frozen_lake_8x8())>;
using Cliff = std::remove_cvref_t<decltype(env::cliff_walking())>;

/// Any of the registry's worlds of one kind of action, so that a method is compiled once.
struct Continuous
    : env::AnyWorld<
          env::Pendulum, env::MountainCarContinuous, env::PointReach, env::CliffBandit, env::Flickering<env::Pendulum>,
#if defined(ROARS_MUJOCO)
          env::Hopper<>, env::Hopper<4>, env::Walker2d<>, env::Walker2d<4>, env::HalfCheetah, env::Ant<>, env::Ant<4>,
#endif
          env::TargetBandit<1>> {
    template <class World>
    explicit Continuous(const World& world) : AnyWorld(world), low(world.action_low()), high(world.action_high()) {}
    [[maybe_unused]] static constexpr int action_size = 1;  // the caller's, by sizes()
    double action_low() const { return low; }
    double action_high() const { return high; }
    double low, high;
};
struct Discrete : env::AnyWorld<env::CartPole, env::Acrobot, env::MountainCar, SmallLake, LargeLake, Cliff,
                                env::Flickering<env::CartPole>> {
    using AnyWorld::AnyWorld;
    [[maybe_unused]] static constexpr int action_count = 1;  // the caller's, by sizes()
};

/// The settings of a run, all of them chosen.
struct Plan {
    std::string environment, method;
    std::filesystem::path folder;
    std::uint64_t seed;
    std::int64_t steps, rows, width, layers, batch;
    double learning_rate;
};

template <class World>
Plan plan_of(const World&, const MakeRequest& request) {
    constexpr bool discrete = env::DiscreteEnvironment<World>;
    bool large = World::observation_size > 10 && !discrete;  // MuJoCo's
    Plan plan{.environment = request.environment,
              .method = !request.method.empty() ? request.method
                        : discrete              ? "double-dqn"
                                                : "sac",
              .folder = std::filesystem::path(request.folder).lexically_normal(),
              .seed = request.seed,
              .steps = request.steps.value_or(large      ? 300000
                                              : discrete ? 50000
                                                         : 20000),
              .rows = 0,
              .width = request.width.value_or(large ? 256 : 64),
              .layers = request.layers,
              .batch = request.batch.value_or(large ? 256 : 100),
              .learning_rate = request.learning_rate.value_or(large ? 3e-4 : 1e-3)};
    plan.rows = request.rows.value_or(plan.steps);
    if (!plan.folder.has_filename()) plan.folder = plan.folder.parent_path();
    auto positive = [](const char* flag, std::int64_t value, std::int64_t least, std::int64_t most) {
        expect(value >= least && value <= most, [&] {
            return std::string(flag) + ": " + std::to_string(value) + ", expected " + std::to_string(least) + " to " +
                   std::to_string(most);
        });
    };
    positive("--steps", plan.steps, 20, 100000000);
    positive("--rows", plan.rows, 1, 100000000);
    positive("--width", plan.width, 1, 8192);
    positive("--layers", plan.layers, 0, 16);
    positive("--batch", plan.batch, 1, 65536);
    expect(std::isfinite(plan.learning_rate) && plan.learning_rate > 0, "--learning-rate: expected more than 0");
    const bool known =
        discrete ? plan.method == "dqn" || plan.method == "double-dqn" : plan.method == "sac" || plan.method == "td3";
    expect(known, [&] {
        return "--method: '" + plan.method + "', expected " + (discrete ? "dqn or double-dqn" : "sac or td3") +
               " for the actions of " + plan.environment;
    });
#if !defined(ROARS_HDF5)
    throw Error(plan.folder.string() + ": this program was built without HDF5 (Debian: libhdf5-dev)");
#endif
    std::error_code error;
    expect(!std::filesystem::exists(plan.folder, error), [&] { return plan.folder.string() + ": is there already"; });
    auto parent = plan.folder.has_parent_path() ? plan.folder.parent_path() : std::filesystem::path(".");
    expect(std::filesystem::is_directory(parent, error) && access(parent.c_str(), W_OK) == 0, [&] {
        return plan.folder.string() + ": cannot be made, expected a name in a folder that exists and may be written";
    });
    return plan;
}

/// The rows of a batch that a learner filled, actions in the world's own range.
template <bool continuous, class World, class BatchType>
Data rows_of(const World& world, BatchType& batch) {
    Data rows;
    const auto sizes = world.sizes();
    rows.observation_size = sizes.observation;
    rows.action_size = continuous ? sizes.action : 1;
    rows.action_count = continuous ? 0 : sizes.action;
    rows.reserve(batch.tokens());
    std::vector<float> action(static_cast<std::size_t>(rows.action_size));
    for (std::int64_t t = 0; t < batch.tokens(); ++t) {
        const auto at = static_cast<std::size_t>(t);
        if constexpr (continuous) {
            auto from = batch.row(col::action{}, t);
            for (std::size_t j = 0; j < action.size(); ++j)
                action[j] = static_cast<float>(world.low + (world.high - world.low) * 0.5 * (double(from[j]) + 1.0));
        } else {
            action[0] = static_cast<float>(batch[col::token{}][at]);
        }
        const bool terminated = batch[col::terminated{}][at] != 0.0f;
        rows.add(batch.row(col::state{}, t), action, batch[col::step_reward{}][at], batch.row(col::next_state{}, t),
                 terminated, batch[col::done{}][at] != 0.0f);
    }
    rows.cut_last();
    return rows;
}

/// Mean return of the episodes that ended by themselves or by the time limit; of all, where the rows cut every one.
double mean_return(const Data& rows, std::int64_t limit) {
    const auto returns = rows.returns();
    const auto offsets = rows.episodes();
    double sum = 0, all = 0, whole = 0;
    for (std::size_t e = 0; e < returns.size(); ++e) {
        all += returns[e];
        if (!rows.terminated[static_cast<std::size_t>(offsets[e + 1] - 1)] &&
            (limit == 0 || offsets[e + 1] - offsets[e] < limit))
            continue;
        sum += returns[e];
        whole += 1;
    }
    return whole > 0 ? sum / whole : all / double(returns.size());
}

/// A folder that is renamed when all is in it, and taken away where it is not.
class NewFolder {
public:
    explicit NewFolder(std::filesystem::path path)
        : path_(std::move(path)), partial_(path_.string() + ".partial." + std::to_string(getpid())) {
        std::error_code error;
        expect(std::filesystem::create_directory(partial_, error), [&] { return complaint(error); });
    }
    NewFolder(const NewFolder&) = delete;
    NewFolder& operator=(const NewFolder&) = delete;
    ~NewFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(partial_, ignored);
    }
    std::string file(const std::string& name) const { return (partial_ / name).string(); }
    void finish() {
        std::error_code error;
        std::filesystem::rename(partial_, path_, error);
        expect(!error, [&] { return complaint(error); });
    }

private:
    std::string complaint(const std::error_code& error) const {
        return path_.string() + ": cannot be written: " + error.message();
    }
    std::filesystem::path path_, partial_;
};

/// The policy as it was after some steps, and what it was worth.
struct Snapshot {
    std::int64_t steps;
    double evaluated;
    std::vector<float> parameters;
};

template <class Head, class World, class Method>
void make_with(const World& world, const Plan& plan, Method method) {
    using Learner = train::ControlLearner<World, Head>;
    using ActionColumn = std::conditional_t<Head::continuous, col::action, col::token>;
    using Steps = Batch<float, columns<col::state, col::next_state, ActionColumn, col::step_reward, col::terminated,
                                       col::done, col::mask>>;
    const std::int64_t limit = world.sizes().limit, first = std::min<std::int64_t>(1000, plan.steps / 10);
    method.sampler.capacity = plan.steps;
    method.sampler.batch_size = plan.batch;
    method.sampler.random_steps = method.sampler.warm_up = first;
    method.sampler.steps = 1;
    train::ControlSettings settings{.width = plan.width, .layers = plan.layers};
    settings.epsilon_steps = std::min<std::int64_t>(10000, plan.steps / 4);
    if constexpr (requires { method.advantage.network; }) {
        method.advantage.network.width = plan.width;
        method.advantage.network.layers = plan.layers;
        method.advantage.step.learning_rate = plan.learning_rate;
        method.optimizer.step.learning_rate = plan.learning_rate;
        if constexpr (requires { method.regularizer.step; }) method.regularizer.step.learning_rate = plan.learning_rate;
    } else {
        method.optimizer.surrogate.delta = 100;
        method.optimizer.step.base.base.learning_rate = plan.learning_rate;
    }

    backend::Host host;
    auto play = [&](const std::vector<float>* parameters, std::uint64_t number) {
        auto acting = settings;
        acting.epsilon_start = acting.epsilon_end;
        Learner player(world, acting, plan.seed + 1000003 * number);
        if (parameters) std::copy(parameters->begin(), parameters->end(), player.parameters().values().begin());
        Run run{host, Random(plan.seed + 1000003 * number)};
        Steps steps;
        player.roll_steps(run, steps, plan.rows, parameters == nullptr);
        return rows_of<Head::continuous>(world, steps);
    };
    Data random = play(nullptr, 1);
    const double random_return = mean_return(random, limit);

    Learner learner(world, settings, plan.seed);
    train::Trainer<Method, Learner> trainer(method, learner);
    std::vector<Snapshot> snapshots;
    ProgressBar bar(plan.method + " on " + plan.environment, plan.steps);
    constexpr std::int64_t evaluations = 20;
    for (std::int64_t i = 0; i < plan.steps; ++i) {
        Run run{host, Random(plan.seed).at(static_cast<std::uint32_t>(i)), Progress{i, plan.steps}};
        trainer.advance(run);
        if ((i + 1) * evaluations / plan.steps == i * evaluations / plan.steps || i < first) continue;
        Run measure{host, Random(plan.seed)};
        auto values = std::as_const(learner).parameters().values();
        snapshots.push_back({i + 1, learner.evaluate(measure).mean, {values.begin(), values.end()}});
        char note[48];
        std::snprintf(note, sizeof note, "return %.4g", snapshots.back().evaluated);
        bar.show(i + 1, note);
    }
    const auto expert = std::max_element(snapshots.begin(), snapshots.end(),
                                         [](const auto& a, const auto& b) { return a.evaluated < b.evaluated; });
    const double aim = random_return + 0.4 * (expert->evaluated - random_return);
    const auto medium = std::min_element(snapshots.begin(), expert + 1, [aim](const auto& a, const auto& b) {
        return std::abs(a.evaluated - aim) < std::abs(b.evaluated - aim);
    });
    if (!(expert->evaluated > random_return))
        std::fprintf(stderr, "roars_data: the agent is no better than random actions: expected more --steps\n");

    auto memory = trainer.batch();
    method.sampler.recall(trainer.state.sampler, memory);
    Data replay = rows_of<Head::continuous>(world, memory);
    replay.keep_first(medium->steps);
    Data middle = play(&medium->parameters, 2), best = play(&expert->parameters, 3), both = middle;
    both.append(best);

    auto reference = metrics::d4rl_reference(plan.environment);
    const std::string scale = reference ? "D4RL's" : "0: random, 100: expert of this folder";
    if (!reference) reference = metrics::ReferenceReturns{random_return, mean_return(best, limit)};
    NewFolder folder(plan.folder);
    std::string table;
    auto write = [&](const char* name, Data& rows, const std::string& policy) {
        const double mean = mean_return(rows, limit);
        char number[32], line[160];
        std::snprintf(number, sizeof number, "%.9g", mean);
        rows.notes = {{"environment", plan.environment},
                      {"method", plan.method},
                      {"policy", policy},
                      {"return", number},
                      {"seed", std::to_string(plan.seed)}};
        const std::string file = std::string(name) + ".hdf5";
        rows.check(file);
        data::save(rows, folder.file(file));
        const bool scored = reference->expert != reference->random;
        std::snprintf(line, sizeof line, "%-19s %9lld rows  return %10.4g  ", file.c_str(),
                      static_cast<long long>(rows.rows()), mean);
        table += line;
        if (scored)
            std::snprintf(line, sizeof line, "normalised %7.1f\n", reference->normalised(mean));
        else
            std::snprintf(line, sizeof line, "normalised       -\n");
        table += line;
    };
    const std::string after = " after " + std::to_string(medium->steps) + " steps";
    write("random", random, "random actions");
    write("medium", middle, plan.method + after);
    write("medium-replay", replay, "replay memory of " + plan.method + after);
    write("expert", best, plan.method + " after " + std::to_string(expert->steps) + " steps");
    write("medium-expert", both, "medium, then expert");
    folder.finish();
    std::printf("%snormalised: %s\n", table.c_str(), scale.c_str());
}

}  // namespace

void make(const MakeRequest& request) {
    env::with_environment(request.environment, [&]<class World>(const World& world) {
        const Plan plan = plan_of(world, request);
        if constexpr (env::DiscreteEnvironment<World>) {
            const Discrete any(world);
            if (plan.method == "dqn")
                make_with<actor::ActionValues>(any, plan, methods::dqn);
            else
                make_with<actor::ActionValues>(any, plan, methods::double_dqn);
        } else {
            const Continuous any(world);
            if (plan.method == "td3")
                make_with<actor::DeterministicAction>(any, plan, methods::td3);
            else
                make_with<actor::SquashedGaussian>(any, plan, methods::sac);
        }
    });
}

}  // namespace roars::program
