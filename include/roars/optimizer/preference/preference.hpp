#pragma once

#include <tuple>

#include "roars/concepts.hpp"
#include "roars/optimizer/preference/pairwise.hpp"
#include "roars/optimizer/preference/unpaired.hpp"

namespace roars::optimizer {

/// A loss of whole answers and a step rule. The loss says itself how it is averaged.
template <TokenTerm Surrogate, StepPart Step>
struct Preference {
    Surrogate surrogate{};
    Step step{};
    int epochs = 1;
    int minibatches = 1;

    static constexpr typename Surrogate::Aggregate aggregate{};
    using State = typename Step::State;
    std::tuple<Surrogate> terms(const State&) const { return {surrogate}; }
};
template <class Surrogate, class Step>
ROARS_FIELDS_OF((Preference<Surrogate, Step>), surrogate, step, epochs, minibatches)

}  // namespace roars::optimizer

namespace roars::surrogate {

/// Direct preference optimization, arXiv 2305.18290.
using DirectPreference = Pairwise<pair::Logistic, summary::LogRatio>;
/// IPO with the mean log-ratio of a token.
using IdentityPreferencePerToken = Pairwise<pair::PerToken<pair::Squared>, summary::LogRatio>;
/// SimPO, arXiv 2405.14734.
using SimplePreference = Pairwise<pair::PerToken<pair::Logistic>, summary::LogLikelihood>;
/// CPO, arXiv 2401.08417.
using ContrastivePreference = Pairwise<pair::WithLikelihood<pair::Logistic>, summary::LogLikelihood>;
/// ORPO, arXiv 2403.07691.
using OddsRatioPreference = Pairwise<pair::PerToken<pair::OddsRatio>, summary::LogLikelihood>;

}  // namespace roars::surrogate
