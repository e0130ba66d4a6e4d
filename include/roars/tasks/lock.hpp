#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/finite_horizon.hpp"
#include "roars/random.hpp"

namespace roars::tasks {

struct LockSettings {
    std::int64_t horizon = 8;
    std::int64_t actions = 3;
    double hold = 0.95;         ///< the key keeps the track with this probability
    double distraction = 0.05;  ///< rewards off the track are uniform below it
};
ROARS_FIELDS(LockSettings, horizon, actions, hold, distraction)

/// A lock in tables: state 0 is the track, which the one right action of a step (its key) keeps, else leads to state 1;
/// a wrong action leads to one of the distractors 1 and 2, from where a walk goes on among them and the sink 3. The key
/// of the last step on the track pays 1, everything off the track a little. A problem of a seed; it begins in state 0.
class Lock {
public:
    static constexpr std::int64_t states = 4;

    explicit Lock(const LockSettings& settings, std::uint64_t seed = 0)
        : shape{settings.horizon, states, settings.actions},
          transition(shape.transitions()),
          reward(shape.step_actions()) {
        expect(settings.horizon >= 1 && settings.actions >= 1 && settings.hold >= 0.0 && settings.hold <= 1.0, [&] {
            return "lock: horizon " + std::to_string(settings.horizon) + ", actions " +
                   std::to_string(settings.actions) + ", hold " + std::to_string(settings.hold) +
                   ", expected 1 or more, 1 or more, and a probability";
        });
        RandomStream random(Random(seed, Purpose::task));
        for (std::int64_t h = 0; h < shape.horizon; ++h) {
            key.push_back(random.below(shape.actions));
            for (std::int64_t a = 0; a < shape.actions; ++a) {
                const bool right = a == key.back();
                go(h, 0, a,
                   right ? std::vector{settings.hold, 1 - settings.hold, 0.0, 0.0} : std::vector{0.0, 0.5, 0.5, 0.0});
                for (std::int64_t s : {1, 2}) go(h, s, a, {0.0, 0.4, 0.4, 0.2});
                go(h, 3, a, {0.0, 0.1, 0.1, 0.8});
                for (std::int64_t s = 1; s < states; ++s)
                    reward[shape.at(h, s, a)] = settings.distraction * random.uniform();
            }
        }
        reward[shape.at(shape.horizon - 1, 0, key.back())] = 1.0;
    }

    FiniteHorizon shape;
    std::vector<double> transition;  ///< [horizon, states, actions, states]
    std::vector<double> reward;      ///< [horizon, states, actions]
    std::vector<std::int64_t> key;   ///< [horizon]

    /// One step: where it leads.
    std::int64_t next(std::int64_t h, std::int64_t s, std::int64_t a, RandomStream& random) const {
        return draw(std::span(transition).subspan(shape.at(h, s, a, 0), states), random.uniform());
    }
    /// The first place where the running sum of probabilities passes `uniform`.
    static std::int64_t draw(std::span<const double> probability, double uniform) {
        std::size_t place = 0;
        while (place + 1 < probability.size() && uniform >= probability[place]) uniform -= probability[place++];
        return static_cast<std::int64_t>(place);
    }

private:
    void go(std::int64_t h, std::int64_t s, std::int64_t a, const std::vector<double>& chances) {
        for (std::int64_t to = 0; to < states; ++to)
            transition[shape.at(h, s, a, to)] = chances[static_cast<std::size_t>(to)];
    }
};

}  // namespace roars::tasks
