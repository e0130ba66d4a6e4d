#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "control_tasks.hpp"
#include "roars/data/files.hpp"
#include "roars/reflect.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/saved_policy.hpp"
#include "roars/train/snapshot_starts.hpp"
#include "roars/train/trainer_of.hpp"
#include "roars/train/with_base_policy.hpp"
#include "tabular_tasks.hpp"
#include "train_session.hpp"

namespace roars::program {

/// How long a run on an environment is. An iteration of the run is `updates` iterations of the method.
struct ControlRun {
    std::int64_t iterations = 20;
    std::int64_t updates = 1000;
    std::int64_t evaluate_every = 1;
    std::int64_t checkpoint_every = 5;
};
ROARS_FIELDS(ControlRun, iterations, updates, evaluate_every, checkpoint_every)

template <class LearnerSettings>
struct ControlFlags {
    ControlRun run{};
    LearnerSettings control{};
    std::string data{};            ///< file or folder of transitions, for methods that learn from data
    std::string demonstrations{};  ///< of an expert's, for methods that imitate one or learn beside one
    std::string base{};            ///< folder or checkpoint of a run, for methods that correct its policy
    std::string teacher{};         ///< the same, for methods that begin at the states of its policy
};
template <class LearnerSettings>
ROARS_FIELDS_OF((ControlFlags<LearnerSettings>), run, control, data, demonstrations, base, teacher)

/// A run on an environment: no warm start, `updates` iterations of the method a line of metrics.
template <class Method, class Learner>
class ControlSession final : public TrainSession {
public:
    ControlSession(const methods::Facts& facts, const Request& request, const Json& settings, const ControlRun& run,
                   Yardstick yardstick, const Method& method, Learner& learner)
        : TrainSession(facts, request, settings,
                       {.iterations = run.iterations,
                        .evaluate_every = run.evaluate_every,
                        .checkpoint_every = run.checkpoint_every},
                       std::move(yardstick), cautions_in(method)),
          updates_(run.updates),
          learner_(learner),
          trainer_(method, learner) {}

private:
    train::Record warm_start(Run<backend::Host>&) override { return {}; }
    train::Record iterate(Run<backend::Host>& run) override {
        train::Record record;
        for (std::int64_t k = 0; k < updates_; ++k) {
            const std::int64_t number = run.progress.iteration * updates_ + k;
            Run inner{run.backend, run.random.at(static_cast<std::uint32_t>(number)),
                      Progress{number, run.progress.total * updates_}};
            if (k + 1 < updates_)
                trainer_.advance(inner);
            else
                record = trainer_.iterate(inner);
        }
        record.emplace_back("steps", double(learner_.position.steps));
        if (double mean = 0; learner_.take_recent_return(mean)) record.emplace_back("episode_return", mean);
        trainer_.with_state([&](const auto& state) {
            if constexpr (requires { state.advantage.loss; }) record.emplace_back("critic_loss", state.advantage.loss);
            if constexpr (requires { state.advantage.penalty.gap; }) {
                const auto& penalty = state.advantage.penalty;
                record.emplace_back("gap", penalty.gap);
                record.emplace_back("gap_weight", std::exp(penalty.multiplier.log_weight));
            }
        });
        return record;
    }
    void evaluated(Run<backend::Host>& run, double score) override { trainer_.evaluated(run, score); }
    void set_reference() override {}
    std::vector<std::pair<std::string, std::int64_t>> spent() const override {
        return {{"steps", learner_.position.steps}, {"episodes", learner_.position.episodes}};
    }
    void write(Tensors& file) const override {
        learner_.write(file);
        trainer_.for_each_state(
            [&](const std::string& name, const auto& state) { train::write_state(file, state, name); });
        train::write_state(file, learner_.position, "position");
    }
    void read(const Tensors& file) override {
        learner_.read(file);
        trainer_.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
        train::read_state(file, learner_.position, "position");
    }

