#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/action_model.hpp"
#include "roars/critic/batch_constrained.hpp"

/// How what a policy says becomes an action, beside a model of the data's actions:
///     width(model)                                                 how many numbers it says
///     carry(backend, model, states, proposed, said, action)        the action
///     back(backend, model, proposed, said, by_action, by_said)     d loss / d said, of the last carry
/// Shapes: states [rows x states], proposed, action, by_action [rows x actions], said, by_said [rows x what is said].
namespace roars::critic::carried {

/// It is the action.
struct AsSaid {
    using needs = columns<col::policy_samples>;
    using gives = columns<col::model_samples>;

    template <class Real>
    std::int64_t width(const ActionModel<Real>& model) const {
        return model.network.settings().action_width;
    }
    template <class Real>
    void carry(backend::Host&, ActionModel<Real>&, std::span<const Real>, std::span<const Real>,
               std::span<const Real> said, std::span<Real> action) const {
        std::copy(said.begin(), said.end(), action.begin());
    }
    template <class Real>
    void back(backend::Host&, ActionModel<Real>&, std::span<const Real>, std::span<const Real>,
              std::span<const Real> by_action, std::span<Real> by_said) const {
        std::copy(by_action.begin(), by_action.end(), by_said.begin());
    }
};
ROARS_FIELDS(AsSaid)

/// An action that the model drew is moved a little: Perturbation. Source: BCQ, arXiv 1812.02900.
struct Moved {
    Perturbation move{};

    using needs = columns<col::proposed_action, col::next_proposed_action>;
    using gives = columns<>;

    template <class Real>
    std::int64_t width(const ActionModel<Real>& model) const {
        return model.network.settings().action_width;
    }
    template <class Real>
    void carry(backend::Host& backend, ActionModel<Real>&, std::span<const Real>, std::span<const Real> proposed,
               std::span<const Real> said, std::span<Real> action) const {
        move.apply(backend, proposed, said, action);
    }
    template <class Real>
    void back(backend::Host& backend, ActionModel<Real>&, std::span<const Real> proposed, std::span<const Real> said,
              std::span<const Real> by_action, std::span<Real> by_said) const {
        move.backward(backend, proposed, said, by_action, by_said);
    }
};
ROARS_FIELDS(Moved, move)

/// A code, in units of `bound`, that the model decodes. Source: PLAS, arXiv 2011.07213.
struct Decoded {
    double bound = 2.0;

    using needs = columns<>;
    using gives = columns<>;

    template <class Real>
    std::int64_t width(const ActionModel<Real>& model) const {
        return model.code_width();
    }
    template <class Real>
    void carry(backend::Host&, ActionModel<Real>& model, std::span<const Real> states, std::span<const Real>,
               std::span<const Real> said, std::span<Real> action) const {
        model.noise.assign(said.begin(), said.end());
        for (Real& each : model.noise) each *= static_cast<Real>(bound);
        auto decoded = model.network.decode(model.parameters, states, model.noise);
        std::copy(decoded.begin(), decoded.end(), action.begin());
    }
    template <class Real>
    void back(backend::Host&, ActionModel<Real>& model, std::span<const Real>, std::span<const Real>,
              std::span<const Real> by_action, std::span<Real> by_said) const {
        model.network.backward_code(model.parameters, by_action, by_said);
        for (Real& each : by_said) each *= static_cast<Real>(bound);
    }
};
ROARS_FIELDS(Decoded, bound)

}  // namespace roars::critic::carried
