#pragma once

#include <array>
#include <cstdint>
#include <string>

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

    static constexpr bool everywhere = true;

    template <class X>
    struct Component {
        X x;
        std::int64_t k;
        double* to;
        ROARS_FN void operator()(std::int64_t i) const {
            to[i] = static_cast<double>(x.row(col::component_reward{}, i)[static_cast<std::size_t>(k)]);
        }
    };
    template <class X>
    struct AddScores {
        double weight, eps;
        int ddof;
        X x;
        const double* component;
        const Moments* groups;
        double* signal;
        ROARS_FN double score(double reward, const Moments& group) const {
            if (group.count <= 1) return reward;
            return group.equal ? 0.0 : (reward - group.mean) / (group.spread(ddof) + eps);
        }
        ROARS_FN void operator()(std::int64_t g) const {
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                signal[i] += weight * score(component[i], groups[g]);
        }
    };
    template <class X>
    struct Spread {
        X x;
        const double* signal;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            x[col::advantage{}][t] = static_cast<typename X::Real>(signal[i]);
        }
    };
    template <class RunType, BatchWith<col::groups, col::component_reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        const std::int64_t width = batch.width(col::component_reward{}), sequences = batch.sequences();
        expect(width <= std::int64_t(most), [&] {
            return "component_reward has " + std::to_string(width) + " components, expected at most " +
                   std::to_string(most);
        });
        roars::detail::ScratchOf<double, RunType> component(run.backend, sequences), signal(run.backend, sequences);
        roars::detail::ScratchOf<Moments, RunType> groups(run.backend, batch.groups());
        auto x = view_of<columns<col::groups, col::component_reward, col::advantage>>(run, batch);
        using X = decltype(x);
        Here::clear(run.backend, signal.data(), sequences);
        for (std::int64_t k = 0; k < width; ++k) {
            Here::for_each(run.backend, sequences, Component<X>{x, k, component.data()});
            Here::group_moments(run.backend, batch, static_cast<const double*>(component.data()), groups.data());
            Here::for_each(run.backend, batch.groups(),
                           AddScores<X>{weight[static_cast<std::size_t>(k)], eps, ddof, x, component.data(),
                                        groups.data(), signal.data()});
        }
        Here::for_each_token(run.backend, batch, Spread<X>{x, signal.data()});
    }
};
ROARS_FIELDS(DecoupledComponents, weight, eps, ddof)

/// GDPO: the sum whitened over the batch.
using Gdpo = Whiten<DecoupledComponents>;

}  // namespace roars::advantage
