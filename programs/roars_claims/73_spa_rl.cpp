#include "roars/methods/spa_rl.hpp"
#include "roars/optimizer/step/split.hpp"
#include "roars/tasks/subtasks.hpp"
#include "training.hpp"

namespace roars::claims::of_spa_rl {
namespace {

/// The probability that an action is one that the environment carries out: of all steps of an answer.
double exact_grounding(const tasks::Subtasks& task, std::span<const float> logits) {
    const auto actions = static_cast<std::size_t>(task.actions());
    std::vector<double> probability(actions);
    double possible = 0, steps = 0;
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
        auto choose = [&](std::int64_t state, std::int64_t row, double here) {
            tasks::detail::softmax(logits.subspan(static_cast<std::size_t>(row) * actions, actions),
                                   std::span<double>(probability));
            steps += here;
            for (std::size_t a = 0; a < actions; ++a)
                if (task.possible(prompt, state, std::int64_t(a))) possible += here * probability[a];
            return std::span<const double>(probability);
        };
        tasks::detail::walk(task, prompt, choose, [](std::int64_t, double) {});
    }
    return possible / steps;
}

/// Every visit moves the value of a state at a step so far to its target: the loss is a mean over the batch's tokens.
constexpr double value_rate = 0.1;

/// What an arm is trained on, and by how large steps.
struct Design {
    tasks::SubtasksSettings task{};
    std::int64_t rollouts = 16;
    double rate = 0.03;
};

/// PPO without a pull to the start, one epoch a batch. Measured is whether all subtasks are done, whatever the outcome
/// was.
template <class Method>
Arm arm(std::string name, Method method, const Design& design, double beta) {
    method.regularizer.coefficient = 0;
    method.reward.second.beta = beta;
    if constexpr (requires { method.sampler.base; })
        method.sampler.base.prompts = design.rollouts;
    else
        method.sampler = {.prompts = design.rollouts, .group_size = 1};
    using Steps = step::Split<step::AdamW, step::Sgd>;
    auto adam = with_step(method, Steps{.first = {.learning_rate = design.rate, .weight_decay = 0}});
    adam.optimizer.step.second.learning_rate =
        value_rate * double(design.rollouts * design.task.horizon) / method.advantage.base.critic.coefficient;
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.first.learning_rate *= trial.rate;
                auto settings = design.task;
                tasks::Subtasks task(settings, trial.seed);
                scaled.optimizer.step.from = task.rows() * task.actions();
                settings.binary = true;
                tasks::Subtasks whole(settings, trial.seed);
                train::TabularLearner<tasks::Subtasks, float, true> learner(task, {.in_turn = false});
                Numbers numbers;
                auto look = [&](const std::string& when) {
                    auto logits = learner.policy().logits();
                    numbers["success" + when] = tasks::mean_exact_score(whole, logits).success;
                    numbers["grounding" + when] = exact_grounding(task, logits);
                };
                train(scaled, learner, trial, [&](std::int64_t updates, const train::Record&) {
                    if (updates == 25 || updates == 50) look("@" + std::to_string(updates));
                });
                look("");
                numbers["rollouts"] = double(learner.position.rollouts);
                return numbers;
            }};
}

/// The outcome at the last step.
using Terminal = Algorithm<sampler::Groups, reward::Then<reward::OnLastTurn<reward::Verified>, reward::Grounding>,
                           methods::SpaRl::Advantage, methods::SpaRl::Regularizer, methods::SpaRl::Optimizer>;
constexpr Terminal terminal{.advantage = methods::spa_rl.advantage, .optimizer = methods::spa_rl.optimizer};

}  // namespace

