#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/advantage/whiten.hpp"

namespace roars::advantage {

/// Several rewards, each normalised in its group before they are added, so that none drowns another:
///     A_i = sum_k weight_k z_ik,   z_ik = (r_ik - mean_g) / (std_g + eps), std with n - ddof.
/// Equal values give 0, a group of one keeps its raw values. Shapes: component_reward [sequences, components] ->
/// advantage [tokens]. Source: GDPO, arXiv 2601.05242.
struct DecoupledComponents {
    static constexpr std::size_t most = 16;
    static constexpr std::array<double, most> all_one = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

    std::array<double, most> weight = all_one;
    double eps = 1e-6;
    int ddof = 1;

    using needs = columns<col::groups, col::component_reward>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::groups, col::component_reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto width = static_cast<std::size_t>(batch.width(col::component_reward{}));
        expect(width <= most, [&] {
            return "component_reward has " + std::to_string(width) + " components, expected at most " +
                   std::to_string(most);
        });
        auto sequences = static_cast<std::size_t>(batch.sequences());
        std::span<const Real> rewards = batch[col::component_reward{}];
        std::vector<double> component(sequences), signal(sequences);
        std::vector<Moments> groups(static_cast<std::size_t>(batch.groups()));
        for (std::size_t k = 0; k < width; ++k) {
            for (std::size_t i = 0; i < sequences; ++i) component[i] = double(rewards[i * width + k]);
            segmented_moments(run.backend, batch[col::groups{}], std::span<const double>(component), std::span(groups));
            segmented_for_each(run.backend, batch[col::groups{}], [&](std::int64_t g, std::int64_t sequence) {
                auto i = static_cast<std::size_t>(sequence);
                signal[i] += weight[k] * score(component[i], groups[static_cast<std::size_t>(g)]);
            });
        }
        segmented_broadcast(run.backend, batch.token_offsets(), std::span<const double>(signal),
                            batch[col::advantage{}]);
    }

private:
    double score(double reward, const Moments& group) const {
        if (group.count <= 1) return reward;
        return group.equal ? 0.0 : (reward - group.mean) / (group.spread(ddof) + eps);
    }
};
ROARS_FIELDS(DecoupledComponents, weight, eps, ddof)

/// GDPO: the sum whitened over the batch.
using Gdpo = Whiten<DecoupledComponents>;

}  // namespace roars::advantage
