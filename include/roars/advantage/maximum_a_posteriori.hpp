#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::advantage {

/// The temperature eta of weights softmax(x / eta) over a set of n values x, learned: one step of ln eta down
///     eta (epsilon + mean over sets of ln mean_j e^{x_j / eta}),
/// whose least value lets the weights differ from equal ones by a divergence of epsilon.
struct Temperature {
    double initial = 1.0;
    double epsilon = 0.1;
    step::AdamW step{.learning_rate = 1e-2};

    struct State {
        double shift = 0.0;  ///< ln eta - ln initial
        step::AdamW::StateOf<double> moments{};
        ROARS_MEMBERS(State, shift, moments)
    };

    double at(const State& state) const { return initial * std::exp(state.shift); }

    /// What the temperature learns from: of one set, or the mean over several.
    struct Dual {
        double log_mean = 0.0;  ///< ln mean_j e^{x_j / eta}
        double mean = 0.0;      ///< sum_j w_j x_j / eta
    };
    /// The weights of one set, in the place of its values. One value or more.
    static Dual weigh(std::span<double> x, double eta) {
        double largest = *std::max_element(x.begin(), x.end()) / eta, sum = 0.0, along = 0.0;
        for (double& each : x) {
            double scaled = each / eta, weight = std::exp(scaled - largest);
            sum += weight;
            along += weight * scaled;
            each = weight;
        }
        for (double& each : x) each /= sum;
        return {largest + std::log(sum / double(x.size())), along / sum};
    }
    double loss(double eta, const Dual& mean) const { return eta * (epsilon + mean.log_mean); }
    /// d loss / d ln eta.
    double slope(double eta, const Dual& mean) const { return eta * (epsilon + mean.log_mean - mean.mean); }
    /// One step; `mean` is that of the sets.
    void tune(State& state, const Dual& mean) const {
        double gradient = slope(at(state), mean);
        step.step(state.moments, std::span(&state.shift, 1), std::span(&gradient, 1));
    }
};
ROARS_FIELDS(Temperature, initial, epsilon, step)

/// MPO: actions that were drawn in a state are the tokens of a sequence, and A_t = softmax over them of q_t / eta, the
/// policy that is best within a divergence of epsilon of the one that drew them. With surrogate::PolicyGradient and
/// aggregate::SequenceSum the loss is the mean over states of -sum_t A_t logp_t; the policy's own step is bounded by
/// regularizer::LearnedMultiplier. Masked tokens get 0. Shapes: q -> advantage [tokens]. Sources: arXiv 1806.06920, eq.
/// 8 and 9; 1812.02256.
struct MaximumAPosteriori {
    Temperature temperature{};

    using needs = columns<col::q>;
    using gives = columns<col::advantage>;
    using State = Temperature::State;

    template <class RunType, BatchWith<col::q, col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        const double eta = temperature.at(state);
        std::vector<Temperature::Dual> dual(static_cast<std::size_t>(batch.sequences()));
        std::vector<char> live(dual.size());
        Offsets offsets = batch.token_offsets();
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t sequence) {
            auto i = static_cast<std::size_t>(sequence);
            std::vector<double> x;
            auto counts = [&](std::int64_t t) { return roars::detail::trainable<col::mask>(batch, t); };
            for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t)
                if (counts(t)) x.push_back(double(batch[col::q{}][static_cast<std::size_t>(t)]));
            if (!x.empty()) {
                live[i] = 1;
                dual[i] = Temperature::weigh(x, eta);
            }
            std::size_t next = 0;
            for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t)
                batch[col::advantage{}][static_cast<std::size_t>(t)] =
                    counts(t) ? static_cast<Real>(x[next++]) : Real(0);
        });
        Temperature::Dual mean;
        double count = double(std::count(live.begin(), live.end(), 1));
        if (count == 0.0) return;
        for (const auto& each : dual) mean = {mean.log_mean + each.log_mean / count, mean.mean + each.mean / count};
        temperature.tune(state, mean);
    }
};
ROARS_FIELDS(MaximumAPosteriori, temperature)

/// What OnPolicyMaximumAPosteriori has learnt, and what its base has.
template <class Base>
struct TemperatureState {
    state_of<Base> base{};
    Temperature::State temperature{};
};
template <class Base>
ROARS_FIELDS_OF((TemperatureState<Base>), base, temperature)

/// V-MPO: of the advantages of `base` those of the largest share, weighed over the whole batch:
///     A_t = N softmax over the kept tokens of A_t / eta, 0 for the others,
/// N the trainable tokens, so that a token mean of -A_t logp_t is the sum of the weights' own. Kept are the floor(share
/// N) largest, at least one, and whatever equals the least of them. Masked tokens get 0. Shapes: advantage [tokens].
/// Source: arXiv 1909.12238.
template <AdvantagePart Base>
struct OnPolicyMaximumAPosteriori {
    Base base{};
    double share = 0.5;
    Temperature temperature{.epsilon = 0.01};

    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using State = TemperatureState<Base>;

    template <class RunType, BatchWith<col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        roars::detail::call_estimate(base, run, state.base, batch);
        auto advantage = batch[col::advantage{}];
        std::vector<double> all;
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            if (roars::detail::trainable<col::mask>(batch, t))
                all.push_back(double(advantage[static_cast<std::size_t>(t)]));
        const double count = double(all.size());
        double least = 0.0;
        Temperature::Dual dual;
        std::vector<double> kept;
        if (!all.empty()) {
            least = least_kept(all);
            std::copy_if(all.begin(), all.end(), std::back_inserter(kept), [&](double x) { return x >= least; });
            dual = Temperature::weigh(kept, temperature.at(state.temperature));
        }
        std::size_t seen = 0, next = 0;
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            bool counts = roars::detail::trainable<col::mask>(batch, t) && all[seen++] >= least;
            advantage[static_cast<std::size_t>(t)] = counts ? static_cast<Real>(count * kept[next++]) : Real(0);
        }
        if (!all.empty()) temperature.tune(state.temperature, dual);
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state.base); }

private:
    double least_kept(std::vector<double> all) const {
        expect(share > 0.0 && share <= 1.0,
               [&] { return "V-MPO: share is " + std::to_string(share) + ", expected a number in (0, 1]"; });
        auto k = std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(share * double(all.size())));
        std::nth_element(all.begin(), all.begin() + (k - 1), all.end(), std::greater<>{});
        return all[static_cast<std::size_t>(k - 1)];
    }
};
template <class Base>
ROARS_FIELDS_OF((OnPolicyMaximumAPosteriori<Base>), base, share, temperature)

}  // namespace roars::advantage
