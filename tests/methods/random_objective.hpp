#pragma once

#include "any_cut.hpp"

#include <random>

/// What the tests of methods share: a batch with what the terms of a method's loss read.
namespace roars {
namespace {

/// Columns of a method's loss.
template <class Method>
using ObjectiveColumns =
    unite_t<columns<col::groups, col::mask, col::logp>, typename Method::ObjectiveStage::needs,
            typename Method::ObjectiveStage::gives, typename Method::OfTerms::masks, typename Method::Gradients>;

/// Groups of two sequences of 0 to 5 tokens; a quarter of the tokens is masked. Marks are 0 or 1, logarithms of
/// probabilities below 0, everything else is around 0.
template <class Method>
Batch<double, ObjectiveColumns<Method>> random_objective(std::mt19937& random, int groups) {
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::vector<std::int64_t> lengths, pairs(static_cast<std::size_t>(groups), 2);
    for (int i = 0; i < 2 * groups; ++i) lengths.push_back(below(6));
    Batch<double, ObjectiveColumns<Method>> batch(offsets_of(lengths), offsets_of(pairs));
    auto fill = [&]<class Column>(Column column) {
        if constexpr (Column::kind == Kind::real && !is_gradient_v<Column>) {
            constexpr bool mark = contains_v<Column, columns<col::mask, col::keep, col::selected, col::penalty_weight,
                                                             col::planning, col::mismatched>>;
            for (auto& x : batch[column])
                x = mark ? double(below(4) > 0) : Column::name.starts_with("logp") ? real(-3, 0) : real(-1, 1);
        }
    };
    [&]<class... Column>(columns<Column...>) { (fill(Column{}), ...); }(ObjectiveColumns<Method>{});
    return batch;
}

}  // namespace
}  // namespace roars
