#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/networks/variational.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/variational.hpp"

namespace roars::critic {

/// What a variational model of the data's actions is made of, and how it learns.
struct ActionModelSettings {
    std::int64_t width = 750;  ///< units of a hidden layer
    std::int64_t layers = 2;   ///< hidden layers of encoder and decoder each
    surrogate::Variational loss{};
    step::AdamW step{.learning_rate = 1e-3};
};
ROARS_FIELDS(ActionModelSettings, width, layers, loss, step)

/// A network::Variational of actions in [-1, 1], trained by surrogate::Variational: its parameters and moments; its
/// memory between two batches is not saved. Its code has twice the action's numbers. Shapes: states [rows x states],
/// actions [rows x actions].
template <class Real>
struct ActionModel {
    std::vector<Real> parameters;
    step::AdamW::StateOf<Real> moments;

    ROARS_MEMBERS(ActionModel, parameters, moments)

    using Loss = surrogate::Variational;
    using Judged = Batch<Real, unite_t<needs_of<Loss>, columns<col::mask>,
                                       decltype(roars::detail::gradients_of(typename Loss::differentiates{}))>>;
    network::Variational<Real> network;
    Judged rows;
    std::vector<Real> gradients, noise, seen;

    /// Ready for rows of so many numbers; `which` tells models of one seed apart. Errors: others than before.
    void open(const ActionModelSettings& settings, std::int64_t states, std::int64_t actions, std::uint64_t seed,
              std::uint32_t which) {
        if (network.parameters() == 0) {
            network::VariationalSettings shape;
            shape.state_width = states;
            shape.action_width = actions;
            shape.hidden.assign(static_cast<std::size_t>(settings.layers), settings.width);
            network = network::Variational<Real>(shape);
        }
        const auto count = static_cast<std::size_t>(network.parameters());
        if (parameters.empty()) {
            parameters.resize(count);
            network.initialise(std::span<Real>(parameters), seed, which);
        }
        expect(parameters.size() == count, [&] {
            return "model of actions: " + std::to_string(parameters.size()) + " parameters, expected " +
                   std::to_string(count);
        });
        gradients.resize(count);
    }
    std::int64_t code_width() const { return network.settings().code_width; }

    /// Normal numbers for `count` codes, in `noise`.
    void draw_noise(const Random& random, std::uint32_t which, std::int64_t count) {
        noise.resize(static_cast<std::size_t>(count * code_width()));
        fill_normal(random.of(Purpose::user), which, std::span<Real>(noise));
    }
    /// `samples` actions for each state, of codes that are normal numbers held within +-0.5. Source: BCQ's code.
    void draw(const Random& random, std::uint32_t which, std::span<const Real> states, std::int64_t samples,
              std::span<Real> actions) {
        auto repeated = repeat_rows<Real>(states, network.settings().state_width, samples, seen);
        draw_noise(random, which, std::ssize(actions) / network.settings().action_width);
        for (Real& each : noise) each = std::clamp(each, Real(-0.5), Real(0.5));
        auto drawn = network.decode(parameters, repeated, noise);
        std::copy(drawn.begin(), drawn.end(), actions.begin());
    }

    /// One step on the batch's actions. `judge(taken_q, value)` fills in what says which of them are learnt.
    template <class RunType, class BatchType, class Judge>
    void learn(RunType& run, const ActionModelSettings& settings, const BatchType& batch, std::uint32_t which,
               Judge&& judge) {
        draw_noise(run.random, which, batch.tokens());
        network.forward(parameters, batch[col::state{}], batch[col::action{}], noise);
        put_mask(batch, rows);
        put_rows(rows, col::reconstruction{}, network.reconstruction(), batch.width(col::action{}));
        put_rows(rows, col::action{}, batch[col::action{}], batch.width(col::action{}));
        put_rows(rows, col::latent_mean{}, network.mean(), code_width());
        put_rows(rows, col::latent_deviation{}, network.deviation(), code_width());
        judge(rows[col::taken_q{}], rows[col::value{}]);
        evaluate(run.backend, rows, {count(run.backend, rows)},
                 Weighed<surrogate::Variational, aggregate::TokenMean>{settings.loss, {}});
        std::fill(gradients.begin(), gradients.end(), Real(0));
        const auto& slopes = std::as_const(rows);
        network.backward(parameters, slopes[col::grad<col::reconstruction>{}], slopes[col::grad<col::latent_mean>{}],
                         slopes[col::grad<col::latent_deviation>{}], gradients);
        settings.step.step(moments, std::span<Real>(parameters), std::span<Real>(gradients));
    }
};

}  // namespace roars::critic
