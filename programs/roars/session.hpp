#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/fields.hpp"
#include "roars/methods/registry.hpp"
#include "roars/train/trainer.hpp"

namespace roars::program {

/// How long a run is and when it looks at itself.
struct RunSettings {
    std::int64_t iterations = 60;
    std::int64_t evaluate_every = 10;
    std::int64_t checkpoint_every = 10;
    std::int64_t warm_start = 0;          ///< supervised iterations before the method's own
    std::int64_t warm_start_batch = 256;  ///< demonstrations an iteration
    double warm_start_learning_rate = 2e-3;
};
ROARS_FIELDS(RunSettings, iterations, evaluate_every, checkpoint_every, warm_start, warm_start_batch,
             warm_start_learning_rate)

/// What a person asked for.
struct Request {
    std::string method, task, out;
    std::uint64_t seed = 0;
    bool resume = false;
    std::vector<std::pair<std::string, std::string>> settings;  ///< path and text, as on the command line
    bool only_check = false;                                    ///< are the settings sound? Nothing is run or written
    /// Told the share of the run that is done, and a note; a run with it shows no progress or summary of its own.
    std::function<void(double, const std::string&)> progress{};
};

/// Set by SIGINT and SIGTERM: the run writes its checkpoint behind the iteration and ends.
inline volatile std::sig_atomic_t interrupted = 0;

/// Trains a method; returns the exit code.
using TrainFunction = int (*)(const methods::Facts&, const Request&);

/// How a method is trained on a task; or, without a function, which columns it asks for that the task's learner does
/// not bring.
struct Program {
    TrainFunction train = nullptr;
    std::string missing{};
};
/// Task -> method -> its program, filled by the translation units that instantiate them.
using Programs = std::map<std::string_view, std::map<std::string_view, Program>>;
void add_program(Programs& programs, std::string_view task, const std::vector<std::string_view>& methods,
                 const Program& program);
/// What there is in this build of the program: programs.cpp, or cuda/programs on a device.
Programs all_programs();
void add_baselines(Programs& programs);
void add_sequence_methods(Programs& programs);
void add_weight_methods(Programs& programs);
void add_critic_methods(Programs& programs);
void add_group_methods(Programs& programs);
void add_data_methods(Programs& programs);
void add_replay_methods(Programs& programs);
void add_base_policy_methods(Programs& programs);
void add_action_value_methods(Programs& programs);
void add_rollout_methods(Programs& programs);
void add_offline_methods(Programs& programs);
void add_data_constraint_methods(Programs& programs);
void add_zero_shot_methods(Programs& programs);
void add_behaviour_model_methods(Programs& programs);
void add_sequence_models(Programs& programs);
void add_session_methods(Programs& programs);
/// The registry in parts of equal size, one a translation unit of tabular_methods, so that compilers share it.
inline constexpr std::size_t tabular_parts = 8;
template <std::size_t part>
void add_tabular(Programs& programs);

/// Names of columns, with spaces between them; - where there are none.
std::string joined(std::initializer_list<std::pair<bool, std::string_view>> columns);
template <class... Column>
std::string column_names(columns<Column...>) {
    return joined({{is_gradient_v<Column>, Column::name}...});
}

/// The program of a method and a learner; train() gives its function, and is only asked where they fit.
template <class Method, class Learner, class Train>
Program program_of(Train&& train) {
    if constexpr (!within_v<typename Method::Inputs, gives_of<Learner>>)
        return {nullptr, column_names(minus_t<typename Method::Inputs, gives_of<Learner>>{})};
    else if constexpr (!train::draws_from<Method, Learner>)
        return {nullptr, "a source that its sampler can draw from"};
    else if constexpr (!contains_v<col::grad<col::logp>, typename Method::Columns>)
        return {nullptr, "an actor that is not a policy"};
    else
        return {train(static_cast<const Method*>(nullptr)), {}};
}

}  // namespace roars::program
