#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct OptionPathsSettings {
    std::int64_t problems = 12;
    std::int64_t decisions = 3;
    std::int64_t options = 6;  ///< of each decision
    std::int64_t paths = 2;    ///< right ones of each problem
    double spread = 1.2;       ///< standard deviation of the logits at the start
};
ROARS_FIELDS(OptionPathsSettings, problems, decisions, options, paths, spread)

/// Problems of a few decisions of which some paths are right, under a policy with a prior: normal logits, one row for
/// every (problem, decisions so far). Source: the measured experiment of the agentic recipe, arXiv 2510.11701.
class OptionPaths {
public:
    explicit OptionPaths(const OptionPathsSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        std::int64_t nodes = 1, paths = 1;
        for (std::int64_t depth = 0; depth < settings.decisions && paths < 1'000'000; ++depth) {
            first_.push_back(nodes - paths);
            nodes += paths *= std::max<std::int64_t>(settings.options, 1);
        }
        first_.push_back(nodes - paths);
        expect(settings.problems > 0 && settings.decisions > 0 && settings.options > 1 && paths < 1'000'000 &&
                   settings.paths > 0 && settings.paths < paths,
               [&] {
                   return "option paths: " + std::to_string(settings.problems) + " problems, " +
                          std::to_string(settings.decisions) + " decisions of " + std::to_string(settings.options) +
                          " options and " + std::to_string(settings.paths) +
                          " right paths, expected 1 or more, 2 options, below a million paths, fewer of them right";
               });
        RandomStream stream{Random(seed, Purpose::task)};
        for (std::int64_t problem = 0; problem < settings.problems; ++problem)
            while (std::ssize(right_) < (problem + 1) * settings.paths) {
                const std::int64_t path = stream.below(paths);
                if (std::find(right_.begin() + problem * settings.paths, right_.end(), path) == right_.end())
                    right_.push_back(path);
            }
        for (std::int64_t k = 0; k < rows() * actions(); ++k) logits_.push_back(settings.spread * stream.normal());
    }

    const OptionPathsSettings& settings() const { return settings_; }

    std::int64_t prompts() const { return settings_.problems; }
    std::int64_t rows() const { return settings_.problems * first_.back(); }
    std::int64_t actions() const { return settings_.options; }
    std::int64_t states() const { return first_.back() * settings_.options + 1; }
    std::int64_t longest_answer() const { return settings_.decisions; }
    std::span<const double> start_logits() const { return logits_; }

    /// State 0: nothing decided; option a in state s leads to options s + a + 1.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state < first_.back() ? prompt * first_.back() + state : -1;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        return settings_.options * state + action + 1;
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        const auto first = right_.begin() + prompt * settings_.paths;
        return std::find(first, first + settings_.paths, state - first_.back()) == first + settings_.paths ? 0.0 : 1.0;
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// The number of the path.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        std::int64_t path = 0;
        for (std::int32_t action : actions) path = path * settings_.options + action;
        return static_cast<std::int32_t>(path);
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::int64_t path = right_[static_cast<std::size_t>(prompt * settings_.paths)];
        std::vector<std::int32_t> taken(static_cast<std::size_t>(settings_.decisions));
        for (auto option = taken.rbegin(); option != taken.rend(); ++option, path /= settings_.options)
            *option = static_cast<std::int32_t>(path % settings_.options);
        return taken;
    }

private:
    OptionPathsSettings settings_;
    std::vector<std::int64_t> first_;  ///< state of each depth; the last: of the paths' ends
    std::vector<std::int64_t> right_;  ///< [problems x paths]
    std::vector<double> logits_;
};
static_assert(TabularTask<OptionPaths>);

}  // namespace roars::tasks
