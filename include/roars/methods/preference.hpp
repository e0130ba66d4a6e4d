#pragma once

#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/preference/score_pairwise.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/preference_pairs.hpp"

namespace roars::methods {

/// A preference loss on pairs of answers that are given: nothing is rolled out, nothing is judged.
template <class Loss>
using OfflinePreference = Algorithm<sampler::PreferencePairs,  // pairs of a data set
                                    reward::None,              // which one is better is known
                                    advantage::None,           // the loss is of the pair itself
                                    regularizer::None,         // the reference is in the loss, if anywhere
                                    optimizer::Preference<Loss, step::Recipe>>;

/// DPO: direct preference optimization (arXiv 2305.18290).
using Dpo = OfflinePreference<surrogate::DirectPreference>;
/// IPO: identity preference optimization (arXiv 2310.12036), of sums over tokens.
using Ipo = OfflinePreference<surrogate::Pairwise<pair::Squared>>;
/// IPO of means over tokens, as its authors ran it.
using IpoPerToken = OfflinePreference<surrogate::IdentityPreferencePerToken>;
/// SLiC: a hinge on the pair's margin (arXiv 2305.10425).
using Slic = OfflinePreference<surrogate::Pairwise<pair::Hinge>>;
/// SimPO: simple preference optimization (arXiv 2405.14734). No reference.
using SimPo = OfflinePreference<surrogate::SimplePreference>;
/// CPO: contrastive preference optimization (arXiv 2401.08417). No reference.
using Cpo = OfflinePreference<surrogate::ContrastivePreference>;
/// ORPO: odds ratio preference optimization (arXiv 2403.07691). No reference.
using Orpo = OfflinePreference<surrogate::OddsRatioPreference>;
/// A reward model of pairs, Bradley and Terry (arXiv 2203.02155, eq. 1): the value of an answer's last token.
using RewardModel = OfflinePreference<surrogate::ScorePairwise<label::Certain>>;
/// The same from a judge's probabilities: RLAIF's reward model (arXiv 2309.00267).
using JudgedRewardModel = OfflinePreference<surrogate::ScorePairwise<label::Soft>>;

/// KTO: Kahneman-Tversky optimization (arXiv 2402.01306).
using Kto = Algorithm<sampler::LabelledAnswers,  // single answers, and some to measure by
                      reward::None,              // desirable or not is known
                      advantage::None,           // the loss is of the answer itself
                      regularizer::None,         // the reference is in the loss
                      optimizer::Preference<surrogate::KahnemanTversky, step::Recipe>>;

/// Online DPO (arXiv 2402.04792): the best and the worst of a group of the policy's own answers; with the policy as the
/// judge of its answers, self-rewarding (arXiv 2401.10020).
using OnlineDpo = Algorithm<
    sampler::Groups,    // the policy's own answers
    reward::Verified,   // what orders them
    advantage::None,    // the loss is of the pair itself
    regularizer::None,  // the reference is in the loss
    optimizer::Preference<surrogate::Pairwise<pair::Logistic, summary::LogRatio, pairing::BestAndWorst>, step::Recipe>>;

namespace detail {
inline constexpr sampler::PreferencePairs preference_data{.pairs = 64};
inline constexpr step::Recipe preference_step = step::recipe({.learning_rate = 5e-7});
}  // namespace detail

inline constexpr Dpo dpo{
    .sampler = detail::preference_data,
    .optimizer = {.surrogate = {{.beta = 0.1, .label_smoothing = 0.0}}, .step = detail::preference_step}};
inline constexpr Ipo ipo{.sampler = detail::preference_data,
                         .optimizer = {.surrogate = {{.beta = 0.1}}, .step = detail::preference_step}};
inline constexpr IpoPerToken ipo_per_token{
    .sampler = detail::preference_data, .optimizer = {.surrogate = {{{.beta = 0.1}}}, .step = detail::preference_step}};
inline constexpr Slic slic{.sampler = detail::preference_data,
                           .optimizer = {.surrogate = {{.beta = 0.1}}, .step = detail::preference_step}};
inline constexpr SimPo simpo{
    .sampler = detail::preference_data,
    .optimizer = {.surrogate = {{{.beta = 2.0, .margin = 1.0}}}, .step = detail::preference_step}};
inline constexpr Cpo cpo{
    .sampler = detail::preference_data,
    .optimizer = {.surrogate = {{.base = {.beta = 0.1}, .coefficient = 1.0}}, .step = detail::preference_step}};
inline constexpr Orpo orpo{.sampler = detail::preference_data,
                           .optimizer = {.surrogate = {{{.lambda = 0.1}}}, .step = detail::preference_step}};
inline constexpr Kto kto{.sampler = {.answers = 128},
                         .optimizer = {.surrogate = {.beta = 0.1, .desirable_weight = 1.0, .undesirable_weight = 1.0},
                                       .step = detail::preference_step}};
inline constexpr RewardModel reward_model{
    .sampler = detail::preference_data,
    .optimizer = {.surrogate = {.loss = {.center = 0.0}}, .step = step::recipe({.learning_rate = 9e-6})}};
inline constexpr JudgedRewardModel judged_reward_model{.sampler = detail::preference_data,
                                                       .optimizer = {.step = step::recipe({.learning_rate = 9e-6})}};
inline constexpr OnlineDpo online_dpo{
    .sampler = {.prompts = 64, .group_size = 8},
    .optimizer = {.surrogate = {{.beta = 0.1, .label_smoothing = 0.0}}, .step = detail::preference_step}};

}  // namespace roars::methods
