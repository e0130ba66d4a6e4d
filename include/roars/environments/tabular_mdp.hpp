#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/environments/environment.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// A world of numbered states: what tables are made for. Its observation is the state as a row of zeros with a one.
template <class E>
concept TabularEnvironment = DiscreteEnvironment<E> && requires(const E& environment, const typename E::State& state) {
    { E::state_count } -> std::convertible_to<int>;
    { environment.index(state) } -> std::same_as<std::int32_t>;
};

namespace detail {

/// The first i at which the running sum of the weights passes `uniform` times their sum.
inline std::size_t draw(std::span<const double> weights, double uniform) {
    double total = 0, sum = 0;
    for (double weight : weights) total += weight;
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] <= 0) continue;
        last = i;
        sum += weights[i];
        if (uniform * total < sum) return i;
    }
    return last;
}

template <class Real>
void one_hot(std::int32_t index, std::span<Real> to) {
    std::fill(to.begin(), to.end(), Real(0));
    to[static_cast<std::size_t>(index)] = Real(1);
}

struct NumberedState {
    std::int32_t number;
};

}  // namespace detail

/// A Markov decision process from tables. The outcomes of action a in state s stand at
/// offsets[s actions + a] up to the next offset; each has a probability, a next state, a reward and whether it ends the
/// world. Fill the tables by hand and call check(), or let random_mdp or GridWorld::table make one.
template <int states, int actions, int limit = 100>
struct TabularMdp {
    std::vector<double> start;          ///< [states] probability to begin there
    std::vector<std::int64_t> offsets;  ///< [states * actions + 1]
    std::vector<double> probability;    ///< [outcomes]
    std::vector<std::int32_t> next;
    std::vector<double> reward;
    std::vector<std::uint8_t> terminated;

    static constexpr int observation_size = states;
    static constexpr int state_count = states;
    static constexpr int action_count = actions;
    static constexpr int max_steps = limit;
    using State = detail::NumberedState;

    void reset(State& state, RandomStream& random) const {
        state.number = static_cast<std::int32_t>(detail::draw(start, random.uniform()));
    }
    StepResult step(State& state, std::int32_t action, RandomStream& random) const {
        auto [begin, end] = outcomes(state.number, action);
        auto weights = std::span(probability).subspan(begin, end - begin);
        std::size_t drawn = begin + detail::draw(weights, random.uniform());
        state.number = next[drawn];
        return {reward[drawn], terminated[drawn] != 0};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::one_hot(state.number, to);
    }
    std::int32_t index(const State& state) const { return state.number; }

    struct Range {
        std::size_t begin, end;
    };
    Range outcomes(std::int32_t state, std::int32_t action) const {
        auto row = static_cast<std::size_t>(state) * actions + static_cast<std::size_t>(action);
        return {static_cast<std::size_t>(offsets[row]), static_cast<std::size_t>(offsets[row + 1])};
    }
    void add(double chance, std::int32_t to, double worth, bool ends) {
        probability.push_back(chance);
        next.push_back(to);
        reward.push_back(worth);
        terminated.push_back(ends);
    }

    /// Errors: tables of the wrong size, a next state that is none, a reward that is not finite, probabilities below 0
    /// or that do not add up to 1.
    void check() const {
        const std::size_t count = probability.size();
        expect(start.size() == std::size_t(states) && offsets.size() == std::size_t(states * actions) + 1 &&
                   next.size() == count && reward.size() == count && terminated.size() == count && offsets[0] == 0 &&
                   offsets.back() == static_cast<std::int64_t>(count) && std::is_sorted(offsets.begin(), offsets.end()),
               "tabular MDP: the tables' sizes do not fit each other");
        sums_to_one(start, [] { return std::string("start"); });
        for (std::int32_t s = 0; s < states; ++s)
            for (std::int32_t a = 0; a < actions; ++a) {
                auto where = [=] { return "state " + std::to_string(s) + ", action " + std::to_string(a); };
                auto [begin, end] = outcomes(s, a);
                sums_to_one(std::span(probability).subspan(begin, end - begin), where);
                for (std::size_t i = begin; i < end; ++i)
                    expect(next[i] >= 0 && next[i] < states && std::isfinite(reward[i]), [&] {
                        return "tabular MDP: " + where() + ": next state " + std::to_string(next[i]) + ", reward " +
                               std::to_string(reward[i]) + ", expected a state below " + std::to_string(states) +
                               " and a finite reward";
                    });
            }
    }

private:
    template <class Where>
    static void sums_to_one(std::span<const double> chances, Where where) {
        double sum = 0;
        for (double each : chances) sum += each >= 0 ? each : std::nan("");
        expect(std::abs(sum - 1) < 1e-9, [&] {
            return "tabular MDP: " + where() + ": probabilities add up to " + std::to_string(sum) + ", expected 1";
        });
    }
};
template <int states, int actions, int limit>
ROARS_FIELDS_OF((TabularMdp<states, actions, limit>), start, offsets, probability, next, reward, terminated)
static_assert(TabularEnvironment<TabularMdp<2, 2>>);

