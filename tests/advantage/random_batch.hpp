#pragma once

#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "roars/algorithm.hpp"

/// What the tests of advantages and critics share: ragged batches in double, filled with numbers.
namespace roars {
namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

inline bool close(double a, double b, double tolerance = 1e-9) {
    return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

/// Numbers of a seed that RapidCheck chose.
class Draw {
public:
    explicit Draw(unsigned seed) : engine_(seed) {}
    double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(engine_); }
    std::int64_t whole(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine_);
    }
    bool chance(double probability) { return real(0, 1) < probability; }
    /// `count` segments, some empty.
    std::vector<std::int64_t> offsets(std::int64_t count, std::int64_t longest) {
        std::vector<std::int64_t> offsets{0};
        for (std::int64_t i = 0; i < count; ++i)
            offsets.push_back(offsets.back() + (chance(0.2) ? 0 : whole(1, longest)));
        return offsets;
    }

private:
    std::mt19937 engine_;
};
inline Draw any_draw() { return Draw(*rc::gen::arbitrary<unsigned>()); }

/// A grain that cuts long sequences into chunks.
inline roars::backend::Host small_grain(Draw& draw) { return {.grain = draw.whole(1, 12)}; }

/// Flags (mask, terminated, done, ...) are 0 or 1, a terminated step is done, log-probabilities are negative.
template <class Set>
auto random_batch(Draw& draw, std::int64_t longest = 20) {
    auto groups = draw.offsets(draw.whole(0, 4), 5);
    auto tokens = draw.offsets(groups.back(), longest);
    roars::Batch<double, Set> batch(tokens);
    if constexpr (roars::contains_v<roars::col::groups, Set>) batch.set_offsets(roars::col::groups{}, groups);
    auto fill = [&]<class Column>(Column column) {
        if constexpr (Column::kind == roars::Kind::real) {
            std::string_view name = Column::name;
            for (double& x : batch[column])
                x = name == "mask"                           ? double(draw.chance(0.8))
                    : name == "terminated" || name == "done" ? double(draw.chance(0.15))
                    : name.substr(0, 4) == "logp"            ? draw.real(-3, -0.05)
                    : name == "sum_pi_squared"               ? draw.real(0.1, 0.9)
                                                             : draw.real(-2, 2);
        }
    };
    [&]<class... Column>(roars::columns<Column...>) { (fill(Column{}), ...); }(Set{});
    if constexpr (roars::contains_v<roars::col::terminated, Set> && roars::contains_v<roars::col::done, Set>)
        for (std::size_t t = 0; t < batch[roars::col::done{}].size(); ++t)
            if (batch[roars::col::terminated{}][t] != 0) batch[roars::col::done{}][t] = 1;
    return batch;
}

/// NaN in the columns wherever the mask is 0.
template <class BatchType, class... Column>
void spoil_masked(BatchType& batch, roars::columns<Column...>) {
    for (std::size_t t = 0; t < batch[roars::col::mask{}].size(); ++t)
        if (batch[roars::col::mask{}][t] == 0) ((batch[Column{}][t] = not_a_number), ...);
}

template <class Part, class BatchType>
std::vector<double> estimated(const Part& part, BatchType& batch, roars::backend::Host host = {}) {
    roars::Run run{host};
    roars::state_of<Part> state{};
    roars::detail::call_estimate(part, run, state, batch);
    auto advantage = batch[roars::col::advantage{}];
    return {advantage.begin(), advantage.end()};
}

}  // namespace
}  // namespace roars
