#include <cmath>

#include "roars/methods/disco.hpp"
#include "training.hpp"

namespace roars::claims::of_disco {

/// Equal weight for every prompt: those that are seldom answered rightly are learnt sooner.
void add(std::vector<Experiment>& all) {
    constexpr std::int64_t prompts = 60, medium = 30, answers = 50;
    auto logit = [](double probability) { return std::log(probability * (answers - 1) / (1 - probability)); };
    tasks::BanditSettings task{.prompts = prompts,
                               .answers = answers,
                               .easy_prompts = medium,
                               .easy_logit = logit(0.5),
                               .hard_logit = logit(0.04)};
    const double rate = 0.25 * double(prompts);
    const Measured hard{.first = medium, .last = prompts, .also = {20}};
    auto grpo = [&](double high) {
        PlainGrpo method = plain_grpo(prompts, 8, rate);
        method.optimizer.surrogate.high = high;
        method.optimizer.epochs = 4;
        return method;
    };
    auto discriminative = [&](auto method) {
        method.sampler = {.prompts = prompts, .group_size = 8};
        method.optimizer.epochs = 4;
        method.optimizer.minibatches = 1;
        return with_step(method, step::Sgd{.learning_rate = rate});
    };
    Claim sooner{.says = "hard prompts are learnt sooner: after 20 batches",
                 .method = "DisCO",
                 .baseline = "GRPO",
                 .number = "success@20",
                 .expected = Expected::higher,
                 .least = 0.1};
    Claim clip = sooner, end = sooner;
    clip.says = "also than with a looser upper clip (DAPO's 0.28)";
    clip.baseline = "GRPO, upper clip 0.28";
    clip.least = 0;
    end.says = "after 40 batches both are there";
    end.number = "success";
    end.expected = Expected::same;
    end.least = 0.1;
    all.push_back({.name = "disco",
                   .paper = "2505.12366, DisCO",
                   .page = "disco",
                   .setup = "60 prompts of 50 answers, the right one at 0.04 (30 hard prompts) or 0.5. Groups of 8, 4 "
                            "updates a batch, plain steps of 0.25, 40 batches. Measured: success on the hard prompts.",
                   .updates = 40,
                   .rates = eight_rates,
                   .tuned_by = "success@20",
                   .arms = {bandit_arm("GRPO", grpo(0.2), task, hard),
                            bandit_arm("GRPO, upper clip 0.28", grpo(0.28), task, hard),
                            bandit_arm("DisCO-b", discriminative(methods::disco_mean), task, hard),
                            bandit_arm("DisCO", discriminative(methods::disco), task, hard)},
                   .claims = {sooner, clip, end}});
}

}  // namespace roars::claims::of_disco
