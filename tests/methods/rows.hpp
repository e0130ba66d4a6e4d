#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "../limits.hpp"
#include "roars/critic/rows.hpp"

/// What the tests of methods of control share: rows of random numbers, and finite differences of functions of them.
namespace roars {
namespace {

using Values = std::vector<double>;
using View = std::span<const double>;
using Read = critic::Rows<const double>;
using Write = critic::Rows<double>;

class Numbers {
public:
    explicit Numbers(std::uint32_t seed) : engine_(seed) {}
    double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
    std::int64_t whole(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
    }
    double normal() { return std::normal_distribution<double>()(engine_); }
    Values reals(std::int64_t count, double low = -2, double high = 2) {
        Values values(static_cast<std::size_t>(count));
        for (double& value : values) value = real(low, high);
        return values;
    }
    Values flags(std::int64_t count, double chance) {
        Values values(static_cast<std::size_t>(count));
        for (double& value : values) value = real(0, 1) < chance;
        return values;
    }
    std::mt19937& engine() { return engine_; }

private:
    std::mt19937 engine_;
};

/// loss() must have `gradient` by x, whose values it reads, by central differences; a smaller step is tried where the
/// first one reaches across a kink.
template <class Loss>
void expect_slope(Values& x, const Values& gradient, Loss&& loss, double tolerance = 1e-6) {
    ASSERT_EQ(x.size(), gradient.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        double own = x[i], found = 0;
        bool agrees = false;
        for (double step : {1e-5, 1e-6, 1e-7}) {
            x[i] = own + step;
            double above = loss();
            x[i] = own - step;
            double below = loss();
            x[i] = own;
            found = (above - below) / (2 * step);
            agrees = std::abs(found - gradient[i]) <= tolerance * std::max(1.0, std::abs(found));
            if (agrees) break;
        }
        EXPECT_TRUE(agrees) << "slope[" << i << "] is " << gradient[i] << ", the difference " << found;
    }
}

/// An Error whose message has `part` in it.
template <class Call>
void expect_error(Call&& call, const std::string& part) {
    try {
        call();
        ADD_FAILURE() << "no error, expected one that says '" << part << "'";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace roars
