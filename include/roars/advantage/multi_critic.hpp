#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>

#include "roars/concepts.hpp"
#include "roars/critic/squared_errors.hpp"
#include "roars/critic/steps.hpp"

namespace roars::advantage {

/// A critic for each of several responses, none of which sees another, or a sum of them:
///     returns_m = r_m + gamma_m (1 - terminated) next_value_m,   A_m = returns_m - value_m;
/// the policy gets the A of the response `index`. A row that terminates, or a discount of 0, looks at no next value.
/// Shapes: token_reward, value, next_value, returns [rows, responses], terminated, advantage [rows]. Errors: rows of
/// another width. Source: TSCAC, arXiv 2302.01680, section 4.1.
template <std::size_t responses>
struct MultiCritic {
    std::array<double, responses> gamma = all(0.99);
    std::int64_t index = 0;
    critic::SquaredErrors critic{};

    using needs = columns<col::token_reward, col::value, col::next_value, col::terminated>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType,
              BatchWith<col::token_reward, col::value, col::next_value, col::terminated, col::advantage, col::returns>
                  BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        expect_width(batch, col::token_reward{}), expect_width(batch, col::value{});
        expect_width(batch, col::next_value{});
        expect(index >= 0 && index < std::int64_t(responses), [&] {
            return "multi-critic: index is " + std::to_string(index) + ", expected one of " +
                   std::to_string(responses) + " responses";
        });
        batch.set_width(col::returns{}, std::int64_t(responses));
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            bool ends = batch[col::terminated{}][i] != Real(0);
            for (std::size_t m = 0; m < responses; ++m) {
                std::size_t cell = i * responses + m;
                batch[col::returns{}][cell] = static_cast<Real>(
                    critic::one_step_target(double(batch[col::token_reward{}][cell]), gamma[m], ends || gamma[m] == 0.0,
                                            double(batch[col::next_value{}][cell])));
            }
            std::size_t own = i * responses + static_cast<std::size_t>(index);
            batch[col::advantage{}][i] = batch[col::returns{}][own] - batch[col::value{}][own];
        });
    }
    std::tuple<critic::SquaredErrors> terms(const NoState&) const { return {critic}; }

private:
    static constexpr std::array<double, responses> all(double discount) {
        std::array<double, responses> same{};
        for (double& one : same) one = discount;
        return same;
    }
    template <class BatchType, class Column>
    static void expect_width(const BatchType& batch, Column column) {
        expect(batch.width(column) == std::int64_t(responses), [&] {
            return std::string(Column::name) + ": has rows of " + std::to_string(batch.width(column)) +
                   " values, expected one for each of " + std::to_string(responses) + " responses";
        });
    }
};
template <std::size_t responses>
ROARS_FIELDS_OF((MultiCritic<responses>), gamma, index, critic)

}  // namespace roars::advantage