    std::int64_t updates_;
    Learner& learner_;
    train::TrainerOf<Method, Learner> trainer_;
};

/// The sampler that takes the steps: this one, or the one that it stands around.
template <class Sampler>
auto& innermost(Sampler& sampler) {
    if constexpr (requires { sampler.base; })
        return innermost(sampler.base);
    else
        return sampler;
}

/// A learner shows a model of tasks what that is made for: tasks of its width, contexts of its length.
template <class Advantage, class Settings>
void show_what_the_model_reads([[maybe_unused]] const Advantage& advantage, [[maybe_unused]] Settings& learner) {
    if constexpr (requires { advantage.tasks; }) learner.task_dimensions = advantage.dimensions;
    if constexpr (requires { advantage.memory.length; }) learner.context = advantage.memory.length;
}

/// A rate that falls to 0 at the end of the run, which fit_to_the_run says.
template <class Method>
void fall_to_zero(Method& method) {
    set_everywhere(method, ".decay.last", 0);
    set_everywhere(method, ".total_steps", 0);
}

/// The papers' settings are for millions of steps. These are for worlds of a few numbers, and networks of 64 units. A
/// network of action values has more of them, normalised, at a rate that falls to 0: what one step of Q-learning takes
/// to keep what it has found (docs/methods/dqn.md).
template <class Method, class Learner>
void control_settings(Method& method, ControlFlags<typename Learner::Settings>& flags) {
    set_everywhere(method, ".learning_rate", 1e-3);
    set_everywhere(method, "network.width", 64);
    set_everywhere(method, "model.width", 64);
    if constexpr (requires { method.advantage.tasks; }) {
        method.advantage.forward.width = 128, method.advantage.backward.width = 64;
        method.sampler.base.batch_size = 128;
        set_everywhere(method, "memory.units", 64);
        set_everywhere(method, "memory.length", 8);
    }
    if constexpr (requires { method.advantage.model_batches; }) {
        method.advantage.model_batches = std::min<std::int64_t>(method.advantage.model_batches, 2000);
        method.advantage.critics_after = std::min<std::int64_t>(method.advantage.critics_after, 2000);
        method.advantage.policy_after = std::min<std::int64_t>(method.advantage.policy_after, 2000);
    }
    if constexpr (requires { flags.control.target_share; }) {
        flags.control.length = method.sampler.length = 10;
        flags.control.layers = flags.control.heads = 2;
        flags.control.width = 32;
        flags.control.hidden = 128;
        method.sampler.batch_size = 32;
        set_everywhere(method, ".warmup_steps", 200);
    }
    if constexpr ([[maybe_unused]] auto& sampler = innermost(method.sampler); requires { sampler.capacity; }) {
        sampler.capacity = 100000;
        sampler.batch_size = 100;
        sampler.random_steps = sampler.warm_up = 200;
        sampler.steps = 1;
        if constexpr (requires { method.sampler.demonstrations; }) method.sampler.demonstrations = sampler.batch_size;
        set_everywhere(method, ".delta", 10);
        set_everywhere(method, ".kappa", 10);
    } else if constexpr (requires { method.sampler.steps; }) {
        flags.control.tanh = true;
        flags.control.environments = 8;
        const bool many = method.optimizer.epochs > 1;
        flags.run.updates = many ? 5 : 200;
        if (many) method.sampler.steps = 256;
        if (many) fall_to_zero(method);
    }
    if constexpr (std::is_same_v<typename Learner::PolicyHead, actor::ActionValues>) {
        flags.run.iterations = 50;
        flags.control.width = 128;
        flags.control.layer_norm = true;
        set_everywhere(method, ".max_norm", 1e4);
        fall_to_zero(method);
        if constexpr (requires { method.optimizer.surrogate.rule; }) flags.control.quantiles = 11;
    }
}

/// As long as the run: a stage's part of it, or a schedule that has no length of its own. `run.iterations` is 0 where a
/// staged method's own lengths say it.
template <class Method>
void fit_to_the_run(Method& method, ControlRun& run) {
    if constexpr (is_staged<Method>)
        if (run.iterations == 0)
            run.iterations = (method.iterations() + run.updates - 1) / std::max<std::int64_t>(run.updates, 1);
    for_each_algorithm(method, [&](auto& algorithm) {
        if constexpr (requires { algorithm.optimizer.step.schedule.total_steps; })
            if (auto& total = algorithm.optimizer.step.schedule.total_steps; total == 0)
                total = run.iterations * run.updates * algorithm.optimizer.epochs * algorithm.optimizer.minibatches;
    });
}

/// The world that a method learns in: the command line's, with what the method's type says that it needs.
template <class Method, class World>
using WorldFor =
    std::conditional_t<train::needs_base_policy<Method>, train::WithBasePolicy<ContinuousWorld, train::SavedBase>,
                       std::conditional_t<train::needs_teacher<Method>, train::SnapshotStarts<ContinuousWorld>, World>>;

/// Errors: a run that is missing where the method needs it, or given where it does not.
inline void expect_run(bool needed, const std::string& given, const std::string& method, const std::string& flag,
                       const std::string& what) {
    expect(needed == !given.empty(), [&] {
        return needed ? method + " needs a " + what + ": expected --" + flag + " RUN, a folder or its checkpoint"
                      : "--" + flag + ": " + method + " needs no " + what;
    });
}
inline std::shared_ptr<train::SavedPolicy> policy_of(const std::string& run, const ContinuousWorld& world) {
    auto policy = std::make_shared<train::SavedPolicy>(run);
    policy->check_fits(env::world_sizes(world).observation, env::world_sizes(world).action);
    return policy;
}
/// Corrections begin at exactly 0; noise and random steps are in units of the largest correction.
template <class Method, class Flags>
void settings_beside_a_base(const Method& method, Flags& flags) {
    flags.control.output_gain = 0.0;
    for_each_algorithm(method,
                       [&](const auto& algorithm) { flags.control.noise = algorithm.advantage.target.rule.sigma; });
}
template <class Method>
train::WithBasePolicy<ContinuousWorld, train::SavedBase> with_base_policy(const Method& method, const std::string& run,
                                                                          const ContinuousWorld& world) {
    critic::shown::CorrectedAction correction;
    for_each_algorithm(method, [&](const auto& algorithm) { correction = algorithm.advantage.shown; });
    return {world, {policy_of(run, world)}, correction};
}
/// States of the teacher's episodes, sorted by what its critic says of its own action there.
template <class Sampler>
train::SnapshotStore<ContinuousWorld> snapshots_of(const Sampler& sampler, const std::string& run,
                                                   const ContinuousWorld& world, std::uint64_t seed) {
    auto teacher = policy_of(run, world);
    expect(teacher->has_critic(), [&] {
        return run + ": a policy without critics of its actions, expected a teacher that says what a state is worth";
    });
    auto act = [&](const auto&, std::span<const double> seen, std::span<double> action, RandomStream&) {
        teacher->act(seen, action);
        train::to_environment(world, std::span<const double>(action), action);
    };
    auto value = [&](const auto&, std::span<const double> seen) { return teacher->value(seen); };
    return train::collect_snapshots(world, sampler.episodes, seed, act, value, sampler.rows, sampler.classes);
}

/// roars train --method NAME --task ENVIRONMENT.
template <class Method, class Learner>
int train_control(const methods::Facts& facts, const Request& request) {
    use_one_thread();
    bool offline = false;
    Method method = methods::registered<Method>(facts.name);
    ControlFlags<typename Learner::Settings> flags;
    for_each_algorithm(method, [&](auto& algorithm) {
        control_settings<std::remove_reference_t<decltype(algorithm)>, Learner>(algorithm, flags);
        offline = offline || !requires { innermost(algorithm.sampler).steps; };
    });
    if constexpr (is_staged<Method>) {
        flags.run.iterations = 0;
        apply(method, [](auto&... stage) { ((stage.iterations = 10000), ...); });
    }
    const auto world = world_of<Learner::continuous>(request.task);
    constexpr bool corrects = train::needs_base_policy<Method>, taught = train::needs_teacher<Method>;
    if constexpr (corrects) settings_beside_a_base(method, flags);
    if constexpr (taught) method.sampler.phases.horizon = env::world_sizes(world).limit;
    for (const auto& [flag, text] : request.settings)
        expect(
            set_setting(flags.run, flag, text) || set_setting(flags, flag, text) || set_in_method(method, flag, text),
            [&, &name = flag] {
                return "--" + name + ": no such setting, expected one that `roars show " + request.method +
                       "` lists, or --control.width ..., --iterations, --updates, --data, --demonstrations, --base, "
                       "--teacher";
            });
    fit_to_the_run(method, flags.run);
    expect(flags.run.iterations > 0 && flags.run.updates > 0 && flags.run.evaluate_every > 0 &&
               flags.run.checkpoint_every > 0 && flags.control.evaluation_episodes > 0,
           "--iterations, --updates, --evaluate_every, --checkpoint_every and --control.evaluation_episodes: expected "
           "1 or more");
    expect(offline == !flags.data.empty(), [&] {
        return offline ? request.method + " learns from data: expected --data FILE"
                       : "--data: " + request.method + " takes steps of its own and reads no data";
    });
    constexpr bool imitates = contains_v<col::external, typename Method::Inputs>;
    bool beside_an_expert = false;
    for_each_algorithm(method, [&](const auto& algorithm) {
        if constexpr (requires { algorithm.sampler.demonstrations; })
            beside_an_expert = beside_an_expert || algorithm.sampler.demonstrations > 0;
    });
    expect((imitates || beside_an_expert) == !flags.demonstrations.empty(), [&] {
        if (beside_an_expert)
            return request.method +
                   " learns beside an expert: expected --demonstrations FILE, or "
                   "--sampler.demonstrations 0";
        return imitates ? request.method + " imitates an expert: expected --demonstrations FILE"
                        : "--demonstrations: " + request.method + " imitates nobody";
    });
    expect_run(corrects, flags.base, request.method, "base", "base policy");
    expect_run(taught, flags.teacher, request.method, "teacher", "teacher");
    for_each_algorithm(method, [&](auto& algorithm) {
        if constexpr (requires { algorithm.advantage.acts.count; })
            algorithm.advantage.acts.count = env::world_sizes(world).action;
        show_what_the_model_reads(algorithm.advantage, flags.control);
    });
    train::SnapshotStore<ContinuousWorld> snapshots;  // outlives the learner's world
    const auto dressed = [&] {
        if constexpr (corrects) {
            return with_base_policy(method, flags.base, world);
        } else if constexpr (taught) {
            snapshots = snapshots_of(method.sampler, flags.teacher, world, request.seed);
            return train::SnapshotStarts<ContinuousWorld>(world, method.sampler.phases, snapshots);
        } else {
            return world;
        }
    }();
    Learner learner(dressed, flags.control, request.seed);
    if (offline) learner.learn_from(data::load<float>(flags.data));
    if constexpr (corrects) {
        if (beside_an_expert)
            learner.learn_from_demonstrations(dressed.corrections_of(data::load<float>(flags.demonstrations)));
    } else if constexpr (imitates) {
        learner.learn_from_demonstrations(data::load<float>(flags.demonstrations));
    }
    if (request.only_check) return 0;
    Json settings = to_json(flags);
    settings["method"] = to_json(method);
    Yardstick yardstick{"mean return of " + std::to_string(flags.control.evaluation_episodes) + " episodes",
                        "without exploration",
                        [&](auto& run, train::Record& record) {
                            auto returns = learner.evaluate(run);
                            record.emplace_back("return", returns.mean);
                            record.emplace_back("return_deviation", returns.deviation);
                            record.emplace_back("episode_length", returns.length);
                            return returns.mean;
                        },
                        {"return", "episode_return", "return", false}};
    return ControlSession(facts, request, settings, flags.run, yardstick, method, learner).train();
}

/// Puts methods of these types, trained by this learner, among the programs of every environment that it acts in.
template <class Learner, class... Method>
void add_learner(Programs& programs) {
    auto add = [&]<class M>(std::type_identity<M>) {
        static_assert(fits_v<M, Learner>);
        auto to = [&](const char* task, const auto&) {
            add_program(programs, task, methods::names_of<M>(), {train_control<M, Learner>, {}});
        };
        if constexpr (Learner::continuous)
            for_each_continuous(to);
        else
            for_each_discrete(to);
    };
    (add(std::type_identity<Method>{}), ...);
}
template <class Head>
using WorldOf = std::conditional_t<Head::continuous, ContinuousWorld, DiscreteWorld>;
template <class Head, bool value_head, class... Method>
void add_control(Programs& programs) {
    (add_learner<train::ControlLearner<WorldFor<Method, WorldOf<Head>>, Head, value_head>, Method>(programs), ...);
}

}  // namespace roars::program
