#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::reward {

namespace detail {
/// cos(m pi / (2 m + c)) of m tool calls: 1 without a call, falling to 0 and never there.
ROARS_FN inline double of_calls_alone(double calls, double smooth) {
    return calls > 0 ? math::max(0.0, std::cos(1.5707963267948966 / (1.0 + 0.5 * smooth / calls))) : 1.0;
}
/// sin(f pi / (2 n)), f = 2 n m / (m + n), of m calls where n > 0 suffice: 1 at m = n, 0 at m = 0, falling to 0 beyond.
ROARS_FN inline double beside_the_fewest(double calls, double fewest) {
    return calls > 0 ? math::max(0.0, std::sin(3.141592653589793 / (1.0 + fewest / calls))) : 0.0;
}
/// Multiplied on purpose: with a sum an agent is paid for calling nothing where it cannot answer. A reward of 0 or less
/// is not made better by calling more.
ROARS_FN inline double weighed(double reward, double coefficient, double scale) {
    return scale * (reward > 0 ? coefficient * reward : reward);
}
/// What a part does to sequence or group number i, as a body of a loop.
template <class Part, class X>
struct Weigh {
    Part part;
    X x;
    ROARS_FN void operator()(std::int64_t i) const { part.weigh(x, i); }
};
inline void expect_smooth(double smooth) {
    expect(smooth > 0, [&] { return "calls: smooth is " + std::to_string(smooth) + ", expected a number above 0"; });
}
}  // namespace detail

/// r = scale cos(m pi / (2 m + smooth)) r for a reward above 0, scale r for another; m = tool_calls. For Then. smooth
/// is of the size of the most calls that may be. Shapes: [sequences]. Errors: smooth of 0 or less. Source: OTC-PPO,
/// arXiv 2504.14870.
struct FewCalls {
    double scale = 1.0;
    double smooth = 4.0;

    using needs = columns<col::tool_calls>;
    static constexpr bool everywhere = true;

    ROARS_FN double coefficient(double calls) const { return detail::of_calls_alone(calls, smooth); }

    template <class X>
    ROARS_FN void weigh(const X& x, std::int64_t i) const {
        const double k = coefficient(static_cast<double>(x[col::tool_calls{}][i]));
        auto& reward = x[col::reward{}][i];
        reward = static_cast<typename X::Real>(detail::weighed(static_cast<double>(reward), k, scale));
    }
    template <class RunType, class State, BatchWith<col::tool_calls, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        detail::expect_smooth(smooth);
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       detail::Weigh<FewCalls, decltype(x)>{*this, x});
    }
};
ROARS_FIELDS(FewCalls, scale, smooth)

/// The same beside the fewest calls that were seen to suffice: with n = the least m of the group's right sequences
/// (outcome > 0.5),
///     k = sin(f pi / (2 n)), f = 2 n m / (m + n), if n > 0;   cos(m pi / (2 m + smooth)) if n = 0;
///     k = 1 where no sequence is right;   r = scale k r for a reward above 0, scale r for another.
/// For Then. Shapes: [sequences]. Errors: smooth of 0 or less. Source: OTC-GRPO, arXiv 2504.14870.
struct FewestCalls {
    double scale = 1.0;
    double smooth = 4.0;

    using needs = columns<col::groups, col::outcome, col::tool_calls>;
    static constexpr bool everywhere = true;
    /// In place of n where no sequence is right.
    static constexpr double unknown = -1.0;

    ROARS_FN double coefficient(double calls, double fewest) const {
        if (fewest < 0) return 1.0;
        return fewest > 0 ? detail::beside_the_fewest(calls, fewest) : detail::of_calls_alone(calls, smooth);
    }
    /// The least of two, either of which may be unknown.
    ROARS_FN static double lower(double fewest, double other) {
        return fewest < 0 || (other >= 0 && other < fewest) ? other : fewest;
    }
    /// n of group g, x a view of the batch.
    template <class X>
    ROARS_FN static double of_group(const X& x, std::int64_t g) {
        double fewest = unknown;
        for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
            if (x[col::outcome{}][i] > 0.5) fewest = lower(fewest, static_cast<double>(x[col::tool_calls{}][i]));
        return fewest;
    }
    template <class X>
    ROARS_FN void weigh(const X& x, std::int64_t g, double fewest) const {
        for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i) {
            const double k = coefficient(static_cast<double>(x[col::tool_calls{}][i]), fewest);
            auto& reward = x[col::reward{}][i];
            reward = static_cast<typename X::Real>(detail::weighed(static_cast<double>(reward), k, scale));
        }
    }

    template <class X>
    ROARS_FN void weigh(const X& x, std::int64_t g) const {
        weigh(x, g, of_group(x, g));
    }
    template <class RunType, class State, BatchWith<col::groups, col::outcome, col::tool_calls, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        detail::expect_smooth(smooth);
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(),
                                                       detail::Weigh<FewestCalls, decltype(x)>{*this, x});
    }
};
ROARS_FIELDS(FewestCalls, scale, smooth)

/// FewestCalls with a memory: n is the fewest calls of a right answer to the prompt in this batch and all before it.
/// The memory learns from the whole batch first, so that the order of its groups does not matter.
struct RememberedFewestCalls {
    FewestCalls base{};

    using needs = unite_t<FewestCalls::needs, columns<col::prompt>>;
    struct State {
        std::vector<double> fewest;  ///< by the prompt's number; unknown where no answer was right

        ROARS_MEMBERS(State, fewest)
    };

    template <class RunType, BatchWith<col::groups, col::outcome, col::tool_calls, col::prompt, col::reward> BatchType>
    void amend(RunType& run, State& state, BatchType& batch) const {
        detail::expect_smooth(base.smooth);
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        for (std::int64_t g = 0; g < batch.groups(); ++g)
            if (double* fewest = of_prompt(state, x, g)) *fewest = FewestCalls::lower(*fewest, base.of_group(x, g));
        for (std::int64_t g = 0; g < batch.groups(); ++g)
            if (const double* fewest = of_prompt(state, x, g)) base.weigh(x, g, *fewest);
    }

private:
    /// What is remembered of a group's prompt; null of an empty group, which has none.
    template <class X>
    static double* of_prompt(State& state, const X& x, std::int64_t g) {
        if (x[col::groups{}][g] == x[col::groups{}][g + 1]) return nullptr;
        const auto prompt = static_cast<std::size_t>(x[col::prompt{}][x[col::groups{}][g]]);
        if (prompt >= state.fewest.size()) state.fewest.resize(prompt + 1, FewestCalls::unknown);
        return &state.fewest[prompt];
    }
};
ROARS_FIELDS(RememberedFewestCalls, base)

}  // namespace roars::reward
