#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/broadcast.hpp"

/// What stands in a context before its episode began.
namespace roars::sampler::padding {

struct Repeat {  ///< the episode's first step
    static constexpr bool repeats = true;
};
struct Zero {
    static constexpr bool repeats = false;
};
ROARS_FIELDS(Repeat)
ROARS_FIELDS(Zero)

}  // namespace roars::sampler::padding

namespace roars::sampler {

/// The memory of a step: the last `length` steps [observation, action] of its episode that end with it, the oldest
/// first. A context never crosses an episode. Source: zero-shot RL under partial observability, arXiv 2506.15446.
template <class Padding = padding::Repeat>
struct Contexts {
    std::int64_t length = 32;

    /// Shapes: observation, action [steps, width of each], context [steps, length (width of both)]. Errors: a length
    /// below 1, sizes that differ.
    template <class Real>
    void fill(backend::Host& backend, Offsets episodes, critic::Rows<const Real> observation,
              critic::Rows<const Real> action, critic::Rows<Real> context) const {
        const std::int64_t steps = episodes.empty() ? 0 : episodes.back(), width = observation.width + action.width;
        expect(length >= 1, [&] { return "contexts: length is " + std::to_string(length) + ", expected 1 or more"; });
        expect(observation.count() == steps && action.count() == steps && context.count() == steps &&
                   (steps == 0 || context.width == length * width),
               [&] {
                   return "contexts: " + std::to_string(observation.count()) + " observations, " +
                          std::to_string(action.count()) + " actions and room for " + std::to_string(context.count()) +
                          " contexts of " + std::to_string(context.width) + ", expected " + std::to_string(steps) +
                          " each, of " + std::to_string(length * width);
               });
        segmented_for_each(backend, episodes, [&](std::int64_t episode, std::int64_t step) {
            const std::int64_t first = episodes[static_cast<std::size_t>(episode)];
            auto to = context[step].begin();
            for (std::int64_t back = length - 1; back >= 0; --back) {
                const std::int64_t from = std::max(first, step - back);
                const bool there = Padding::repeats || step - back >= first;
                to = there ? std::copy(observation[from].begin(), observation[from].end(), to)
                           : std::fill_n(to, observation.width, Real(0));
                to = there ? std::copy(action[from].begin(), action[from].end(), to)
                           : std::fill_n(to, action.width, Real(0));
            }
        });
    }
};
template <class Padding>
ROARS_FIELDS_OF((Contexts<Padding>), length)

/// The same of an episode that is under way: the newest step's action is missing, zeros, until it is done, wherever
/// that step stands. Then the context is the row that Contexts gives of the step; to see the next observation begins
/// the next step.
template <class Real>
class Past {
public:
    Past() = default;
    Past(std::int64_t length, std::int64_t observation, std::int64_t action, bool repeats)
        : observation_(static_cast<std::size_t>(observation)),
          width_(static_cast<std::size_t>(observation + action)),
          repeats_(repeats),
          context_(static_cast<std::size_t>(length) * width_) {}

    void begin(std::span<const Real> observation) {
        steps_ = 0;
        std::fill(context_.begin(), context_.end(), Real(0));
        see(observation);
    }
    void see(std::span<const Real> observation) {
        std::copy(context_.begin() + std::ptrdiff_t(width_), context_.end(), context_.begin());
        std::fill(context_.end() - std::ptrdiff_t(width_), context_.end(), Real(0));
        ++steps_;
        newest([&](auto step) { std::copy(observation.begin(), observation.end(), step); });
    }
    void act(std::span<const Real> action) {
        newest([&](auto step) { std::copy(action.begin(), action.end(), step + std::ptrdiff_t(observation_)); });
    }
    /// [length (observation + action)], the oldest first.
    std::span<const Real> context() const { return context_; }
    std::span<const Real> observation() const { return context().last(width_).first(observation_); }

    template <class File>
    void write(File& file, const std::string& name) const {
        file.template put<Real>(name + ".context", {std::ssize(context_)}, context_);
        file.template put<std::int64_t>(name + ".steps", {1}, std::span(&steps_, 1));
    }
    template <class File>
    void read(const File& file, const std::string& name) {
        file.template get<Real>(name + ".context", {std::ssize(context_)}, std::span<Real>(context_));
        file.template get<std::int64_t>(name + ".steps", {1}, std::span(&steps_, 1));
    }

private:
    /// The last step; where the first one is repeated, all of them are it.
    template <class Visit>
    void newest(Visit&& visit) {
        const bool all = repeats_ && steps_ == 1;
        for (auto step = all ? context_.begin() : context_.end() - std::ptrdiff_t(width_); step != context_.end();
             step += std::ptrdiff_t(width_))
            visit(step);
    }

    std::size_t observation_ = 0, width_ = 0;
    bool repeats_ = true;
    std::int64_t steps_ = 0;
    std::vector<Real> context_;
};

}  // namespace roars::sampler
