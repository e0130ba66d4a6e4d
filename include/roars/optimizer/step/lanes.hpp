#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/simd.hpp"

/// What the step rules share: one pass over flat spans in lanes, and the norm of a gradient.
namespace roars::step::detail {

template <class Real>
void expect_gradients(const char* rule, std::span<Real> parameters, std::span<Real> gradients) {
    expect(parameters.size() == gradients.size(), [&] {
        return std::string(rule) + ": " + std::to_string(gradients.size()) + " gradients, expected one for each of " +
               std::to_string(parameters.size()) + " parameters";
    });
}

/// A buffer of the State with one value a parameter: made at the first step, else of that size already.
template <class Real>
std::span<Real> buffer(const char* rule, std::vector<Real>& values, std::size_t parameters) {
    if (values.empty()) values.resize(parameters);
    expect(values.size() == parameters, [&] {
        return std::string(rule) + ": the state is of " + std::to_string(values.size()) + " parameters, expected " +
               std::to_string(parameters);
    });
    return values;
}

/// update(g, value...) in lanes for every parameter, g a constant and the values in place. What an element becomes
/// depends on that element alone, so that neither the cut nor the number of threads changes a bit.
template <class Real, class Update, class... Value>
void update_lanes(std::span<const Real> gradients, Update&& update, std::span<Value>... values) {
    using V = math::Lanes<Real>;
    constexpr std::int64_t width = math::lanes<V>;
    auto whole = [&](const Real* g, Value*... value) {
        [&](auto... lane) {
            update(math::load<V>(g), lane...);
            (math::store(value, lane), ...);
        }(math::load<V>(value)...);
    };
    auto rest = [&](std::int64_t count, const Real* g, Value*... value) {
        auto padded = [count](const Real* from) {
            std::array<Real, static_cast<std::size_t>(width)> lanes{};
            std::copy_n(from, count, lanes.begin());
            return lanes;
        };
        auto gradient = padded(g);
        [&](auto... lanes) {
            whole(gradient.data(), lanes.data()...);
            (std::copy_n(lanes.begin(), count, value), ...);
        }(padded(value)...);
    };
    backend::Host host;
    parallel_pieces(host, std::ssize(gradients), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
        std::int64_t i = begin;
        for (; i + width <= end; i += width) whole(gradients.data() + i, (values.data() + i)...);
        if (i < end) rest(end - i, gradients.data() + i, (values.data() + i)...);
    });
}

/// Sum of (g / unit)^2 in double, in an order that depends on the size alone.
template <class Real>
double sum_of_squares(std::span<const Real> gradients, double unit = 1.0) {
    constexpr std::size_t width = 8;
    backend::Host host;
    std::vector<double> partial(static_cast<std::size_t>((std::ssize(gradients) + host.grain - 1) / host.grain));
    parallel_pieces(host, std::ssize(gradients), [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
        std::array<double, width> sum{};
        const Real *g = gradients.data() + begin, *last = gradients.data() + end;
        auto square = [unit](Real x) { return (static_cast<double>(x) / unit) * (static_cast<double>(x) / unit); };
        for (; g + width <= last; g += width)
            for (std::size_t k = 0; k < width; ++k) sum[k] += square(g[k]);
        for (; g < last; ++g) sum[0] += square(*g);
        for (double each : sum) partial[static_cast<std::size_t>(piece)] += each;
    });
    double all = 0;
    for (double each : partial) all += each;
    return all;
}

}  // namespace roars::step::detail

namespace roars::step {

/// The 2-norm of a gradient; inf or NaN if and only if one of its numbers is not finite (or the norm is beyond double).
template <class Real>
double gradient_norm(std::span<const Real> gradients) {
    double norm = std::sqrt(detail::sum_of_squares(gradients));
    if (std::isfinite(norm)) return norm;
    double largest = 0;
    for (Real g : gradients) {
        if (!std::isfinite(g)) return norm;
        largest = std::max(largest, std::abs(static_cast<double>(g)));
    }
    return largest * std::sqrt(detail::sum_of_squares(gradients, largest));
}

}  // namespace roars::step
