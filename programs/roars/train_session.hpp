#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "picture.hpp"
#include "roars/reflect.hpp"
#include "roars/stages.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/trainer_of.hpp"
#include "run_folder.hpp"
#include "session.hpp"

namespace roars::program {

using Json = nlohmann::json;

/// What a session measures its policy by.
struct Yardstick {
    std::string name;    ///< "accuracy on 300 held-out problems"
    std::string legend;  ///< of the curve
    /// Measures, puts the numbers into the record, and returns the one that is the session's score: a share in [0, 1],
    /// or a return.
    std::function<double(Run<backend::Host>&, train::Record&)> measure;
    CurveOf curve{};  ///< what is drawn; its first column is the score
};

/// A run from its first line to its summary: a warm start, then the method; metrics, checkpoints, resuming, the
/// picture. Knows neither method nor learner: they are behind the functions below, once an iteration or less.
class TrainSession {
public:
    /// Says on the error stream which settings of the method are allowed but seldom meant.
    TrainSession(const methods::Facts& facts, const Request& request, const Json& settings, const RunSettings& run,
                 Yardstick yardstick, const Cautions& cautions);
    virtual ~TrainSession() = default;

    /// The exit code: 0, or 130 for a run that was interrupted and can go on.
    int train();

protected:
    virtual train::Record warm_start(Run<backend::Host>& run) = 0;
    virtual train::Record iterate(Run<backend::Host>& run) = 0;
    /// What the method's policy is worth, behind an iteration.
    virtual void evaluated(Run<backend::Host>& run, double accuracy) = 0;
    virtual void set_reference() = 0;
    /// What the run has spent, for the summary and the last line.
    virtual std::vector<std::pair<std::string, std::int64_t>> spent() const = 0;
    virtual void write(Tensors& file) const = 0;
    virtual void read(const Tensors& file) = 0;

private:
    void begin();
    bool phase(const std::string& name, std::int64_t iterations);
    void begin_training();
    void evaluate(train::Record& record);
    void note(const train::Record& record, double seconds);
    void checkpoint();
    void restore();
    int stopped() const;
    void finish();

    const methods::Facts& facts_;
    const Request& request_;
    RunSettings run_;
    RunFolder folder_;
    Json asked_;
    Yardstick yardstick_;
    backend::Host host_;
    std::string phase_ = "warm_start";
    std::int64_t iteration_ = 0, step_ = 0;
    double accuracy_ = 0, accuracy_before_ = 0;
};

/// A setting of the method; of a composed one also without the algorithm's name, in every algorithm that has it.
template <class Method>
bool set_in_method(Method& method, const std::string& flag, const std::string& text) {
    bool found = set_setting(method, flag, text);
    if constexpr (Composed<Method>)
        if (!found)
            for_each_algorithm(method, [&](auto& algorithm) { found = set_setting(algorithm, flag, text) || found; });
    return found;
}

/// The session of one method and one learner, which the caller keeps.
template <class Method, class Learner>
class MethodSession final : public TrainSession {
    using WarmStart = methods::SupervisedLikelihood;

public:
    MethodSession(const methods::Facts& facts, const Request& request, const Json& settings, const RunSettings& run,
                  Yardstick yardstick, const Method& method, Learner& learner)
        : TrainSession(facts, request, settings, run, std::move(yardstick), cautions_in(method)),
          learner_(learner),
          warm_start_(warm_start_of(run), learner),
          trainer_(method, learner) {}

private:
    static WarmStart warm_start_of(const RunSettings& run) {
        WarmStart method = methods::supervised;
        method.sampler.batch_size = run.warm_start_batch;
        method.optimizer.step = step::recipe({.learning_rate = run.warm_start_learning_rate});
        return method;
    }

    train::Record warm_start(Run<backend::Host>& run) override { return warm_start_.iterate(run); }
    train::Record iterate(Run<backend::Host>& run) override { return trainer_.iterate(run); }
    void evaluated(Run<backend::Host>& run, double accuracy) override { trainer_.evaluated(run, accuracy); }
    void set_reference() override { learner_.set_reference(); }
    std::vector<std::pair<std::string, std::int64_t>> spent() const override {
        std::vector<std::pair<std::string, std::int64_t>> all{{"rollouts", learner_.position.rollouts}};
        if constexpr (requires { learner_.position.tool_results; })
            if (learner_.position.tool_results > 0) all.emplace_back("tool_results", learner_.position.tool_results);
        return all;
    }
    void write(Tensors& file) const override {
        learner_.write(file);
        warm_start_.for_each_state(
            [&](std::string_view, const auto& state) { train::write_state(file, state, "warm_start"); });
        trainer_.for_each_state(
            [&](const std::string& name, const auto& state) { train::write_state(file, state, name); });
        train::write_state(file, learner_.position, "position");
    }
    void read(const Tensors& file) override {
        learner_.read(file);
        warm_start_.for_each_state(
            [&](std::string_view, auto& state) { train::read_state(file, state, "warm_start"); });
        trainer_.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
        train::read_state(file, learner_.position, "position");
    }

    Learner& learner_;
    train::Trainer<WarmStart, Learner> warm_start_;
    train::TrainerOf<Method, Learner> trainer_;
};

}  // namespace roars::program