/// A random world: each (state, action) leads to `branches` different states with probabilities from cuts of [0, 1)
/// at uniform places, and has one reward, standard normal. It begins in any state and ends with probability `ending`.
/// Source: Garnet problems (Archibald, McKinnon and Thomas 1995).
template <int states, int actions, int limit = 100>
TabularMdp<states, actions, limit> random_mdp(std::uint64_t seed, int branches = 3, double ending = 0.0) {
    expect(branches >= 1 && branches <= states && ending >= 0 && ending <= 1, [&] {
        return "random MDP: " + std::to_string(branches) + " branches and an ending of " + std::to_string(ending) +
               ", expected 1 to " + std::to_string(states) + " branches and a probability";
    });
    TabularMdp<states, actions, limit> mdp;
    mdp.start.assign(std::size_t(states), 1.0 / states);
    mdp.offsets.push_back(0);
    RandomStream random{Random(seed, Purpose::task)};
    std::vector<std::int32_t> order(static_cast<std::size_t>(states));
    for (std::int32_t s = 0; s < states; ++s) order[static_cast<std::size_t>(s)] = s;
    for (int row = 0; row < states * actions; ++row) {
        std::vector<double> cuts{0.0, 1.0};
        for (int b = 0; b < branches; ++b) {
            auto at = static_cast<std::size_t>(b);
            std::swap(order[at], order[at + static_cast<std::size_t>(random.below(states - b))]);
            if (b > 0) cuts.push_back(random.uniform());
        }
        std::sort(cuts.begin(), cuts.end());
        const double worth = random.normal();
        for (std::size_t b = 0; b < static_cast<std::size_t>(branches); ++b) {
            double chance = cuts[b + 1] - cuts[b];
            if (ending < 1) mdp.add(chance * (1 - ending), order[b], worth, false);
            if (ending > 0) mdp.add(chance * ending, order[b], worth, true);
        }
        mdp.offsets.push_back(std::ssize(mdp.probability));
    }
    return mdp;
}

/// The best action values of a table's world without its time limit, by value iteration until no value moves by more
/// than `tolerance`:   Q(s, a) = sum over outcomes of p (r + discount (1 - terminated) max_a' Q(s', a')).
/// Shape: [states x actions]. Errors: a discount outside [0, 1), where the sum need not end.
template <int states, int actions, int limit>
std::vector<double> optimal_values(const TabularMdp<states, actions, limit>& mdp, double discount,
                                   double tolerance = 1e-12) {
    expect(discount >= 0 && discount < 1,
           [&] { return "optimal values: discount " + std::to_string(discount) + ", expected 0 <= discount < 1"; });
    std::vector<double> values(std::size_t(states * actions)), best(values.size() / std::size_t(actions));
    for (double moved = tolerance + 1; moved > tolerance;) {
        moved = 0;
        for (std::int32_t s = 0; s < states; ++s)
            for (std::int32_t a = 0; a < actions; ++a) {
                double value = 0;
                auto [begin, end] = mdp.outcomes(s, a);
                for (std::size_t i = begin; i < end; ++i)
                    value += mdp.probability[i] *
                             (mdp.reward[i] +
                              (mdp.terminated[i] ? 0.0 : discount * best[static_cast<std::size_t>(mdp.next[i])]));
                values[static_cast<std::size_t>(s * actions + a)] = value;
            }
        for (std::size_t s = 0; s < best.size(); ++s) {
            auto row = std::span(values).subspan(s * std::size_t(actions), std::size_t(actions));
            double largest = *std::max_element(row.begin(), row.end());
            moved = std::max(moved, std::abs(largest - best[s]));
            best[s] = largest;
        }
    }
    return values;
}

}  // namespace roars::env
