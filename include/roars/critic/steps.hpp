#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/batch.hpp"
#include "roars/primitives/broadcast.hpp"

namespace roars::critic {

/// r + gamma (1 - terminated) next, the target of one step: nothing is looked at behind a termination, not even a NaN.
ROARS_FN inline double one_step_target(double reward, double gamma, bool terminated, double next) {
    double follows = reward + gamma * next;
    return terminated ? reward : follows;
}

/// Steps of an environment as streams, one after another: stream i owns the steps [offsets[i], offsets[i + 1]). After a
/// step comes the state that `next_value` values. Two ends are told apart: `terminated` (nothing follows: next_value
/// counts as 0) and `done` (the stream goes on with another episode, or is cut: next_value still counts unless the step
/// terminated). The last step of a stream is cut in any case. Shapes: all [steps].
template <class Real>
struct Steps {
    Offsets offsets;
    std::span<const Real> reward, next_value, terminated, done;

    double target(std::int64_t t, double gamma, double next) const {
        return one_step_target(double(reward[at(t)]), gamma, ends(t), next);
    }
    double bootstrapped(std::int64_t t, double gamma) const { return target(t, gamma, double(next_value[at(t)])); }
    bool ends(std::int64_t t) const { return terminated[at(t)] != Real(0); }
    bool cut(std::int64_t t) const { return done[at(t)] != Real(0); }

    static std::size_t at(std::int64_t t) { return static_cast<std::size_t>(t); }
};

/// The steps of a batch whose tokens are steps.
template <BatchWith<col::token_reward, col::next_value, col::terminated, col::done> BatchType>
Steps<typename BatchType::Real> steps_of(const BatchType& batch) {
    return {batch.token_offsets(), batch[col::token_reward{}], batch[col::next_value{}], batch[col::terminated{}],
            batch[col::done{}]};
}

/// 1 for the last element of each segment. Shapes: [elements].
inline std::vector<char> last_of_segment(backend::Host& backend, Offsets offsets) {
    std::vector<char> last(static_cast<std::size_t>(offsets.empty() ? 0 : offsets.back()));
    parallel_for(backend, segment_count(offsets), [&](std::int64_t segment) {
        auto i = static_cast<std::size_t>(segment);
        if (offsets[i + 1] > offsets[i]) last[static_cast<std::size_t>(offsets[i + 1]) - 1] = 1;
    });
    return last;
}

/// Where a recursion over streams must stop: the last step of a stream, or a step that is done. Shapes: [steps].
template <class Real>
std::vector<char> cuts_of(backend::Host& backend, const Steps<Real>& steps) {
    std::vector<char> cut = last_of_segment(backend, steps.offsets);
    parallel_for(backend, std::ssize(cut), [&](std::int64_t t) {
        if (steps.cut(t)) cut[static_cast<std::size_t>(t)] = 1;
    });
    return cut;
}

}  // namespace roars::critic
