#include "roars/methods/copo.hpp"
#include "training.hpp"

namespace roars::claims::of_copo {

/// Groups that are sure of a wrong answer: comparing prompts still teaches where a group's own answers do not.
void add(std::vector<Experiment>& all) {
    constexpr std::int64_t prompts = 64, easy = 16, group = 6;
    tasks::BanditSettings task{.prompts = prompts,
                               .answers = 10,
                               .easy_prompts = easy,
                               .easy_logit = 1,
                               .hard_logit = -1.5,
                               .trap_logit = 5,
                               .spread = 0.3};
    const Measured confident{.first = easy, .last = prompts};
    const double rate = double(prompts);
    auto copo = [&](double steepness, double threshold) {
        methods::Copo method = methods::copo;
        method.sampler = {.prompts = prompts, .group_size = group};
        method.advantage.steepness = steepness;
        method.advantage.threshold = threshold;
        method.optimizer.minibatches = 1;
        return with_step(method, step::Sgd{.learning_rate = rate});
    };
    Claim soft{.says = "prompts with a confident wrong answer are learnt",
               .method = "COPO, 5 and 1",
               .baseline = "GRPO",
               .number = "success",
               .expected = Expected::higher,
               .least = 0.25};
    Claim paper = soft;
    paper.says = "also with the paper's best steepness and threshold";
    paper.method = "COPO, 20 and 1.5";
    paper.least = 0;
    all.push_back({.name = "copo",
                   .paper = "2508.04138, COPO",
                   .page = "copo",
                   .setup = "64 prompts of 10 answers; on 48 a wrong one has 95 % or more. Groups of 6, one update a "
                            "batch, plain steps of 1, 200 updates. Measured: success on the 48.",
                   .updates = 200,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {bandit_arm("GRPO", plain_grpo(prompts, group, rate), task, confident),
                            bandit_arm("COPO, 5 and 1", copo(5, 1), task, confident),
                            bandit_arm("COPO, 20 and 1.5", copo(20, 1.5), task, confident)},
                   .claims = {soft, paper}});
}

}  // namespace roars::claims::of_copo
