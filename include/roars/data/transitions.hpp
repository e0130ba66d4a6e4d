#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/error.hpp"

/// Data sets of transitions: in memory, collected in environments, and in HDF5 files as D4RL and Minari write them.
namespace roars::data {

/// Rows of (state, action, reward, next state, terminated, truncated), an episode's in their order, episodes one after
/// another. An episode ends with a row that is terminated (nothing follows: the next state is worth nothing) or
/// truncated (cut by a time limit or by the data set's end: the next state is worth what it is worth), never both.
/// Shapes: state and next_state [rows x observation_size], action [rows x action_size], the others [rows].
template <class Real = float>
struct Transitions {
    std::int64_t observation_size = 0;
    std::int64_t action_size = 0;   ///< 1 for discrete actions, whose numbers stand in `action`
    std::int64_t action_count = 0;  ///< how many discrete actions there are; 0: the actions are real numbers
    std::vector<Real> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    /// What is known of them: "environment", "policy", ... Saved with them.
    std::map<std::string, std::string> notes;
    /// Rows of the file that are not here, because it does not say what came after them (see load).
    std::int64_t rows_left_out = 0;

    std::int64_t rows() const { return std::ssize(reward); }
    bool ends(std::int64_t row) const {
        return terminated[static_cast<std::size_t>(row)] || truncated[static_cast<std::size_t>(row)];
    }

    void reserve(std::int64_t rows) {
        auto n = static_cast<std::size_t>(rows);
        state.reserve(n * static_cast<std::size_t>(observation_size));
        next_state.reserve(n * static_cast<std::size_t>(observation_size));
        action.reserve(n * static_cast<std::size_t>(action_size));
        reward.reserve(n), terminated.reserve(n), truncated.reserve(n);
    }
    void add(std::span<const Real> from, std::span<const Real> taken, Real gained, std::span<const Real> to, bool ended,
             bool cut) {
        state.insert(state.end(), from.begin(), from.end());
        action.insert(action.end(), taken.begin(), taken.end());
        reward.push_back(gained);
        next_state.insert(next_state.end(), to.begin(), to.end());
        terminated.push_back(ended);
        truncated.push_back(cut && !ended);
    }
    /// The other's rows behind these. Errors: other sizes of states or actions.
    void append(const Transitions& other) {
        expect(other.observation_size == observation_size && other.action_size == action_size &&
                   (other.action_count == 0) == (action_count == 0),
               [&] {
                   return "transitions: states of " + std::to_string(other.observation_size) + " and actions of " +
                          std::to_string(other.action_size) + " numbers, expected " + std::to_string(observation_size) +
                          " and " + std::to_string(action_size) + ", discrete or not alike";
               });
        action_count = std::max(action_count, other.action_count);
        auto join = [](auto& into, const auto& from) { into.insert(into.end(), from.begin(), from.end()); };
        join(state, other.state), join(action, other.action), join(reward, other.reward);
        join(next_state, other.next_state), join(terminated, other.terminated), join(truncated, other.truncated);
    }
    /// The first rows alone; the last of them is cut, if it does not end an episode.
    void keep_first(std::int64_t count) {
        auto n = static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, rows()));
        state.resize(n * static_cast<std::size_t>(observation_size));
        next_state.resize(state.size());
        action.resize(n * static_cast<std::size_t>(action_size));
        reward.resize(n), terminated.resize(n), truncated.resize(n);
        cut_last();
    }
    void cut_last() {
        if (!reward.empty() && !terminated.back()) truncated.back() = 1;
    }

    /// Where episodes begin, and the number of rows behind the last: [episodes + 1].
    std::vector<std::int64_t> episodes() const {
        std::vector<std::int64_t> offsets{0};
        for (std::int64_t row = 0; row < rows(); ++row)
            if (ends(row) || row + 1 == rows()) offsets.push_back(row + 1);
        return offsets;
    }
    /// The sum of rewards of each episode, without discount.
    std::vector<double> returns() const {
        std::vector<double> sums;
        auto offsets = episodes();
        for (std::size_t e = 0; e + 1 < offsets.size(); ++e) {
            double sum = 0;
            for (auto row = offsets[e]; row < offsets[e + 1]; ++row)
                sum += double(reward[static_cast<std::size_t>(row)]);
            sums.push_back(sum);
        }
        return sums;
    }

    /// Errors: no rows, columns of unlike lengths, a number that is not finite, a discrete action that is none, a flag
    /// other than 0 and 1, both flags in one row, a last row that ends nothing. The message names column and row.
    void check(const std::string& where) const {
        const auto n = static_cast<std::size_t>(rows());
        expect(n > 0, [&] { return where + ": holds no transitions"; });
        expect(observation_size > 0 && action_size > 0 && action_count >= 0 && (action_count == 0 || action_size == 1),
               [&] { return where + ": states or actions of no numbers"; });
        auto length = [&](const char* name, std::size_t has, std::size_t width) {
            expect(has == n * width, [&] {
                return where + ": column '" + name + "' holds " + std::to_string(has) + " numbers, expected " +
                       std::to_string(n) + " rows of " + std::to_string(width);
            });
        };
        length("state", state.size(), static_cast<std::size_t>(observation_size));
        length("action", action.size(), static_cast<std::size_t>(action_size));
        length("next_state", next_state.size(), static_cast<std::size_t>(observation_size));
        length("terminated", terminated.size(), 1);
        length("truncated", truncated.size(), 1);
        finite(where, "state", state, observation_size);
        finite(where, "action", action, action_size);
        finite(where, "reward", reward, 1);
        finite(where, "next_state", next_state, observation_size);
        for (std::size_t i = 0; i < n; ++i) {
            auto at = [&](const char* name) {
                return where + ": column '" + name + "', row " + std::to_string(i) + ": ";
            };
            expect(action_count == 0 ||
                       (action[i] >= 0 && action[i] < Real(action_count) && action[i] == std::floor(action[i])),
                   [&] {
                       return at("action") + std::to_string(action[i]) + ", expected a whole number from 0 to " +
                              std::to_string(action_count - 1);
                   });
            expect(terminated[i] <= 1 && truncated[i] <= 1 && terminated[i] + truncated[i] <= 1, [&] {
                return at("truncated") + std::to_string(truncated[i]) + " with terminated " +
                       std::to_string(terminated[i]) + ", expected 0 or 1, and not 1 in both";
            });
        }
        expect(ends(rows() - 1), [&] { return where + ": the last row neither terminates nor truncates its episode"; });
    }

private:
    static void finite(const std::string& where, const char* name, const std::vector<Real>& column,
                       std::int64_t width) {
        for (std::size_t i = 0; i < column.size(); ++i)
            expect(std::isfinite(column[i]), [&] {
                return where + ": column '" + name + "', row " + std::to_string(i / static_cast<std::size_t>(width)) +
                       ": " + std::to_string(column[i]) + ", expected a finite number";
            });
    }
};

}  // namespace roars::data
