#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars::reward {

/// 1 for a sequence of at most max_length tokens, else 0. A door for Gate: Gate<Within, Verified> gives nothing for
/// what is too long, however right.
struct Within {
    double max_length = 4000;

    using gives = columns<col::reward>;
    template <class X>
    double value(const X& x) const {
        return of(static_cast<double>(x.length()));
    }
    double of(double length) const { return length <= max_length ? 1.0 : 0.0; }
};
ROARS_FIELDS(Within, max_length)

/// A sequence longer than its group's budget gets reward 0. The budget follows from how easy the prompt is:
///     rate = share of the group's sequences that are right (outcome > 0.5) within the longest budget,
///     budget = budgets[number of thresholds <= rate],
/// so that easy prompts must be answered shortly. For Then. Shapes: outcome [sequences] -> reward [sequences]. An empty
/// group has the longest budget. Source: DA-DLER, arXiv 2510.15110.
template <std::size_t tiers = 2>
struct DifficultyBudget {
    static_assert(tiers >= 1, "roars: a length budget needs a tier");

    std::array<double, tiers - 1> thresholds = even_thresholds();
    std::array<double, tiers> budgets = halving_budgets();

    using needs = columns<col::groups, col::outcome>;

    /// The budget of each group.
    template <class BatchType>
    std::vector<double> of_groups(backend::Host& backend, const BatchType& batch) const {
        double longest = *std::max_element(budgets.begin(), budgets.end());
        Offsets groups = batch[col::groups{}];
        std::vector<std::int64_t> right(static_cast<std::size_t>(batch.groups()));
        segmented_sum(
            backend, groups,
            [&](std::int64_t i) {
                SequenceView<BatchType> x(batch, i);
                return std::int64_t{x[col::outcome{}] > 0.5 && static_cast<double>(x.length()) <= longest};
            },
            std::span(right));
        std::vector<double> budget;
        for (std::size_t g = 0; g < right.size(); ++g) {
            std::int64_t all = std::max<std::int64_t>(groups[g + 1] - groups[g], 1);
            budget.push_back(of_rate(static_cast<double>(right[g]) / static_cast<double>(all)));
        }
        return budget;
    }
    double of_rate(double rate) const {
        auto tier = std::count_if(thresholds.begin(), thresholds.end(), [&](double at) { return at <= rate; });
        return budgets[static_cast<std::size_t>(tier)];
    }

    template <class RunType, class State, BatchWith<col::groups, col::outcome, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        std::vector<double> budget = of_groups(run.backend, batch);
        segmented_for_each(run.backend, batch[col::groups{}], [&](std::int64_t g, std::int64_t i) {
            double length = static_cast<double>(SequenceView<BatchType>(batch, i).length());
            if (length > budget[static_cast<std::size_t>(g)]) batch[col::reward{}][static_cast<std::size_t>(i)] = 0;
        });
    }

private:
    static constexpr std::array<double, tiers - 1> even_thresholds() {
        std::array<double, tiers - 1> thresholds{};
        for (std::size_t k = 0; k + 1 < tiers; ++k)
            thresholds[k] = static_cast<double>(k + 1) / static_cast<double>(tiers);
        return thresholds;
    }
    static constexpr std::array<double, tiers> halving_budgets() {
        std::array<double, tiers> budgets{};
        for (std::size_t k = 0; k < tiers; ++k) budgets[k] = k == 0 ? 4000.0 : budgets[k - 1] / 2.0;
        return budgets;
    }
};
template <std::size_t tiers>
ROARS_FIELDS_OF((DifficultyBudget<tiers>), thresholds, budgets)

}  // namespace roars::reward
