#include "options.hpp"

#include <cstdio>
#include <string>
#include <string_view>

#include "roars/actors/decision_transformer.hpp"
#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/best_minus_second.hpp"
#include "roars/advantage/conservative_lagrangian.hpp"
#include "roars/advantage/critic_weight.hpp"
#include "roars/advantage/decoupled_components.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/advantage/gae.hpp"
#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/maximum_a_posteriori.hpp"
#include "roars/advantage/none.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/advantage/one_step_target.hpp"
#include "roars/advantage/optimal_token_baseline.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/critic/batch_constrained.hpp"
#include "roars/critic/behaviour_cloning.hpp"
#include "roars/critic/behaviour_regularised.hpp"
#include "roars/critic/categorical.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/expected_sarsa.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/pop_art.hpp"
#include "roars/critic/quantile.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/critic/success_probability.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/critic/two_hot.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/critic/value_transform.hpp"
#include "roars/methods/behaviour_model.hpp"
#include "roars/methods/decision_transformer.hpp"
#include "roars/metrics/estimates.hpp"
#include "roars/networks/implicit_quantiles.hpp"
#include "roars/networks/variational.hpp"
#include "roars/objective_linear.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/f_divergence.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/preference/score_pairwise.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/muon.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/optimizer/surrogates/all_actions.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/regularizer/adaptive.hpp"
#include "roars/regularizer/dataset_constraint.hpp"
#include "roars/regularizer/full_distribution.hpp"
#include "roars/regularizer/gaussian_trust.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/repetition.hpp"
#include "roars/reward/running.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/geometric_mixture.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/replay.hpp"
#include "roars/sampler/resample.hpp"
#include "roars/sampler/stop_sequences.hpp"
#include "roars/sampler/then.hpp"

