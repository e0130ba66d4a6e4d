#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "roars/error.hpp"
#include "roars/methods/a2pr.hpp"
#include "roars/methods/actor_critic.hpp"
#include "roars/methods/adacot.hpp"
#include "roars/methods/agentic_recipe.hpp"
#include "roars/methods/arpo.hpp"
#include "roars/methods/behaviour_model.hpp"
#include "roars/methods/cispo.hpp"
#include "roars/methods/control_policy_gradient.hpp"
#include "roars/methods/copo.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/decision_transformer.hpp"
#include "roars/methods/demonstration_regularized.hpp"
#include "roars/methods/direct_advantage.hpp"
#include "roars/methods/disco.hpp"
#include "roars/methods/dler.hpp"
#include "roars/methods/dqn.hpp"
#include "roars/methods/dr_grpo.hpp"
#include "roars/methods/dual_rl.hpp"
#include "roars/methods/famo2o.hpp"
#include "roars/methods/gmpo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/methods/hicra.hpp"
#include "roars/methods/igpo.hpp"
#include "roars/methods/kdrl.hpp"
#include "roars/methods/light_if.hpp"
#include "roars/methods/lite_ppo.hpp"
#include "roars/methods/observe_r1.hpp"
#include "roars/methods/offline.hpp"
#include "roars/methods/open_rs.hpp"
#include "roars/methods/otc.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/prdc.hpp"
#include "roars/methods/preference.hpp"
#include "roars/methods/prorl.hpp"
#include "roars/methods/q_learning.hpp"
#include "roars/methods/raft.hpp"
#include "roars/methods/redq.hpp"
#include "roars/methods/reinforce.hpp"
#include "roars/methods/reinforce_plus_plus.hpp"
#include "roars/methods/relift.hpp"
#include "roars/methods/remax.hpp"
#include "roars/methods/reseek.hpp"
#include "roars/methods/residual_rl.hpp"
#include "roars/methods/rex_rag.hpp"
#include "roars/methods/rl_plus.hpp"
#include "roars/methods/rlhf.hpp"
#include "roars/methods/rloo.hpp"
#include "roars/methods/router_r1.hpp"
#include "roars/methods/ruscarl.hpp"
#include "roars/methods/sac.hpp"
#include "roars/methods/sapo.hpp"
#include "roars/methods/seele.hpp"
#include "roars/methods/snapshot_rl.hpp"
#include "roars/methods/spa_rl.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/methods/td3.hpp"
#include "roars/methods/tscac.hpp"
#include "roars/methods/zero_shot.hpp"
#include "roars/pack.hpp"

