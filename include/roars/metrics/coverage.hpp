#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"

/// How much of a problem a data set shows. Source: A Dataset Perspective on Offline RL, arXiv 2111.04714.
namespace roars::metrics {

/// What a column of numbers is cut by: `bins` edges from low to high,
///     edge_j = low + j (high - low) / (bins - 1), the last one exactly high; a single edge is low.
/// The cell of x is the number of edges <= x: 0 below low, `bins` from high on. Numbers outside share the outer cells.
class Cells {
public:
    /// Errors: bins below 1, limits that are not finite or in the wrong order.
    Cells(double low, double high, std::int64_t bins) {
        expect(bins >= 1 && std::isfinite(low) && std::isfinite(high) && low <= high, [&] {
            return "cells: " + std::to_string(bins) + " bins from " + std::to_string(low) + " to " +
                   std::to_string(high) + ", expected one bin or more between finite limits in ascending order";
        });
        for (std::int64_t j = 0; j + 1 < bins; ++j)
            edges_.push_back(low + static_cast<double>(j) * (high - low) / static_cast<double>(bins - 1));
        edges_.push_back(bins == 1 ? low : high);
    }
    std::int32_t operator()(double x) const {
        return static_cast<std::int32_t>(std::upper_bound(edges_.begin(), edges_.end(), x) - edges_.begin());
    }

private:
    std::vector<double> edges_;
};

/// The cells of all columns of a data set's features (state, then action), by the limits of a reference.
class Discretisation {
public:
    /// limits = low, high of each column in turn. Shapes: limits [2 columns].
    Discretisation(std::span<const double> limits, std::int64_t bins) {
        expect(limits.size() % 2 == 0, [&] {
            return "discretisation: " + std::to_string(limits.size()) + " limits, expected two for each column";
        });
        for (std::size_t i = 0; i < limits.size(); i += 2) columns_.emplace_back(limits[i], limits[i + 1], bins);
    }
    std::int64_t columns() const { return std::ssize(columns_); }

    /// Shapes: features [rows, columns] -> the cells, likewise. Errors: a NaN.
    std::vector<std::int32_t> operator()(backend::Host& backend, std::span<const double> features) const {
        if (features.empty()) return {};
        std::size_t width = columns_.size();
        expect(width > 0 && features.size() % width == 0, [&] {
            return "discretisation: " + std::to_string(features.size()) + " numbers, expected rows of " +
                   std::to_string(width);
        });
        for (std::size_t i = 0; i < features.size(); ++i)
            expect(!std::isnan(features[i]), [&] {
                return "discretisation: row " + std::to_string(i / width) + ", column " + std::to_string(i % width) +
                       " is nan, expected a number";
            });
        std::vector<std::int32_t> cells(features.size());
        parallel_for(backend, std::ssize(features), [&](std::int64_t i) {
            auto at = static_cast<std::size_t>(i);
            cells[at] = columns_[at % width](features[at]);
        });
        return cells;
    }

private:
    std::vector<Cells> columns_;
};

/// Low and high of each column in turn. Shapes: features [rows, width], one row or more -> [2 width].
inline std::vector<double> limits_of(std::span<const double> features, std::int64_t width) {
    auto columns = static_cast<std::size_t>(width);
    expect(width > 0 && !features.empty() && features.size() % columns == 0, [&] {
        return "limits: " + std::to_string(features.size()) + " numbers, expected one row or more of " +
               std::to_string(width);
    });
    std::vector<double> limits;
    for (std::size_t column = 0; column < columns; ++column) {
        limits.insert(limits.end(), {features[column], features[column]});
        for (std::size_t i = column; i < features.size(); i += columns) {
            limits[2 * column] = std::min(limits[2 * column], features[i]);
            limits[2 * column + 1] = std::max(limits[2 * column + 1], features[i]);
        }
    }
    return limits;
}

/// The number of different rows, exactly: a hash table that compares whole rows. Whole numbers only, so that two ways
/// to write a number (0 and -0) cannot count twice. Shapes: rows [rows, width].
inline std::int64_t distinct_rows(std::span<const std::int32_t> rows, std::int64_t width) {
    if (rows.empty()) return 0;
    auto columns = static_cast<std::size_t>(width);
    expect(width > 0 && rows.size() % columns == 0, [&] {
        return "distinct rows: " + std::to_string(rows.size()) + " numbers, expected rows of " + std::to_string(width);
    });
    std::size_t count = rows.size() / columns, room = 16;
    while (room < 2 * count) room *= 2;
    std::vector<std::int64_t> place(room, -1);
    std::int64_t distinct = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto row = rows.subspan(i * columns, columns);
        std::uint64_t hash = 0x9e3779b97f4a7c15u;
        for (std::int32_t value : row) {
            hash = (hash ^ static_cast<std::uint32_t>(value)) * 0xbf58476d1ce4e5b9u;
            hash ^= hash >> 29;
        }
        std::size_t at = hash & (room - 1);
        auto same = [&](std::int64_t other) {
            auto first = rows.begin() + std::ptrdiff_t(other) * width;
            return std::equal(row.begin(), row.end(), first);
        };
        while (place[at] >= 0 && !same(place[at])) at = (at + 1) & (room - 1);
        if (place[at] >= 0) continue;
        place[at] = static_cast<std::int64_t>(i);
        ++distinct;
    }
    return distinct;
}