namespace roars::program {
namespace {

struct Option {
    std::string_view peer, name, part;
};

/// The name of a part as it is written here. One that is not there does not compile.
template <class T>
constexpr std::string_view named(std::string_view name) {
    static_assert(sizeof(T) > 0);
    return name;
}
#define PART(...) named<__VA_ARGS__>(#__VA_ARGS__)
#define SETTING(...) named<decltype(&__VA_ARGS__)>(#__VA_ARGS__)
#define FUNCTION(NAME) ([] { using roars::NAME; }(), std::string_view(#NAME))

constexpr std::string_view verl = "verl", trl = "TRL", openrlhf = "OpenRLHF", liger = "Liger-Kernel", rlax = "rlax",
                           d3rlpy = "d3rlpy";

constexpr Option options[] = {
    {verl, "adv_estimator: gae", PART(advantage::Whiten<advantage::GaeTokens<>>)},
    {verl, "adv_estimator: grpo", PART(advantage::GroupZScore)},
    {verl, "adv_estimator: grpo, norm_adv_by_std_in_grpo false", PART(advantage::GroupMean)},
    {verl, "adv_estimator: grpo_passk", PART(advantage::BestMinusSecond)},
    {verl, "adv_estimator: rloo", PART(advantage::LeaveOneOut)},
    {verl, "adv_estimator: reinforce_plus_plus", PART(advantage::ReinforcePlusPlus)},
    {verl, "adv_estimator: reinforce_plus_plus_baseline", PART(advantage::ReinforcePlusPlusBaseline)},
    {verl, "adv_estimator: remax", PART(advantage::Remax)},
    {verl, "adv_estimator: opo", PART(advantage::LengthWeightedBaseline)},
    {verl, "adv_estimator: gpg", PART(advantage::ScaledMeanBaseline)},
    {verl, "adv_estimator: gdpo", PART(advantage::Gdpo)},
    {verl, "adv_estimator: optimal_token_baseline", PART(advantage::OptimalTokenBaseline<>)},
    {verl, "VAPO: length-adaptive lambda", PART(advantage::LengthAdaptiveGae<>)},
    {verl, "masked_whiten", PART(advantage::Whiten<advantage::RewardToGo>)},
    {verl, "loss_mode: vanilla, clip_ratio_low, clip_ratio_high", PART(surrogate::Clip)},
    {verl, "clip_ratio_c", PART(surrogate::DualClip)},
    {verl, "loss_mode: gspo", PART(surrogate::SequenceClip)},
    {verl, "loss_mode: cispo", PART(surrogate::ClippedWeight)},
    {verl, "loss_mode: geo_mean", PART(surrogate::GeometricMean)},
    {verl, "loss_mode: sapo", PART(surrogate::SoftGate)},
    {verl, "loss_mode: clip_cov", PART(surrogate::ClipCov<>)},
    {verl, "loss_mode: kl_cov", PART(surrogate::KlCov)},
    {verl, "loss_mode: dppo_tv", PART(surrogate::DivergenceGate<surrogate::trust::TotalVariation>)},
    {verl, "loss_mode: dppo_kl", PART(surrogate::DivergenceGate<surrogate::trust::BinaryKl>)},
    {verl, "loss_mode: gpg", PART(surrogate::PolicyGradient)},
    {verl, "loss_mode: dro", PART(surrogate::SquaredLogRatio)},
    {verl, "loss_agg_mode: token-mean", PART(aggregate::TokenMean)},
    {verl, "loss_agg_mode: seq-mean-token-mean", PART(aggregate::SequenceMean)},
    {verl, "loss_agg_mode: seq-mean-token-sum", PART(aggregate::SequenceSum)},
    {verl, "loss_agg_mode: seq-mean-token-sum-norm", PART(aggregate::SequenceSumOverLength)},
    {verl, "kl_penalty: kl, k1", PART(kl::K1)},
    {verl, "kl_penalty: abs", PART(kl::Absolute)},
    {verl, "kl_penalty: mse, k2", PART(kl::K2)},
    {verl, "kl_penalty: low_var_kl, k3", PART(kl::K3)},
    {verl, "kl_penalty: k3+", PART(kl::StraightThrough<kl::K3>)},
    {verl, "use_kl_loss, kl_loss_coef", SETTING(regularizer::Kl<>::coefficient)},
    {verl, "use_kl_in_reward", PART(regularizer::KlInReward)},
    {verl, "kl_ctrl: adaptive", PART(regularizer::AdaptiveKl<>)},
    {verl, "entropy_coeff", PART(regularizer::EntropyBonus)},
    {verl, "cliprange_value", PART(critic::ClippedValue)},
    {verl, "rollout_is: token", PART(correction::TruncatedToken)},
    {verl, "rollout_is: sequence", PART(correction::TruncatedSequence)},
    {verl, "rollout_is: IcePop", PART(correction::IcePop)},
    {verl, "rollout_is_batch_normalize", PART(correction::Normalised)},
    {verl, "rollout_rs: token_k1", PART(correction::Reject<correction::over::Token, correction::within::K1>)},
    {verl, "rollout_rs: seq_sum_k1", PART(correction::Reject<correction::over::Sum, correction::within::K1>)},
    {verl, "rollout_rs: seq_mean_k3", PART(correction::Reject<correction::over::Mean, correction::within::K3>)},
    {verl, "rollout_rs: seq_max_k2", PART(correction::Reject<correction::over::Largest, correction::within::K2>)},
    {verl, "rollout_is_eff_sample_size", FUNCTION(correction::effective_sample_size)},
    {verl, "overlong_buffer", PART(reward::SoftOverlong)},
    {verl, "filter_groups", PART(sampler::DynamicGroups)},
    {verl, "pf_ppo: pow, max_min, max_random", PART(sampler::ScoreResampling<sampler::weight::Power>)},

    {trl, "scale_rewards: group", PART(advantage::GroupZScore)},
    {trl, "scale_rewards: batch", PART(advantage::GroupMeanBatchSpread)},
    {trl, "scale_rewards: none", PART(advantage::GroupMean)},
    {trl, "multi_objective_aggregation: normalize_then_sum", PART(advantage::Gdpo)},
    {trl, "RLOO", PART(advantage::LeaveOneOut)},
    {trl, "loss_type: grpo", PART(aggregate::SequenceMeanOfAll)},
    {trl, "loss_type: dapo", PART(aggregate::TokenMean)},
    {trl, "loss_type: dr_grpo", PART(aggregate::ConstantLength)},
    {trl, "loss_type: bnpo (each micro-batch counts itself: the loss depends on the cut)", PART(aggregate::TokenMean)},
    {trl, "loss_type: cispo", PART(surrogate::ClippedWeight)},
    {trl, "loss_type: sapo", PART(surrogate::SoftGate)},
    {trl, "loss_type: vespo", PART(surrogate::VariationalWeight)},
    {trl, "loss_type: luspo", PART(aggregate::SequenceSum)},
    {trl, "importance_sampling_level: sequence", PART(surrogate::SequenceClip)},
    {trl, "delta", PART(surrogate::TwoSidedClip)},
    {trl, "top_entropy_quantile", PART(surrogate::TopEntropy<surrogate::Clip>)},
    {trl, "off_policy_mask_threshold", PART(surrogate::OffPolicySequenceMask<surrogate::Clip>)},
    {trl, "beta, use_bias_correction_kl", PART(regularizer::ImportanceKl<>)},
    {trl, "adaptive entropy coefficient", PART(regularizer::AdaptiveEntropy)},
    {trl, "vllm_importance_sampling_mode: token_truncate", PART(correction::TruncatedToken)},
    {trl, "vllm_importance_sampling_mode: sequence_truncate", PART(correction::TruncatedSequence)},
    {trl, "vllm_importance_sampling_mode: token_mask", PART(correction::IcePop)},
    {trl, "vllm_importance_sampling_mode: sequence_mask", PART(correction::IcePopSequence)},
    {trl, "mask_truncated_completions", PART(sampler::MaskTruncated)},
    {trl, "repetition penalty reward", PART(reward::Repetition)},
    {trl, "soft overlong punishment", PART(reward::SoftOverlong)},
    {trl, "temperature", SETTING(Generation::temperature)},
    {trl, "top_k", SETTING(Generation::top_k)},
    {trl, "top_p", SETTING(Generation::top_p)},
    {trl, "min_p", SETTING(Generation::min_p)},
    {trl, "repetition_penalty", SETTING(Generation::repetition_penalty)},
    {trl, "stop", PART(StopSequences)},
    {trl, "DPO sigmoid, label_smoothing", PART(surrogate::DirectPreference)},
    {trl, "DPO hinge", PART(surrogate::Pairwise<pair::Hinge>)},
    {trl, "DPO ipo", PART(surrogate::IdentityPreferencePerToken)},
    {trl, "DPO exo_pair", PART(surrogate::Pairwise<pair::ExactPair>)},
    {trl, "DPO nca_pair", PART(surrogate::Pairwise<pair::NoiseContrastive>)},
    {trl, "DPO robust", PART(surrogate::Pairwise<pair::Robust>)},
    {trl, "DPO bco_pair", PART(surrogate::Pairwise<pair::BinaryClassifier>)},
    {trl, "DPO sppo_hard", PART(surrogate::Pairwise<pair::SelfPlay>)},
    {trl, "DPO aot_unpaired", PART(surrogate::SortedPairwise<>)},
    {trl, "DPO apo_zero", PART(surrogate::Pairwise<pair::AnchoredZero>)},
    {trl, "DPO apo_down", PART(surrogate::Pairwise<pair::AnchoredDown>)},
    {trl, "DPO discopop", PART(surrogate::Pairwise<pair::LogRatioModulated>)},
    {trl, "DPO sigmoid_norm", PART(surrogate::Pairwise<pair::PerToken<pair::Logistic>>)},
    {trl, "DPO aot", PART(surrogate::SortedMargins<>)},
    {trl, "DPO f_divergence_type: reverse_kl", PART(surrogate::DirectPreference)},
    {trl, "DPO f_divergence_type: forward_kl", PART(surrogate::Pairwise<pair::FDivergence<pair::link::ForwardKl>>)},
    {trl, "DPO f_divergence_type: js_divergence",
     PART(surrogate::Pairwise<pair::FDivergence<pair::link::JensenShannon>>)},
    {trl, "DPO f_divergence_type: alpha_divergence, f_alpha_divergence_coef",
     PART(surrogate::Pairwise<pair::FDivergence<pair::link::AlphaDivergence>>)},
    {trl, "DPO use_weighting (WPO)", PART(surrogate::OnPolicyPairs<>)},
    {trl, "KTO", PART(surrogate::KahnemanTversky)},
    {trl, "ORPO", PART(surrogate::OddsRatioPreference)},
    {trl, "CPO", PART(surrogate::ContrastivePreference)},
    {trl, "CPO simpo", PART(surrogate::SimplePreference)},
    {trl, "reward modelling", PART(surrogate::ScorePairwise<>)},
    {trl, "GKD", PART(divergence::JensenShannon)},
    {trl, "XPO",
     PART(surrogate::ExploratoryPairs<surrogate::Pairwise<pair::Logistic, summary::LogRatio, pairing::BestAndWorst>>)},
    {trl, "Nash-MD: score less a half", PART(advantage::ConstantBaseline)},
    {trl, "Nash-MD: penalty", PART(regularizer::Kl<kl::K2>)},
    {trl, "Nash-MD: mixture_coef", PART(sampler::GeometricMixture)},

    {openrlhf, "advantage_estimator: gae", PART(advantage::Whiten<advantage::GaeTokens<>>)},
    {openrlhf, "advantage_estimator: reinforce", PART(advantage::ReinforcePlusPlus)},
    {openrlhf, "advantage_estimator: reinforce_baseline", PART(advantage::ReinforcePlusPlusBaseline)},
    {openrlhf, "advantage_estimator: rloo", PART(advantage::LeaveOneOut)},
    {openrlhf, "advantage_estimator: group_norm", PART(advantage::GroupZScore)},
    {openrlhf, "advantage_estimator: dr_grpo", PART(advantage::GroupMean)},
    {openrlhf, "eps_clip_low_high", PART(surrogate::Clip)},
    {openrlhf, "dual_clip", PART(surrogate::DualClip)},
    {openrlhf, "policy_loss_type: gspo", PART(surrogate::SequenceClip)},
    {openrlhf, "kl_estimator: k1", PART(kl::K1)},
    {openrlhf, "kl_estimator: k2", PART(kl::K2)},
    {openrlhf, "kl_estimator: k3", PART(kl::K3)},
    {openrlhf, "init_kl_coef, kl_target", PART(regularizer::AdaptiveKl<>)},
    {openrlhf, "use_kl_loss", PART(regularizer::Kl<>)},
    {openrlhf, "entropy_loss_coef", PART(regularizer::EntropyBonus)},
    {openrlhf, "value_clip", PART(critic::ClippedValue)},
    {openrlhf, "enable_vllm_is_correction: tis", PART(correction::TruncatedToken)},
    {openrlhf, "enable_vllm_is_correction: icepop", PART(correction::IcePop)},
    {openrlhf, "enable_vllm_is_correction: seq-mask-tis", PART(correction::GeometricMask)},
    {openrlhf, "dynamic_filtering", PART(sampler::FilterGroups<sampler::keep::Band>)},
    {openrlhf, "overlong_buffer_len", PART(reward::SoftOverlong)},
    {openrlhf, "stop_properly_penalty_coef, 0 or more", PART(reward::ScaleTruncated<reward::Verified>)},
    {openrlhf, "stop_properly_penalty_coef, below 0", PART(reward::ReplaceTruncated<reward::Verified>)},
    {openrlhf, "normalize_reward", PART(reward::RunningNormalise)},
    {openrlhf, "DPO, label_smoothing", PART(surrogate::DirectPreference)},
    {openrlhf, "ipo", PART(surrogate::Pairwise<pair::Squared>)},
    {openrlhf, "reward model, loss: sigmoid", PART(surrogate::ScorePairwise<>)},
    {openrlhf, "reward model, loss: logexp (the same as sigmoid)", PART(surrogate::ScorePairwise<>)},
    {openrlhf, "process reward model (the mask marks the ends of steps)", PART(surrogate::Likelihood)},
    {openrlhf, "process reward model, soft labels (value = logit of good less that of bad)",
     PART(critic::SuccessProbability)},
    {openrlhf, "Muon", PART(step::Muon<>)},

    {liger, "fused linear head, any loss below", FUNCTION(objective_from_hidden)},
    {liger, "GRPO loss, epsilon_low, epsilon_high", PART(surrogate::Clip)},
    {liger, "GRPO loss, delta", PART(surrogate::TwoSidedClip)},
    {liger, "GRPO loss, loss_type: grpo", PART(aggregate::SequenceMeanOfAll)},
    {liger, "GRPO loss, loss_type: dapo", PART(aggregate::TokenMean)},
    {liger, "GRPO loss, loss_type: dr_grpo", PART(aggregate::ConstantLength)},
    {liger, "GRPO loss, loss_type: bnpo (each micro-batch counts itself: the loss depends on the cut)",
     PART(aggregate::TokenMean)},
    {liger, "GRPO loss, loss_type: cispo", PART(surrogate::ClippedWeight)},
    {liger, "GRPO loss, loss_type: sapo", PART(surrogate::SoftGate)},
    {liger, "GRPO loss, loss_type: vespo", PART(surrogate::VariationalWeight)},
    {liger, "GRPO loss, loss_type: luspo", PART(aggregate::SequenceSum)},
    {liger, "GRPO loss, importance_sampling_level: sequence", PART(surrogate::SequenceClip)},
    {liger, "DPO", PART(surrogate::DirectPreference)},
    {liger, "KTO", PART(surrogate::KahnemanTversky)},
    {liger, "ORPO", PART(surrogate::OddsRatioPreference)},
    {liger, "CPO", PART(surrogate::ContrastivePreference)},
    {liger, "SimPO", PART(surrogate::SimplePreference)},
    {liger, "cross entropy", PART(surrogate::Likelihood)},
    {liger, "JSD", PART(divergence::JensenShannon)},
    {liger, "KL divergence", PART(divergence::ForwardKl)},
    {liger, "TVD", PART(divergence::TotalVariation)},
    {liger, "cosine distillation", PART(divergence::Cosine)},

    {rlax, "truncated_generalized_advantage_estimation", PART(advantage::Gae<>)},
    {rlax, "vtrace, vtrace_td_error_and_advantage", PART(advantage::VTrace<>)},
    {rlax, "leaky_vtrace, leaky_vtrace_td_error_and_advantage", PART(advantage::LeakyVTrace<>)},
    {rlax, "lambda_returns, td_lambda", PART(critic::LambdaReturn)},
    {rlax, "n_step_bootstrapped_returns", PART(critic::NStep)},
    {rlax, "discounted_returns", PART(advantage::RewardToGo)},
    {rlax, "retrace", PART(critic::Retrace)},
    {rlax, "double_q_learning", PART(critic::DoubleQ)},
    {rlax, "categorical_q_learning, categorical_l2_project", PART(critic::CategoricalProjection)},
    {rlax, "quantile_q_learning", PART(critic::QuantileHuber)},
    {rlax, "expectile_td", PART(critic::Expectile)},
    {rlax, "policy_gradient_loss", PART(surrogate::PolicyGradient)},
    {rlax, "clipped_surrogate_pg_loss", PART(surrogate::Clip)},
    {rlax, "entropy_loss", PART(regularizer::EntropyBonus)},
    {rlax, "huber_loss", PART(critic::Huber)},
    {rlax, "incremental_update", PART(critic::Polyak)},
    {rlax, "periodic_update", PART(critic::Periodic)},
    {rlax, "importance_sampling_weights of a replay", PART(sampler::draw::Prioritised)},
    {rlax, "expected_sarsa", PART(critic::ExpectedSarsa)},
    {rlax, "general_off_policy_returns_from_action_values, tree backup", PART(critic::TreeBackup)},
    {rlax, "general_off_policy_returns_from_action_values, Q(lambda)", PART(critic::CorrectedQLambda)},
    {rlax, "q_lambda (next_value: the largest action value)", PART(critic::LambdaReturn)},
    {rlax, "persistent_q_learning", PART(critic::PersistentQ)},
    {rlax, "qv_learning (next_value: the state's value)", PART(advantage::OneStepTarget)},
    {rlax, "dpg_loss", PART(surrogate::Climb)},
    {rlax, "dpg_loss, dqda_clipping", PART(surrogate::BoundedClimb)},
    {rlax, "qpg_loss", PART(surrogate::AllActions<surrogate::all_actions::Value>)},
    {rlax, "rm_loss", PART(surrogate::AllActions<surrogate::all_actions::RegretMatching>)},
    {rlax, "rpg_loss", PART(surrogate::AllActions<surrogate::all_actions::Regret>)},
    {rlax, "mpo_loss: weights, temperature", PART(advantage::MaximumAPosteriori)},
    {rlax, "vmpo_loss: weights, temperature", PART(advantage::OnPolicyMaximumAPosteriori<advantage::Gae<>>)},
    {rlax, "mpo_loss, vmpo_loss: one KL constraint",
     PART(regularizer::LearnedMultiplier<regularizer::Kl<kl::FromReference<>, col::logp_old>>)},
    {rlax, "mpo_loss, vmpo_loss: a KL constraint for each dimension", PART(regularizer::GaussianTrust<6>)},
    {rlax, "popart", PART(critic::PopArt)},
    {rlax, "signed_hyperbolic, signed_parabolic", PART(critic::transform::SignedHyperbolic)},
    {rlax, "transformed targets", PART(critic::TransformedTarget<>)},
    {rlax, "twohot_encoder, twohot_decoder", PART(critic::TwoHot)},

    {d3rlpy, "DQN, DoubleDQN", PART(critic::DoubleQ)},
    {d3rlpy, "QRQFunctionFactory", PART(critic::QuantileHuber)},
    {d3rlpy, "IQNQFunctionFactory: loss", PART(critic::ImplicitQuantile)},
    {d3rlpy, "IQNQFunctionFactory: network", PART(network::ImplicitQuantiles<float>)},
    {d3rlpy, "SAC", PART(critic::SoftActorCritic)},
    {d3rlpy, "TD3, DDPG", PART(critic::TwinDelayed)},
    {d3rlpy, "TD3PlusBC", PART(critic::BehaviourCloning)},
    {d3rlpy, "IQL: expectile", PART(critic::Expectile)},
    {d3rlpy, "IQL: weight_temp, max_weight", PART(advantage::ExponentialWeight<>)},
    {d3rlpy, "AWAC", PART(advantage::ExponentialWeight<>)},
    {d3rlpy, "CQL", PART(critic::SampledConservative)},
    {d3rlpy, "CQL: alpha_threshold, initial_alpha, alpha_learning_rate",
     PART(advantage::penalty::ConservativeLagrangian)},
    {d3rlpy, "DiscreteCQL", FUNCTION(critic::conservative_penalty)},
    {d3rlpy, "BC", PART(surrogate::Likelihood)},
    {d3rlpy, "FIFOBuffer", PART(sampler::Replay<sampler::Groups, sampler::draw::Uniform>)},
    {d3rlpy, "tau", SETTING(critic::Polyak::tau)},
    {d3rlpy, "AdamW, clip_grad_norm, cosine schedule with warm-up",
     PART(step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>)},
    {d3rlpy, "CRR: weight_type exp, advantage_type mean",
     PART(advantage::CriticWeightOf<advantage::ExponentialWeight<>, advantage::state_value::MeanOfActions,
                                    critic::PolicyValue::mean>)},
    {d3rlpy, "CRR: weight_type binary, advantage_type max",
     PART(advantage::CriticWeightOf<advantage::BinaryWeight, advantage::state_value::LargestOfActions,
                                    critic::PolicyValue::mean>)},
    {d3rlpy, "ReBRAC: critic_beta", PART(critic::BehaviourRegularised)},
    {d3rlpy, "ReBRAC: actor_beta (times the action's dimensions)", PART(regularizer::BehaviourCloning)},
    {d3rlpy, "CalQL: conservative loss", PART(critic::CalibratedConservative)},
    {d3rlpy, "BCQ: target", PART(critic::BatchConstrained)},
    {d3rlpy, "BCQ, BEAR, PLAS: model of the data", PART(network::Variational<float>)},
    {d3rlpy, "BCQ, BEAR, PLAS: its loss (threshold below every advantage)", PART(surrogate::Variational)},
    {d3rlpy, "BCQ: action_flexibility", PART(critic::Perturbation)},
    {d3rlpy, "BEAR: discrepancy", PART(regularizer::MeanDiscrepancy<>)},
    {d3rlpy, "BEAR: alpha, alpha_threshold", PART(regularizer::TunedWeight)},
    {d3rlpy, "PLAS: target", PART(critic::BatchConstrained)},
    {d3rlpy, "PLAS: the policy's slope through the decoder", SETTING(network::Variational<float>::backward_code)},
    {d3rlpy, "BCQ", PART(methods::BatchConstrainedQ)},
    {d3rlpy, "BEAR", PART(methods::ErrorReduction)},
    {d3rlpy, "PLAS", PART(methods::LatentActions)},
    {d3rlpy, "PRDC", PART(regularizer::DatasetConstraint)},
    {d3rlpy, "FQE, discrete", PART(critic::ExpectedSarsa)},
    {d3rlpy, "FQE, continuous", PART(advantage::ActionCritics<critic::PolicyActionTarget>)},
    {d3rlpy, "Decision Transformer: loss, continuous", PART(regularizer::BehaviourCloning)},
    {d3rlpy, "Decision Transformer: loss, discrete", PART(surrogate::Likelihood)},
    {d3rlpy, "Decision Transformer: sequence model", PART(actor::DecisionTransformer<float>)},
    {d3rlpy, "DecisionTransformer", PART(methods::DecisionTransformer)},
    {d3rlpy, "DiscreteDecisionTransformer", PART(methods::DiscreteDecisionTransformer)},
};

#undef PART
#undef SETTING
#undef FUNCTION

/// A bar would end a cell of the table.
std::string cell(std::string_view text) { return std::string("`").append(text).append("`"); }

}  // namespace

void print_options(bool markdown) {
    if (markdown)
        std::printf(
            "# Which part is it?\n\nWritten by `roars options --markdown` from a list that the compiler checks: a part "
            "that is not in\n`include/roars` does not compile. For each option as the other library names it, the part "
            "or setting of this one;\nin the namespace `roars`. What is in a loss together is a term each: "
            "`regularizer::Sum`, `advantage::Times` and the\nother combinators put them together.\n");
    std::string_view peer;
    for (const Option& option : options) {
        std::string part = cell(option.part);
        if (markdown) {
            if (option.peer != peer)
                std::printf("\n## %.*s\n\n| option | part |\n|---|---|\n", int(option.peer.size()), option.peer.data());
            std::printf("| %.*s | %s |\n", int(option.name.size()), option.name.data(), part.c_str());
        } else {
            std::printf("%-12.*s  %-58.*s  %.*s\n", int(option.peer.size()), option.peer.data(),
                        int(option.name.size()), option.name.data(), int(option.part.size()), option.part.data());
        }
        peer = option.peer;
    }
}

}  // namespace roars::program
