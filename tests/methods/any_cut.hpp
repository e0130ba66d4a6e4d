#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "roars/algorithm.hpp"

/// What the tests of methods share: an objective over a whole batch and over micro-batches of its groups.
namespace roars {
namespace {

struct Objective {
    std::vector<double> term_loss;
    std::vector<double> gradient;
    double loss = 0;
};

template <class Method, class BatchType>
Objective objective_of(const Method& method, BatchType& batch, const auto& totals) {
    backend::Host host;
    roars::Run run{host};
    auto result = method.objective(run, {}, batch, totals);
    auto gradient = batch[col::grad<col::logp>{}];
    return {{result.term_loss.begin(), result.term_loss.end()}, {gradient.begin(), gradient.end()}, result.loss()};
}
template <class Method, class BatchType>
Objective objective_of(const Method& method, BatchType& batch) {
    backend::Host host;
    roars::Run run{host};
    return objective_of(method, batch, method.totals(run, {}, batch));
}

/// Loss and gradient of pieces of `step` groups, with the totals of all of them, are those of the whole.
template <class Method, class BatchType>
void expect_any_cut(const Method& method, BatchType batch, std::int64_t step) {
    backend::Host host;
    roars::Run run{host};
    Objective whole = objective_of(method, batch);
    std::vector<BatchType> pieces;
    for (std::int64_t g = 0; g < batch.groups(); g += step)
        pieces.push_back(batch.slice_groups(g, std::min(g + step, batch.groups())));
    decltype(method.totals(run, {}, batch)) totals{};
    for (auto& piece : pieces) totals += method.totals(run, {}, piece);
    std::vector<double> gradient, loss(whole.term_loss.size());
    for (auto& piece : pieces) {
        Objective part = objective_of(method, piece, totals);
        gradient.insert(gradient.end(), part.gradient.begin(), part.gradient.end());
        for (std::size_t k = 0; k < loss.size(); ++k) loss[k] += part.term_loss[k];
    }
    ASSERT_EQ(gradient.size(), whole.gradient.size());
    for (std::size_t k = 0; k < loss.size(); ++k)
        EXPECT_NEAR(loss[k], whole.term_loss[k], 1e-11 * std::max(1.0, std::abs(whole.term_loss[k])));
    for (std::size_t t = 0; t < gradient.size(); ++t)
        EXPECT_NEAR(gradient[t], whole.gradient[t], 1e-11 * std::max(1.0, std::abs(whole.gradient[t])));
}

/// The gradient by logp is that of the loss.
template <class Method, class BatchType>
void expect_finite_difference(const Method& method, BatchType batch, double tolerance = 1e-6) {
    std::vector<double> said = objective_of(method, batch).gradient;
    for (std::size_t t = 0; t < said.size(); ++t) {
        const double step = 1e-6, x = batch[col::logp{}][t];
        batch[col::logp{}][t] = x + step;
        double up = objective_of(method, batch).loss;
        batch[col::logp{}][t] = x - step;
        double down = objective_of(method, batch).loss;
        batch[col::logp{}][t] = x;
        double found = (up - down) / (2 * step);
        EXPECT_NEAR(said[t], found, tolerance * std::max(1.0, std::abs(found))) << "token " << t;
    }
}

/// Offsets of segments of these sizes.
inline std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& sizes) {
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t size : sizes) offsets.push_back(offsets.back() + size);
    return offsets;
}

}  // namespace
}  // namespace roars
