#include "roars/methods/lite_ppo.hpp"
#include "training.hpp"

namespace roars::claims::of_lite_ppo {

/// Two scales of one centred reward where a noisy verifier gives nearly every group a spread; and the same without the
/// noise, where the difference must vanish.
void add(std::vector<Experiment>& all) {
    constexpr std::int64_t prompts = 40, group = 8;
    auto experiment = [&](std::string name, std::string setup, double noise, std::int64_t answers, double step,
                          std::int64_t updates, Claim claim) {
        tasks::BanditSettings task{.prompts = prompts,
                                   .answers = answers,
                                   .easy_prompts = 20,
                                   .easy_logit = 6,
                                   .hard_logit = 0,
                                   .reward_noise = noise};
        Measured hard{.first = 20, .last = prompts};
        methods::LitePpo lite = methods::lite_ppo;
        lite.sampler = {.prompts = prompts, .group_size = group};
        const double rate = step * double(prompts);  // the step is one on the mean over a prompt's answers
        all.push_back({.name = std::move(name),
                       .paper = "2508.08221, Lite PPO",
                       .page = "lite-ppo",
                       .setup = std::move(setup),
                       .updates = updates,
                       .rates = eight_rates,
                       .tuned_by = "success",
                       .arms = {bandit_arm("GRPO", plain_grpo(prompts, group, rate), task, hard),
                                bandit_arm("Lite PPO", with_step(lite, step::Sgd{.learning_rate = rate}), task, hard)},
                       .claims = {std::move(claim)}});
    };
    experiment("lite-ppo",
               "40 prompts of 512 answers, 20 of them easy; the verdict has normal noise of 0.1. Groups of 8, plain "
               "steps of 8. Measured: success on the hard prompts after 200 updates.",
               0.1, 512, 8, 200,
               {.says = "the batch's spread does not amplify noise in groups without a contrast",
                .method = "Lite PPO",
                .baseline = "GRPO",
                .number = "success",
                .expected = Expected::higher,
                .least = 0.3});
    experiment("lite-ppo-control",
               "The same without noise, 256 answers, steps of 16. Measured: success on the hard prompts after 150 "
               "updates.",
               0.0, 256, 16, 150,
               {.says = "without noise the scale does not matter",
                .method = "Lite PPO",
                .baseline = "GRPO",
                .number = "success",
                .expected = Expected::same,
                .least = 0.05});
}

}  // namespace roars::claims::of_lite_ppo
