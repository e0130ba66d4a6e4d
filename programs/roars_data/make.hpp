#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace roars::program {

/// What `roars_data make` is asked for. What is not said is chosen by the world.
struct MakeRequest {
    std::string environment, folder, method;
    std::uint64_t seed = 0;
    std::optional<std::int64_t> steps, rows, width, batch;
    std::int64_t layers = 2;
    std::optional<double> learning_rate;
};

/// Trains an agent and writes random, medium, medium-replay, expert and medium-expert.hdf5 into a new folder, which
/// appears when all of them are there.
void make(const MakeRequest& request);

}  // namespace roars::program
