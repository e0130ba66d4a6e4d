#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "session.hpp"

namespace roars::program {

/// A method that a task has a training program for, and the settings that are its own.
struct Contestant {
    const methods::Facts* facts;
    TrainFunction train;
    std::string label{};
    std::vector<std::pair<std::string, std::string>> settings{};  ///< behind those of all
};

/// Trains every contestant with seeds 0 .. seeds - 1 and the settings of all, each run in a folder OUT/LABEL/seed-K
/// that goes on where it stopped; writes compare.json, compare.md and compare.svg. Exit code 0, or 130 where
/// interrupted. Errors before anything is run: a setting that one of them has not.
int compare_methods(const std::vector<Contestant>& contestants, const Request& request, std::int64_t seeds);

}  // namespace roars::program
