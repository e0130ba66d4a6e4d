#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/methods/tscac.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/sessions.hpp"
#include "roars/train/log_learner.hpp"
#include "tabular_tasks.hpp"
#include "train_session.hpp"

/// Methods that learn from a log with several responses a step.
namespace roars::program {
namespace {

struct SessionFlags {
    RunSettings run{.iterations = 400, .evaluate_every = 50, .checkpoint_every = 50, .warm_start = 800};
    tasks::SessionsSettings task{};
};
ROARS_FIELDS(SessionFlags, run, task)

/// A run on a log. The second stage of TSCAC begins with the first: an actor-critic of every auxiliary response, one
/// after the other in equal parts of the warm start, each frozen at its end.
template <class Method>
class LogSession final : public TrainSession {
    using Trainer = train::Trainer<Method, train::LogLearner>;
    using FirstStage = train::Trainer<methods::TscacResponse, train::LogLearner>;
    static constexpr std::int64_t auxiliaries = tasks::Sessions::responses - 1;

public:
    LogSession(const methods::Facts& facts, const Request& request, const Json& settings, const RunSettings& run,
               Yardstick yardstick, const Method& method, train::LogLearner& learner)
        : TrainSession(facts, request, settings, run, std::move(yardstick), cautions_in(method)),
          learner_(learner),
          trainer_(method, learner),
          each_(run.warm_start / auxiliaries) {
        for (std::int64_t k = 0; k < auxiliaries; ++k) {
            auto response = methods::tscac_response;
            response.reward.index = k + 1;
            response.sampler.batch_size = method.sampler.batch_size;
            response.optimizer.step.learning_rate = method.optimizer.step.learning_rate;
            response.optimizer.step.weight_decay = method.optimizer.step.weight_decay;
            first_.emplace_back(response, learner);
        }
    }

private:
    train::Record warm_start(Run<backend::Host>& run) override {
        const std::int64_t k = std::min(run.progress.iteration / each_, auxiliaries - 1);
        auto record = first_[static_cast<std::size_t>(k)].iterate(run);
        record.emplace_back("response", double(k + 1));
        if (run.progress.iteration + 1 == (k + 1) * each_) learner_.freeze();
        return record;
    }
    train::Record iterate(Run<backend::Host>& run) override { return trainer_.iterate(run); }
    void evaluated(Run<backend::Host>& run, double score) override { trainer_.evaluated(run, score); }
    void set_reference() override {}
    std::vector<std::pair<std::string, std::int64_t>> spent() const override {
        return {{"rows", learner_.position.rows}};
    }
    void write(SafeTensors& file) const override {
        learner_.write(file);
        for (std::size_t k = 0; k < first_.size(); ++k)
            train::write_state(file, first_[k].state, "first_" + std::to_string(k));
        train::write_state(file, trainer_.state, "method");
        train::write_state(file, learner_.position, "position");
    }
    void read(const SafeTensors& file) override {
        learner_.read(file);
        for (std::size_t k = 0; k < first_.size(); ++k)
            train::read_state(file, first_[k].state, "first_" + std::to_string(k));
        train::read_state(file, trainer_.state, "method");
        train::read_state(file, learner_.position, "position");
    }

    train::LogLearner& learner_;
    Trainer trainer_;
    std::vector<FirstStage> first_;
    std::int64_t each_;  ///< iterations of a response
};

template <class Method>
int train_on_log(const methods::Facts& facts, const Request& request) {
    use_one_thread();
    constexpr bool second = contains_v<col::logp_ref, typename Method::Inputs>;
    constexpr auto auxiliaries = tasks::Sessions::responses - 1;
    Method method = methods::registered<Method>(facts.name);
    // The paper's are for networks and millions of rows; these for a table, whose advantages are of size 1.
    set_everywhere(method, ".learning_rate", 0.05);
    set_everywhere(method, ".weight_decay", 0);
    if constexpr (second) method.optimizer.surrogate.multiplier.fill(0.3);
    SessionFlags flags;
    if (!second) flags.run.warm_start = 0;
    for (const auto& [flag, text] : request.settings)
        expect(set_setting(flags.run, flag, text) || set_setting(flags, flag, text) || set_setting(method, flag, text),
               [&, &name = flag] {
                   return "--" + name + ": no such setting, expected one that `roars show " + request.method +
                          "` lists, or --iterations, --warm_start, --task.users ...";
               });
    expect(second ? flags.run.warm_start > 0 && flags.run.warm_start % auxiliaries == 0 : flags.run.warm_start == 0,
           [&] {
               return second ? "--warm_start: iterations of the first stage, expected a multiple of " +
                                   std::to_string(auxiliaries) + ", the auxiliary responses"
                             : "--warm_start: " + request.method + " has no stage before it, expected 0";
           });
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
    add(std::type_identity<methods::Tscac<tasks::Sessions::responses - 1>>{});
}

}  // namespace roars::program
