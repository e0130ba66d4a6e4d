#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::reward {

/// 1 for a sequence of at most max_length tokens, else 0. A door for Gate: Gate<Within, Verified> gives nothing for
/// what is too long, however right.
struct Within {
    double max_length = 4000;

    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return of(static_cast<double>(x.length()));
    }
    ROARS_FN double of(double length) const { return length <= max_length ? 1.0 : 0.0; }
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

    static constexpr bool everywhere = true;

    ROARS_FN double of_rate(double rate) const {
        std::size_t tier = 0;
        for (double at : thresholds) tier += at <= rate;
        return budgets[tier];
    }
    /// The budget of group g, x a view of the batch.
    template <class X>
    ROARS_FN double of_group(const X& x, std::int64_t g) const {
        double longest = budgets[0];
        for (double budget : budgets) longest = math::max(longest, budget);
        const std::int64_t first = x[col::groups{}][g], last = x[col::groups{}][g + 1];
        std::int64_t right = 0, all = last > first ? last - first : 1;
        for (std::int64_t i = first; i < last; ++i)
            right += x[col::outcome{}][i] > 0.5 && static_cast<double>(x.length(i)) <= longest;
        return of_rate(static_cast<double>(right) / static_cast<double>(all));
    }

    template <class X>
    struct OfGroup {
        DifficultyBudget part;
        X x;
        ROARS_FN void operator()(std::int64_t g) const {
            double budget = part.of_group(x, g);
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                if (static_cast<double>(x.length(i)) > budget) x[col::reward{}][i] = 0;
        }
    };
    template <class RunType, class State, BatchWith<col::groups, col::outcome, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(), OfGroup<decltype(x)>{*this, x});
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
