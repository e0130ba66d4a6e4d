#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/methods/tscac.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/sessions.hpp"
#include "roars/train/log_learner.hpp"
#include "roars/train/trainer_of.hpp"
#include "tabular_tasks.hpp"
#include "train_session.hpp"

/// Methods that learn from a log with several responses a step.
namespace roars::program {
namespace {

/// How long a run on a log is. `iterations` is 0 where a staged method's own lengths say it.
struct LogRun {
    std::int64_t iterations = 400;
    std::int64_t evaluate_every = 50;
    std::int64_t checkpoint_every = 50;
};
ROARS_FIELDS(LogRun, iterations, evaluate_every, checkpoint_every)

struct SessionFlags {
    LogRun run{};
    tasks::SessionsSettings task{};
};
ROARS_FIELDS(SessionFlags, run, task)

/// A run on a log.
template <class Method>
class LogSession final : public TrainSession {
public:
    LogSession(const methods::Facts& facts, const Request& request, const Json& settings, const LogRun& run,
               Yardstick yardstick, const Method& method, train::LogLearner& learner)
        : TrainSession(facts, request, settings,
                       {.iterations = run.iterations,
                        .evaluate_every = run.evaluate_every,
                        .checkpoint_every = run.checkpoint_every},
                       std::move(yardstick), cautions_in(method)),
          learner_(learner),
          trainer_(method, learner) {}

private:
    train::Record warm_start(Run<backend::Host>&) override { return {}; }
    train::Record iterate(Run<backend::Host>& run) override { return trainer_.iterate(run); }
    void evaluated(Run<backend::Host>& run, double score) override { trainer_.evaluated(run, score); }
    void set_reference() override {}
    std::vector<std::pair<std::string, std::int64_t>> spent() const override {
        return {{"rows", learner_.position.rows}};
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

    train::LogLearner& learner_;
    train::TrainerOf<Method, train::LogLearner> trainer_;
};

template <class Method>
int train_on_log(const methods::Facts& facts, const Request& request) {
    use_one_thread();
    Method method = methods::registered<Method>(facts.name);
    SessionFlags flags;
    // The paper's are for networks and millions of rows; these for a table, whose advantages are of size 1.
    set_everywhere(method, ".learning_rate", 0.05);
    set_everywhere(method, ".weight_decay", 0);
    for_each_algorithm(method, [](auto& algorithm) {
        if constexpr (requires { algorithm.optimizer.surrogate.multiplier; })
            algorithm.optimizer.surrogate.multiplier.fill(0.3);
    });
    if constexpr (is_staged<Method>) {
        flags.run.iterations = 0;
        apply(method, [](auto&... stage) { ((stage.iterations = 200), ...); });
        get<Method::size - 1>(method).iterations = 400;
    }
    for (const auto& [flag, text] : request.settings)
        expect(
            set_setting(flags.run, flag, text) || set_setting(flags, flag, text) || set_in_method(method, flag, text),
            [&, &name = flag] {
                return "--" + name + ": no such setting, expected one that `roars show " + request.method +
                       "` lists, or --iterations, --task.users ...";
            });
    if constexpr (is_staged<Method>)
        if (flags.run.iterations == 0) flags.run.iterations = method.iterations();
    expect(flags.run.iterations > 0 && flags.run.evaluate_every > 0 && flags.run.checkpoint_every > 0,
           "--iterations, --evaluate_every and --checkpoint_every: expected 1 or more");
    tasks::Sessions task(flags.task, request.seed);
    train::LogLearner learner(task);
    Json settings = to_json(flags);
    settings["method"] = to_json(method);
    Yardstick yardstick{"mean seconds watched a step",
                        "exact",
                        [&](auto&, train::Record& record) {
                            auto worth = learner.worth();
                            for (std::size_t m = 0; m < worth.size(); ++m)
                                record.emplace_back(std::string(tasks::Sessions::names[m]), worth[m]);
                            return worth[0];
                        },
                        {"watch", "reward", "seconds", false}};
    return LogSession<Method>(facts, request, settings, flags.run, yardstick, method, learner).train();
}

}  // namespace

void add_session_methods(Programs& programs) {
    auto add = [&]<class Method>(std::type_identity<Method>) {
        static_assert(fits_v<Method, train::LogLearner>);
        add_program(programs, "sessions", methods::names_of<Method>(), {train_on_log<Method>, {}});
    };
    add(std::type_identity<methods::TscacResponse>{});
    add(std::type_identity<methods::Tscac>{});
}

}  // namespace roars::program