/// State-action coverage: the different state-action pairs of a data set over those of a reference (the replay of an
/// online run of the same size). May be above 1. NaN where undefined: an empty reference; for the logarithms, ln unique
/// / ln reference, an empty data set too, or a reference of one pair.
struct Coverage {
    std::int64_t unique = 0;
    std::int64_t reference = 0;

    double ratio() const { return reference > 0 ? double(unique) / double(reference) : nan; }
    double log_ratio() const {
        return unique > 0 && reference > 1 ? std::log(double(unique)) / std::log(double(reference)) : nan;
    }

private:
    static constexpr double nan = std::numeric_limits<double>::quiet_NaN();
};

/// How often each state-action pair of a finite problem occurs, and what follows from that, in nats.
struct Occupancy {
    double entropy = 0.0;          ///< -sum p ln p, p = count / rows: the naive estimate of the occupancy's entropy
    double effective_pairs = 1.0;  ///< e^entropy <= unique, equal for a uniform data set; 1 without a row
    std::int64_t unique = 0;       ///< pairs that occur
    double policy_entropy = 0.0;   ///< mean over rows of the entropy of n(s, a) / n(s), over ln(actions); NaN without a
                                   ///< row, 0 with one action
};

/// Shapes: state, action [rows]. Errors: a state or an action that does not exist.
inline Occupancy occupancy(std::span<const std::int64_t> state, std::span<const std::int64_t> action,
                           std::int64_t states, std::int64_t actions) {
    expect(state.size() == action.size(), [&] {
        return "occupancy: " + std::to_string(state.size()) + " states and " + std::to_string(action.size()) +
               " actions, expected as many of each";
    });
    std::vector<std::int64_t> pairs(static_cast<std::size_t>(states * actions)), visits(std::size_t(states), 0);
    for (std::size_t i = 0; i < state.size(); ++i) {
        expect(state[i] >= 0 && state[i] < states && action[i] >= 0 && action[i] < actions, [&] {
            return "occupancy: row " + std::to_string(i) + " is state " + std::to_string(state[i]) + ", action " +
                   std::to_string(action[i]) + ", expected states below " + std::to_string(states) +
                   " and actions below " + std::to_string(actions);
        });
        ++pairs[static_cast<std::size_t>(state[i] * actions + action[i])];
        ++visits[static_cast<std::size_t>(state[i])];
    }
    if (state.empty()) return {0.0, 1.0, 0, std::numeric_limits<double>::quiet_NaN()};
    Occupancy found;
    double rows = double(state.size());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        if (pairs[i] == 0) continue;
        double count = double(pairs[i]), share = count / rows;
        ++found.unique;
        found.entropy -= share * std::log(share);
        found.policy_entropy -= share * std::log(count / double(visits[i / static_cast<std::size_t>(actions)]));
    }
    found.effective_pairs = std::exp(found.entropy);
    found.policy_entropy = actions > 1 ? found.policy_entropy / std::log(double(actions)) : 0.0;
    return found;
}

}  // namespace roars::metrics
