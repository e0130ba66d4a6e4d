#pragma once

#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roars/fields.hpp"
#include "roars/methods/registry.hpp"

namespace roars::program {

/// How long a run is and when it looks at itself.
struct RunSettings {
    std::int64_t iterations = 60;
    std::int64_t evaluate_every = 10;
    std::int64_t checkpoint_every = 10;
    std::int64_t warm_start = 0;                ///< supervised iterations before the method's own
    std::int64_t warm_start_batch = 256;        ///< demonstrations an iteration
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
};

/// Set by SIGINT and SIGTERM: the run writes its checkpoint behind the iteration and ends.
inline volatile std::sig_atomic_t interrupted = 0;

/// Trains a method; returns the exit code.
using TrainFunction = int (*)(const methods::Facts&, const Request&);
/// Method -> its program, filled by the translation units that instantiate them.
using Programs = std::map<std::string_view, TrainFunction>;
void add_baselines(Programs& programs);
void add_sequence_methods(Programs& programs);

}  // namespace roars::program