/// A dense reward that adds up to the outcome, and where its estimator does not know the way.
void add(std::vector<Experiment>& all) {
    const std::string task =
        "3 prompts of 8 ordered subtasks in 12 steps, 6 actions: one right, two that cannot be carried out; success "
        "0.03 at the start. PPO with a table of values, 16 rollouts a step, Adam 0.03, 100 updates; the estimator is "
        "fitted on 2,000 rollouts of the start policy. ";
    const auto& spa = methods::spa_rl;
    Claim faster{.says = "steps paid what they contributed teach sooner than the outcome: all subtasks, 50 updates",
                 .method = "SPA",
                 .baseline = "terminal",
                 .number = "success@50",
                 .expected = Expected::higher,
                 .least = 0.2};
    Claim grounded = faster, carried_out = faster, dominates = faster;
    grounded.says = "and so with a small bonus for actions that are carried out";
    grounded.method = "SPA, bonus 0.05";
    grounded.least = 0.1;
    carried_out = grounded;
    carried_out.says = "which more actions then are, after 100";
    carried_out.number = "grounding";
    carried_out.least = 0.05;
    dominates.says = "a bonus of 0.5 a step outweighs the outcome";
    dominates.method = "SPA, bonus 0.5";
    dominates.baseline = "SPA";
    dominates.expected = Expected::lower;
    dominates.least = 0.2;
    const Design share{}, binary{.task = {.binary = true}};
    all.push_back(
        {.name = "spa-rl",
         .paper = "2505.20732, SPA-RL",
         .page = "spa-rl",
         .setup = task + "The outcome is the share of subtasks done.",
         .updates = 100,
         .rates = eight_rates,
         .tuned_by = "success@50",
         .arms = {arm("terminal", terminal, share, 0), arm("SPA", spa, share, 0),
                  arm("terminal, bonus 0.05", terminal, share, 0.05), arm("SPA, bonus 0.05", spa, share, 0.05),
                  arm("terminal, bonus 0.5", terminal, share, 0.5), arm("SPA, bonus 0.5", spa, share, 0.5)},
         .claims = {faster, grounded, carried_out, dominates},
         .seeds = 8});
    all.push_back({.name = "spa-rl-binary",
                   .paper = "2505.20732, SPA-RL",
                   .page = "spa-rl",
                   .setup = task + "The outcome is whether all are done.",
                   .updates = 100,
                   .rates = eight_rates,
                   .tuned_by = "success@50",
                   .arms = {arm("terminal", terminal, binary, 0), arm("SPA", spa, binary, 0)},
                   .claims = {faster},
                   .seeds = 8});
    const Design hard{.task = {.subtasks = 6, .horizon = 10, .right_logit = 0, .binary = true, .ends_when_done = true},
                      .rollouts = 32,
                      .rate = 0.05};
    methods::SpaRl refitted = spa;
    refitted.sampler.every = refitted.reward.first.refit_every = 20;
    Claim stalls{.says = "an estimator of a policy that never reaches the late subtasks knows nothing of them",
                 .method = "SPA",
                 .baseline = "terminal",
                 .number = "success",
                 .expected = Expected::lower,
                 .least = 0.2};
    Claim repaired = stalls, never = stalls;
    repaired.says = "fitted again every 20 updates it does";
    repaired.method = "SPA, fitted again";
    repaired.baseline = "SPA";
    repaired.expected = Expected::higher;
    never.says = "where success ends the answer a bonus of 0.5 a step pays for not succeeding";
    never.method = "SPA, bonus 0.5";
    all.push_back({.name = "spa-rl-start",
                   .paper = "2505.20732, SPA-RL",
                   .page = "spa-rl",
                   .setup = "6 subtasks, 10 steps, equal logits at the start, the outcome is whether all are done, and "
                            "an answer is over when they are. 32 rollouts a step, Adam 0.05, 200 updates.",
                   .updates = 200,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {arm("terminal", terminal, hard, 0), arm("SPA", spa, hard, 0),
                            arm("SPA, fitted again", refitted, hard, 0), arm("SPA, bonus 0.5", spa, hard, 0.5)},
                   .claims = {stalls, repaired, never},
                   .seeds = 8});
}

}  // namespace roars::claims::of_spa_rl