/// All methods: a compile-time map from name to type, settings and facts. The program's list, the tests and the tables
/// of the documentation are generated from it.
namespace roars::methods {

/// What is known of a method beside its type.
struct Facts {
    std::string_view name;    ///< on the command line
    std::string_view title;   ///< one line
    std::string_view family;  ///< baseline, ...
    std::string_view paper;   ///< arXiv number, or doi
    int year;
    std::string_view golden;  ///< file of its numeric cases, without .json
};

template <class Method_>
struct Entry {
    using Method = Method_;
    Facts facts;
    Method method;
};
template <class Method>
Entry(Facts, Method) -> Entry<Method>;

/// The entries as one value. (A std::tuple of as many costs the compiler seconds.)
template <class... E>
struct List {
    static constexpr std::size_t size = sizeof...(E);
    Pack<E...> entries;
    constexpr List(E... entry) : entries(entry...) {}
};

inline constexpr List all{
    Entry{
        Facts{"supervised", "Supervised likelihood of demonstrations: the warm start", "supervised", "", 0, "00-peers"},
        supervised},
    Entry{Facts{"reinforce", "REINFORCE with the batch's mean as baseline", "baseline", "doi 10.1007/BF00992696", 1992,
                "00-peers"},
          reinforce},
    Entry{Facts{"grpo", "GRPO: group relative policy optimization", "baseline", "2402.03300", 2024, "00-grpo"}, grpo},
    Entry{Facts{"dr-grpo", "Dr. GRPO: GRPO without spread and length bias", "baseline", "2503.20783", 2025, "00-peers"},
          dr_grpo},
    Entry{Facts{"rloo", "RLOO: REINFORCE with the others of the group as baseline", "baseline", "2402.14740", 2024,
                "00-peers"},
          rloo},
    Entry{Facts{"dapo", "DAPO: decoupled clip and dynamic sampling", "baseline", "2503.14476", 2025, "00-peers"}, dapo},
    Entry{Facts{"gspo", "GSPO: the ratio of a whole sequence", "baseline", "2507.18071", 2025, "00-peers"}, gspo},
    Entry{Facts{"cispo", "CISPO: clipped importance weights, every token keeps its gradient", "baseline", "2506.13585",
                2025, "00-peers"},
          cispo},
    Entry{Facts{"gmpo", "GMPO: the geometric mean of a sequence's ratios", "baseline", "2507.20673", 2025, "00-peers"},
          gmpo},
    Entry{Facts{"sapo", "SAPO: a soft gate instead of a clip", "baseline", "2511.20347", 2025, "00-peers"}, sapo},
    Entry{Facts{"ppo", "PPO: a critic per token, the divergence in the reward", "baseline", "1707.06347", 2017,
                "00-peers"},
          ppo},
    Entry{Facts{"ppo-verified", "PPO without a reference: the verdict on the last token", "baseline", "1707.06347",
                2017, "00-peers"},
          ppo_verified},
    Entry{Facts{"lite-ppo", "Lite PPO: centred by the group, scaled by the batch, token mean", "group", "2508.08221",
                2025, "03-lite-ppo"},
          lite_ppo},
    Entry{Facts{"rl-plus", "RL-PLUS: a given solution in every group, its weight bounded", "external data",
                "2508.00222", 2025, "26-rl-plus"},
          rl_plus},
    Entry{Facts{"seele", "SEELE: hints as long as it takes to be right half of the time", "external data", "2509.06923",
                2025, "71-seele"},
          seele},
    Entry{Facts{"fading-hints", "Its baseline: hints of the solution that fade away", "external data", "2509.06923",
                2025, "71-seele"},
          fading_hints},
    Entry{Facts{"disco", "DisCO: right answers above the wrong ones, the divergence under a bound", "discriminative",
                "2505.12366", 2025, "45-disco"},
          disco},
    Entry{Facts{"disco-b", "DisCO-b: right answers above the mean of the wrong ones", "discriminative", "2505.12366",
                2025, "45-disco"},
          disco_mean},
    Entry{Facts{"copo", "COPO: prompts compared with each other where answers agree", "group", "2508.04138", 2025,
                "63-copo"},
          copo},
    Entry{Facts{"dler", "DLER: too long is wrong, whitened over the batch, groups drawn again", "length", "2510.15110",
                2025, "65-dler"},
          dler},
    Entry{
        Facts{"da-dler", "DA-DLER: a shorter limit for prompts that are easy", "length", "2510.15110", 2025, "65-dler"},
        dler_difficulty},
    Entry{Facts{"open-rs", "Open-RS: form, and correctness that is paid less when long", "length", "2503.16219", 2025,
                "16-open-rs"},
          open_rs},
    Entry{Facts{"open-rs-accuracy", "Open-RS, first experiments: form and correctness", "group", "2503.16219", 2025,
                "16-open-rs"},
          open_rs_accuracy},
    Entry{Facts{"ruscarl", "RuscaRL: rollouts see a part of the rubric, ever less of it", "exploration", "2508.16949",
                2025, "17-ruscarl"},
          ruscarl},
    Entry{Facts{"light-if", "Light-IF: a point for each constraint, entropy where confidence and advantage agree",
                "group", "2508.03178", 2025, "28-light-if"},
          light_if},
    Entry{Facts{"light-if-zero", "Its first stage: reasoning is paid for while it helps", "length", "2508.03178", 2025,
                "28-light-if"},
          light_if_zero},
    Entry{Facts{"light-if-sft", "Its second stage, Entropy-SFT: no token that is fitted already", "supervised",
                "2508.03178", 2025, "28-light-if"},
          entropy_sft},
    Entry{Facts{"adacot", "AdaCoT: when to reason, from two costs that pull against each other", "length", "2505.11896",
                2025, "48-adacot"},
          adacot},
    Entry{Facts{"adacot-masked", "Its first stage: the token that decides is left as it is", "length", "2505.11896",
                2025, "48-adacot"},
          adacot_masked},
    Entry{Facts{"observe-r1", "Observe-R1: from easy to hard, the shortest right answer, unsure groups weigh more",
                "length", "2505.12432", 2025, "29-observe-r1"},
          observe_r1},
    Entry{Facts{"reseek", "ReSeek: right judgements of what searches found are paid beside the answer", "agent",
                "2510.00568", 2025, "09-reseek"},
          reseek},
    Entry{Facts{"reseek-containment", "ReSeek by the rule of its released code", "agent", "2510.00568", 2025,
                "09-reseek"},
          reseek_containment},
    Entry{Facts{"reseek-turns", "ReSeek that pays a judgement to its own token", "agent", "2510.00568", 2025,
                "09-reseek"},
          reseek_turns},
    Entry{Facts{"grpo-tcr", "GRPO-TCR: token mean, a higher upper clip, overlong answers cost", "agent", "2510.11701",
                2025, "69-agentic-recipe"},
          grpo_tcr},
    Entry{Facts{"grpo-scr", "GRPO-SCR: the same with one ratio a sequence", "agent", "2510.11701", 2025,
                "69-agentic-recipe"},
          grpo_scr},
    Entry{Facts{"grpo-t", "GRPO-T, their baseline: one clip, near the reference", "agent", "2510.11701", 2025,
                "69-agentic-recipe"},
          grpo_t},
    Entry{Facts{"prorl", "ProRL: the reference begins again where validation stands still", "prolonged", "2505.24864",
                2025, "51-prorl"},
          prorl},
    Entry{Facts{"prorl-scheduled", "ProRL with resets at fixed times", "prolonged", "2505.24864", 2025, "51-prorl"},
          prorl_scheduled},
    Entry{Facts{"direct-advantage", "Direct advantage policy optimization: log-ratios regressed on steps' advantages",
                "step", "2412.18279", 2024, "54-direct-advantage-po"},
          direct_advantage},
    Entry{Facts{"direct-advantage-critic", "Its first stage: a critic of the chance of success", "step", "2412.18279",
                2024, "54-direct-advantage-po"},
          direct_advantage_critic},
    Entry{Facts{"kdrl", "KDRL: a pull to a teacher that decays, and a verifier", "distillation", "2506.02208", 2025,
                "66-kdrl"},
          kdrl},
    Entry{Facts{"kdrl-constant", "KDRL with a constant pull", "distillation", "2506.02208", 2025, "66-kdrl"},
          kdrl_constant},
    Entry{Facts{"kdrl-wrong-answers", "KDRL that pulls on wrong answers alone", "distillation", "2506.02208", 2025,
                "66-kdrl"},
          kdrl_wrong_answers},
    Entry{Facts{"kdrl-unsolved-groups", "KDRL that pulls on groups without a right answer alone", "distillation",
                "2506.02208", 2025, "66-kdrl"},
          kdrl_unsolved_groups},
    Entry{Facts{"hicra", "HICRA: planning tokens get more credit and less blame", "group", "2509.03646", 2025,
                "68-hicra"},
          hicra},
    Entry{Facts{"otc-grpo", "OTC-GRPO: a right answer is worth most with the fewest tool calls of its group", "agent",
                "2504.14870", 2025, "50-otc"},
          otc_grpo},
    Entry{Facts{"otc-grpo-memory", "OTC-GRPO that remembers the fewest calls of every question", "agent", "2504.14870",
                2025, "50-otc"},
          otc_grpo_memory},
    Entry{Facts{"otc-ppo", "OTC-PPO: a right answer is worth less with every tool call", "agent", "2504.14870", 2025,
                "50-otc"},
          otc_ppo},
    Entry{Facts{"igpo", "IGPO: a turn is paid what it adds to the policy's confidence in the true answer", "turns",
                "2510.14967", 2025, "14-igpo"},
          igpo},
    Entry{Facts{"igpo-joint", "IGPO, first version: gains of probability, normalised together with the outcomes",
                "turns", "2510.14967", 2025, "14-igpo"},
          igpo_joint},
    Entry{Facts{"spa-rl",
                "SPA-RL: the outcome attributed to steps by an estimator of progress, and a bonus for "
                "actions that are carried out",
                "turns", "2505.20732", 2025, "73-spa-rl"},
          spa_rl},
    Entry{Facts{"arpo", "ARPO: rollouts branch behind tools' results where the policy is unsure", "tools", "2507.19849",
                2025, "38-arpo"},
          arpo},
    Entry{Facts{"arpo-hard", "ARPO: tokens that rollouts share get the mean of their advantages", "tools", "2507.19849",
                2025, "38-arpo"},
          arpo_hard},
    Entry{Facts{"router-r1", "Router-R1: which model to ask, by form, outcome and cost", "agent", "2506.09033", 2025,
                "53-router-r1"},
          router_r1},
    Entry{Facts{"router-r1-ungated", "Router-R1 whose cost counts for wrong answers too", "agent", "2506.09033", 2025,
                "53-router-r1"},
          router_r1_ungated},
    Entry{Facts{"rex-rag", "REX-RAG: failures are reopened with a hint, the ratio is to the mixture", "tools",
                "2508.08149", 2025, "70-rex-rag"},
          rex_rag},
    Entry{Facts{"reinforce-plus-plus", "REINFORCE++: the whole batch is the baseline", "survey", "2501.03262", 2025,
                "36-llm-rl-survey"},
          reinforce_plus_plus},
    Entry{Facts{"remax", "ReMax: the greedy answer is the baseline", "survey", "2310.10505", 2023, "36-llm-rl-survey"},
          remax},
    Entry{Facts{"actor-critic", "A2C: advantage actor-critic with an entropy bonus", "survey", "1602.01783", 2016,
                "36-llm-rl-survey"},
          actor_critic},
    Entry{Facts{"q-learning", "DQN: Q-learning with a target network and a memory", "survey", "doi 10.1038/nature14236",
                2015, "36-llm-rl-survey"},
          deep_q},
    Entry{Facts{"rlhf", "RLHF: PPO on the score of a reward model", "survey", "2203.02155", 2022, "36-llm-rl-survey"},
          rlhf},
    Entry{Facts{"reward-model", "A reward model of pairs: Bradley and Terry", "survey", "2203.02155", 2022,
                "36-llm-rl-survey"},
          reward_model},
    Entry{Facts{"rlaif", "RLAIF: PPO on the score of a judge", "survey", "2309.00267", 2023, "36-llm-rl-survey"},
          rlaif},
    Entry{Facts{"rlaif-reward-model", "A reward model of a judge's probabilities", "survey", "2309.00267", 2023,
                "36-llm-rl-survey"},
          judged_reward_model},
    Entry{Facts{"constitutional-revision", "Constitutional AI, first stage: answers revised by the principles",
                "survey", "2212.08073", 2022, "36-llm-rl-survey"},
          constitutional_revision},
    Entry{Facts{"constitutional", "Constitutional AI, second stage: a judge with the principles", "survey",
                "2212.08073", 2022, "36-llm-rl-survey"},
          constitutional},
    Entry{Facts{"rlvr", "RLVR: the verdict of a verifier, and PPO", "survey", "2411.15124", 2024, "36-llm-rl-survey"},
          rlvr},
    Entry{Facts{"process-guided", "A process reward model: an answer is as good as its worst step", "survey",
                "2305.20050", 2023, "36-llm-rl-survey"},
          process_guided},
    Entry{Facts{"dpo", "DPO: direct preference optimization", "survey", "2305.18290", 2023, "36-llm-rl-survey"}, dpo},
    Entry{Facts{"ipo", "IPO: identity preference optimization", "survey", "2310.12036", 2023, "36-llm-rl-survey"}, ipo},
    Entry{Facts{"ipo-per-token", "IPO of means over tokens", "survey", "2310.12036", 2023, "36-llm-rl-survey"},
          ipo_per_token},
    Entry{Facts{"slic", "SLiC: a hinge on the pair's margin", "survey", "2305.10425", 2023, "36-llm-rl-survey"}, slic},
    Entry{Facts{"kto", "KTO: single answers, desirable or not", "survey", "2402.01306", 2024, "36-llm-rl-survey"}, kto},
    Entry{Facts{"simpo", "SimPO: mean log-probabilities and a margin, no reference", "survey", "2405.14734", 2024,
                "36-llm-rl-survey"},
          simpo},
    Entry{Facts{"cpo", "CPO: log-probabilities and likelihood, no reference", "survey", "2401.08417", 2024,
                "36-llm-rl-survey"},
          cpo},
    Entry{
        Facts{"orpo", "ORPO: likelihood and log odds, no reference", "survey", "2403.07691", 2024, "36-llm-rl-survey"},
        orpo},
    Entry{Facts{"raft", "RAFT, best-of-n: imitate the best of each group", "survey", "2304.06767", 2023,
                "36-llm-rl-survey"},
          raft},
    Entry{
        Facts{"rest", "ReST: imitate what passes a rising threshold", "survey", "2308.08998", 2023, "36-llm-rl-survey"},
        rest},
    Entry{Facts{"online-dpo", "Online DPO: the best and the worst of the policy's own answers", "survey", "2402.04792",
                2024, "36-llm-rl-survey"},
          online_dpo},
    Entry{Facts{"prdc", "PRDC: near the nearest action of the data, of whatever state nearby", "offline", "2306.06569",
                2023, "13-prdc"},
          prdc},
    Entry{Facts{"a2pr", "A2PR: near the better of the data's action and a model's", "offline", "2405.19909", 2024,
                "11-a2pr"},
          a2pr},
    Entry{Facts{"f-dvl", "f-DVL: a value that climbs by the chi-square divergence", "offline", "2302.08560", 2023,
                "34-dual-rl"},
          f_dvl},
    Entry{Facts{"f-dvl-variation", "f-DVL by total variation", "offline", "2302.08560", 2023, "34-dual-rl"},
          f_dvl_variation},
    Entry{Facts{"recoil", "ReCOIL: imitation with the help of any data, no reward", "imitation", "2302.08560", 2023,
                "34-dual-rl"},
          recoil},
    Entry{Facts{"recoil-stabilised", "ReCOIL as released: a ceiling for Q, a price for steps", "imitation",
                "2302.08560", 2023, "34-dual-rl"},
          recoil_stabilised},
    Entry{Facts{"famo2o-offline", "FamO2O, offline: a policy for every balance of improvement and constraint",
                "offline to online", "2310.17966", 2023, "23-famo2o"},
          famo2o_offline},
    Entry{Facts{"famo2o-online", "Its online stage: a balance chosen for each state", "offline to online", "2310.17966",
                2023, "23-famo2o"},
          famo2o_online},
    Entry{Facts{"famo2o-conservative-offline", "FamO2O on a conservative critic, offline", "offline to online",
                "2310.17966", 2023, "23-famo2o"},
          famo2o_conservative_offline},
    Entry{Facts{"famo2o-conservative-online", "Its online stage", "offline to online", "2310.17966", 2023, "23-famo2o"},
          famo2o_conservative_online},
    Entry{Facts{"forward-backward", "FB: values of any task from rows without a reward", "zero-shot", "2508.16496",
                2025, "12-zero-shot-rl"},
          forward_backward},
    Entry{Facts{"forward-backward-values", "VC-FB: values of actions that the data lacks are held down", "zero-shot",
                "2508.16496", 2025, "12-zero-shot-rl"},
          value_conservative},
    Entry{Facts{"forward-backward-measures", "MC-FB: measures of actions that the data lacks are held down",
                "zero-shot", "2508.16496", 2025, "12-zero-shot-rl"},
          measure_conservative},
    Entry{Facts{"forward-backward-continuous", "FB of continuous actions: a policy that reads the task", "zero-shot",
                "2508.16496", 2025, "12-zero-shot-rl"},
          forward_backward_continuous},
    Entry{Facts{"forward-backward-values-continuous", "VC-FB of continuous actions", "zero-shot", "2508.16496", 2025,
                "12-zero-shot-rl"},
          value_conservative_continuous},
    Entry{Facts{"forward-backward-measures-continuous", "MC-FB of continuous actions", "zero-shot", "2508.16496", 2025,
                "12-zero-shot-rl"},
          measure_conservative_continuous},
    Entry{Facts{"forward-backward-memory", "FB of states that are seen in part: F and B read contexts", "zero-shot",
                "2506.15446", 2025, "12-zero-shot-rl"},
          forward_backward_memory},
    Entry{Facts{"forward-backward-memory-continuous", "The same of continuous actions: so does the policy", "zero-shot",
                "2506.15446", 2025, "12-zero-shot-rl"},
          forward_backward_memory_continuous},
    Entry{Facts{"demonstration-regularised", "Demonstrations are cloned, plans pay for leaving the clone",
                "demonstrations", "2310.17303", 2023, "22-demo-regularized-rl"},
          demonstration_regularised},
    Entry{Facts{"tscac-main", "TSCAC, second stage: the main response, near policies of the others", "constrained",
                "2302.01680", 2023, "35-tscac"},
          tscac_main},
    Entry{Facts{"tscac-response", "TSCAC, first stage: an actor-critic of one response", "constrained", "2302.01680",
                2023, "35-tscac"},
          tscac_response},
    Entry{Facts{"residual-fine-tuning", "ResFiT, second stage: a small correction of a base policy's actions",
                "residual", "2509.19301", 2025, "56-residual-rl"},
          residual_fine_tuning},
    Entry{Facts{"snapshot-td3", "SnapshotRL: TD3 whose episodes begin at a teacher's states for a while", "snapshots",
                "2403.00673", 2024, "59-snapshot-rl"},
          snapshot_td3},
    Entry{Facts{"snapshot-sac", "SnapshotRL: SAC from a teacher's states", "snapshots", "2403.00673", 2024,
                "59-snapshot-rl"},
          snapshot_sac},
    Entry{Facts{"sac", "SAC: soft actor-critic, a learned temperature", "control", "1812.05905", 2018, "00-peers"},
          sac},
    Entry{Facts{"td3", "TD3: twin critics, a smoothed target, a delayed policy", "control", "1802.09477", 2018,
                "00-peers"},
          td3},
    Entry{
        Facts{"ddpg", "DDPG: a deterministic policy that climbs one critic", "control", "1509.02971", 2015, "00-peers"},
        ddpg},
    Entry{Facts{"redq", "REDQ: ten critics, twenty updates of them a step", "control", "2101.05982", 2021, "00-peers"},
          redq},
    Entry{Facts{"dqn", "DQN: action values, a target network, a memory", "control", "doi 10.1038/nature14236", 2015,
                "00-peers"},
          dqn},
    Entry{Facts{"double-dqn", "Double DQN: one network chooses, the other values", "control", "1509.06461", 2015,
                "00-peers"},
          double_dqn},
    Entry{Facts{"prioritised-dqn", "Double DQN on three steps, drawn by priority", "control", "1511.05952", 2015,
                "00-peers"},
          prioritised_dqn},
    Entry{Facts{"qr-dqn", "QR-DQN: quantiles of the return of each action", "control", "1710.10044", 2017, "00-peers"},
          qr_dqn},
    Entry{
        Facts{"ppo-control", "PPO on environments, discrete or continuous", "control", "1707.06347", 2017, "00-peers"},
        control_ppo},
    Entry{Facts{"a2c", "A2C on environments, discrete or continuous", "control", "1602.01783", 2016, "00-peers"},
          control_actor_critic},
    Entry{Facts{"behaviour-cloning", "Behaviour cloning: the actions of the data, by least squares", "offline", "", 0,
                "00-peers"},
          behaviour_cloning},
    Entry{Facts{"td3-bc", "TD3+BC: TD3 that stays near the data", "offline", "2106.06860", 2021, "00-peers"}, td3_bc},
    Entry{Facts{"iql", "IQL: an expectile of the data's action values, the better actions imitated", "offline",
                "2110.06169", 2021, "00-peers"},
          iql},
    Entry{Facts{"awac", "AWAC: actions of the data, weighed by their advantage", "offline", "2006.09359", 2020,
                "00-peers"},
          awac},
    Entry{Facts{"cql", "CQL: critics that value what the data lacks low", "offline", "2006.04779", 2020, "00-peers"},
          cql},
    Entry{Facts{"cql-lagrange", "CQL whose penalty's weight is learned from a threshold", "offline", "2006.04779", 2020,
                "00-peers"},
          cql_lagrange},
    Entry{Facts{"bcq", "BCQ: actions that a model of the data draws, moved a little", "offline", "1812.02900", 2018,
                "d3rlpy"},
          bcq},
    Entry{Facts{"bear", "BEAR: the policy's draws keep near those of a model of the data", "offline", "1906.00949",
                2019, "d3rlpy"},
          bear},
    Entry{Facts{"plas", "PLAS: a policy in the code of a model of the data", "offline", "2011.07213", 2020, "d3rlpy"},
          plas},
    Entry{Facts{"decision-transformer", "Decision Transformer: a sequence model that is asked for a return", "offline",
                "2106.01345", 2021, "d3rlpy"},
          decision_transformer},
    Entry{Facts{"decision-transformer-discrete", "Decision Transformer of discrete actions", "offline", "2106.01345",
                2021, "d3rlpy"},
          discrete_decision_transformer},
};

/// Methods of several algorithms on one learner: Stages, one after another, and Interleaved.
inline constexpr List staged{
    Entry{Facts{"famo2o", "FamO2O: a family of policies offline, then a balance chosen for each state online",
                "offline to online", "2310.17966", 2023, "23-famo2o"},
          famo2o},
    Entry{Facts{"famo2o-conservative", "FamO2O on a conservative critic", "offline to online", "2310.17966", 2023,
                "23-famo2o"},
          famo2o_conservative},
    Entry{Facts{"tscac", "TSCAC: a policy for each auxiliary response, then the main one near them", "constrained",
                "2302.01680", 2023, "35-tscac"},
          tscac},
    Entry{Facts{"resfit", "ResFiT: critics alone first, then a small correction of a base policy's actions", "residual",
                "2509.19301", 2025, "56-residual-rl"},
          resfit},
    Entry{Facts{"relift", "ReLIFT: what no rollout solves is learnt from demonstrations in between", "external data",
                "2506.07527", 2025, "52-relift"},
          relift},
};

/// Calls visit(entry) for each method, in order: those of one algorithm, then the composed ones. What a program does
/// for all of them is best a walk over `listed`: a compiler reads the visit once for each method.
template <class Visit>
constexpr void for_each(Visit&& visit) {
    apply(all.entries, [&](const auto&... entry) { (visit(entry), ...); });
    apply(staged.entries, [&](const auto&... entry) { (visit(entry), ...); });
}

/// A method without its type.
struct Listed {
    const Facts* facts;
    const void* type;      ///< the same for methods of one type
    const void* settings;  ///< a value of that type
};
template <class Method>
inline constexpr char type_of = 0;

template <class... Method>
constexpr auto listed_of(const Entry<Method>&... entry) {
    return std::array{Listed{&entry.facts, &type_of<Method>, &entry.method}...};
}
inline constexpr auto listed = apply(all.entries, [](const auto&... one) {
    return apply(staged.entries, [&](const auto&... several) { return listed_of(one..., several...); });
});

/// The names under which the registry holds a method of this type.
template <class Method>
std::vector<std::string_view> names_of() {
    std::vector<std::string_view> names;
    for (const Listed& one : listed)
        if (one.type == &type_of<Method>) names.push_back(one.facts->name);
    return names;
}

/// The settings that it holds under that name, which is one of names_of.
template <class Method>
const Method& registered(std::string_view name) {
    auto found = std::find_if(listed.begin(), listed.end(), [&](const Listed& one) {
        return one.type == &type_of<Method> && one.facts->name == name;
    });
    expect(found != listed.end(), [&] { return "no method of this type is named '" + std::string(name) + "'"; });
    return *static_cast<const Method*>(found->settings);
}

}  // namespace roars::methods
