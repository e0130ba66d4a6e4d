#include <algorithm>
#include <cmath>
#include <numeric>

#include "roars/methods/preference.hpp"
#include "roars/methods/remax.hpp"
#include "roars/methods/rloo.hpp"
#include "training.hpp"

namespace roars::claims::of_survey {
namespace {

using Logits = std::vector<double>;

Logits softmax(const Logits& logits) {
    Logits probability(logits.size());
    tasks::detail::softmax(std::span<const double>(logits), std::span<double>(probability));
    return probability;
}
Logits normal_logits(std::int64_t count, double spread, RandomStream& stream) {
    Logits logits(static_cast<std::size_t>(count));
    for (double& logit : logits) logit = spread * stream.normal();
    return logits;
}
/// Half the sum of what two distributions differ by.
double total_variation(const Logits& p, const Logits& q) {
    double sum = 0;
    for (std::size_t a = 0; a < p.size(); ++a) sum += std::abs(p[a] - q[a]);
    return sum / 2;
}

/// One prompt, whose data set of preference pairs is given: chosen and rejected answers by turns.
class PairsLearner : public BanditLearner {
public:
    using BanditLearner::BanditLearner;
    std::vector<std::int32_t> pairs;

    template <class RunType, class BatchType>
    void preference_pairs(RunType&, BatchType& batch, std::int64_t) {
        std::vector<std::int64_t> tokens(pairs.size() + 1), groups(pairs.size() / 2 + 1);
        std::iota(tokens.begin(), tokens.end(), 0);
        for (std::size_t g = 0; g < groups.size(); ++g) groups[g] = 2 * std::int64_t(g);
        batch = BatchType(tokens, groups);
        std::copy(pairs.begin(), pairs.end(), batch[col::token{}].begin());
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0f);
    }
};

/// `count` pairs of answers of a policy, each labelled by Bradley and Terry: P(a before b) = sigmoid(R_a - R_b).
std::vector<std::int32_t> labelled_pairs(const Logits& policy, const Logits& reward, std::int64_t count,
                                         RandomStream& stream) {
    Logits sums = softmax(policy);
    std::partial_sum(sums.begin(), sums.end(), sums.begin());
    auto draw = [&] {
        auto found = std::upper_bound(sums.begin(), sums.end(), stream.uniform() * sums.back());
        return static_cast<std::size_t>(std::min(found - sums.begin(), std::ssize(sums) - 1));
    };
    std::vector<std::int32_t> pairs;
    while (std::ssize(pairs) < 2 * count) {
        std::size_t a = draw(), b = draw();
        if (a == b) continue;
        if (stream.uniform() >= 1 / (1 + std::exp(reward[b] - reward[a]))) std::swap(a, b);
        pairs.push_back(static_cast<std::int32_t>(a));
        pairs.push_back(static_cast<std::int32_t>(b));
    }
    return pairs;
}

/// The logits that a preference loss makes of these, by full batches of the pairs.
template <class Method>
Logits fitted(const Method& method, const Logits& start, const std::vector<std::int32_t>& pairs, const Trial& trial) {
    tasks::BanditPrompts task({.prompts = 1, .answers = std::ssize(start)});
    PairsLearner learner(task);
    auto values = learner.policy().logits(0);
    for (std::size_t a = 0; a < start.size(); ++a) values[a] = static_cast<float>(start[a]);
    learner.pairs = pairs;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.05 * trial.rate});
    train(adam, learner, trial, [](std::int64_t, const auto&) {});
    return {values.begin(), values.end()};
}
methods::Dpo direct_preference(double beta) {
    methods::Dpo method = methods::dpo;
    method.optimizer.surrogate.loss.beta = beta;
    return method;
}

/// The variance of the gradient, summed over the logits, at a policy that does not move: trial.updates batches.
template <class Method>
Arm gradient_variance(std::string name, Method method) {
    method.sampler = {.prompts = 1, .group_size = 4};
    return {std::move(name), [=](const Trial& trial) {
                tasks::BanditPrompts task(
                    {.prompts = 1, .answers = 8, .right = 4, .easy_prompts = 1, .easy_logit = 0.5, .spread = 1},
                    trial.seed);
                train::TabularLearner<tasks::BanditPrompts> learner(task);
                typename Method::State state;
                backend::Host host;
                Run run{host, Random(trial.seed)};
                std::vector<double> sum(8), squares(8);
                for (std::int64_t i = 0; i < trial.updates; ++i) {
                    stop_if_interrupted();
                    Batch<float, unite_t<typename Method::Columns, BanditLearner::keeps>> batch;
                    method.sampler.collect(run, state.sampler, learner, batch,
                                           [&](auto& drawn) { method.score(run, state, drawn); });
                    learner.refresh(run, batch);
                    method.estimate(run, state, batch);
                    learner.parameters().zero_gradients();
                    learner.accumulate(method, run, state, batch);
                    for (std::size_t a = 0; a < 8; ++a) {
                        double g = learner.parameters().gradients()[a];
                        sum[a] += g;
                        squares[a] += g * g;
                    }
                }
                double variance = 0, n = double(trial.updates);
                for (std::size_t a = 0; a < 8; ++a) variance += squares[a] / n - sum[a] / n * (sum[a] / n);
                return Numbers{{"variance", variance}, {"rollouts", double(learner.position.rollouts)}};
            }};
}

void add_variance(std::vector<Experiment>& all) {
    using Plain = Algorithm<sampler::Groups, reward::Verified, advantage::ConstantBaseline, regularizer::None,
                            decltype(methods::Rloo::optimizer)>;
    Claim others{.says = "the other answers as baseline reduce the gradient's variance at equal samples",
                 .method = "RLOO",
                 .baseline = "REINFORCE, no baseline",
                 .number = "variance",
                 .expected = Expected::lower,
                 .least = 0,
                 .as_share = true};
    Claim greedy = others;
    greedy.says = "so does the greedy answer";
    greedy.method = "ReMax";
    all.push_back({.name = "survey-variance",
                   .paper = "2507.04136, survey",
                   .page = "llm-rl-survey",
                   .setup =
                       "One prompt of 8 answers, 4 of them right. The variance of the gradient over 2,000 groups of "
                       "4 answers, at a policy that does not move.",
                   .updates = 2000,
                   .arms = {gradient_variance("REINFORCE, no baseline", Plain{}),
                            gradient_variance("RLOO", methods::rloo), gradient_variance("ReMax", methods::remax)},
                   .claims = {others, greedy}});
}

void add_optimum(std::vector<Experiment>& all) {
    auto arm = [](std::string name, bool learns) {
        return Arm{std::move(name), [=](const Trial& trial) {
                       RandomStream stream{Random(trial.seed, Purpose::user)};
                       Logits reference = normal_logits(8, 1, stream), reward = normal_logits(8, 1, stream), best(8);
                       for (std::size_t a = 0; a < 8; ++a) best[a] = reference[a] + reward[a];
                       auto pairs = labelled_pairs(reference, reward, 4000, stream);
                       Logits policy = learns ? fitted(direct_preference(1), reference, pairs, trial) : reference;
                       double distance = total_variation(softmax(policy), softmax(best));
                       return Numbers{{"distance", distance}, {"nearness", -distance}};
                   }};
    };
    all.push_back({.name = "survey-dpo",
                   .paper = "2507.04136, survey",
                   .page = "llm-rl-survey",
                   .setup =
                       "8 answers of normal worth R, 4,000 pairs that Bradley and Terry label, beta 1, 300 steps of "
                       "Adam 0.05. Measured: total variation from reference e^{R / beta} / Z.",
                   .updates = 300,
                   .rates = eight_rates,
                   .tuned_by = "nearness",
                   .arms = {arm("reference", false), arm("DPO", true)},
                   .claims = {{.says = "DPO ends at the optimum of RLHF",
                               .method = "DPO",
                               .baseline = "reference",
                               .number = "distance",
                               .expected = Expected::lower,
                               .least = 0.15}}});
}

void add_margin(std::vector<Experiment>& all) {
    auto arm = [](std::string name, auto method) {
        return Arm{std::move(name), [=](const Trial& trial) {
                       Logits logits = fitted(method, Logits(8), {0, 1}, trial);
                       double margin = logits[0] - logits[1];
                       return Numbers{{"margin", margin}, {"distance from 5", std::abs(margin - 5)}};
                   }};
    };
    Claim grows{.says = "one pair that always wins: DPO's margin leaves every bound",
                .method = "DPO",
                .baseline = "IPO",
                .number = "margin",
                .expected = Expected::higher,
                .least = 85};
    Claim stops = grows;
    stops.says = "IPO's stops at 1 / (2 beta)";
    stops.method = "IPO";
    stops.baseline = "DPO";
    stops.number = "distance from 5";
    stops.expected = Expected::lower;
    all.push_back({.name = "survey-margin",
                   .paper = "2507.04136, survey",
                   .page = "llm-rl-survey",
                   .setup = "One pair, beta 0.1, 10,000 steps of Adam 0.05. Nothing is drawn: every seed is the same.",
                   .updates = 10000,
                   .arms = {arm("DPO", direct_preference(0.1)), arm("IPO", methods::ipo)},
                   .claims = {grows, stops}});
}

/// A policy that leans ever harder on a reward model of few pairs, exactly: reference e^{f / beta} / Z.
void add_hacking(std::vector<Experiment>& all) {
    struct Worth {
        double proxy, truth;
    };
    auto worth = [](const Logits& reference, const Logits& model, const Logits& reward, double beta) {
        Logits tilted(reference.size());
        for (std::size_t a = 0; a < tilted.size(); ++a) tilted[a] = reference[a] + model[a] / beta;
        Logits policy = softmax(tilted);
        return Worth{std::inner_product(policy.begin(), policy.end(), model.begin(), 0.0),
                     std::inner_product(policy.begin(), policy.end(), reward.begin(), 0.0)};
    };
    auto arm = [=](std::string name, auto choose) {
        return Arm{std::move(name), [=](const Trial& trial) {
                       constexpr std::int64_t answers = 200;
                       RandomStream stream{Random(trial.seed, Purpose::user)};
                       Logits reward = normal_logits(answers, 1, stream);
                       Logits reference = normal_logits(answers, 1.2, stream);
                       // Against a uniform reference and with beta 1, DPO is the reward model of Bradley and Terry.
                       Logits model = fitted(direct_preference(1), Logits(answers),
                                             labelled_pairs(reference, reward, 400, stream), trial);
                       const Worth none = worth(reference, model, reward, 1e12);
                       std::vector<Worth> path;
                       for (double beta = 100; beta >= 0.0099; beta /= std::pow(10.0, 0.125)) {
                           Worth here = worth(reference, model, reward, beta);
                           path.push_back({here.proxy - none.proxy, here.truth - none.truth});
                       }
                       Worth here = choose(path);
                       return Numbers{{"gap", here.proxy - here.truth}, {"true reward", here.truth}};
                   }};
    };
    auto at_one = [](const std::vector<Worth>& path) { return path[16]; };  // beta = 1
    auto hardest = [](const std::vector<Worth>& path) { return path.back(); };
    auto best = [](const std::vector<Worth>& path) {
        return *std::max_element(path.begin(), path.end(),
                                 [](const Worth& a, const Worth& b) { return a.truth < b.truth; });
    };
    Claim gap{.says = "the gap between the model's reward and the true one widens with the pressure",
              .method = "beta 0.01",
              .baseline = "beta 1",
              .number = "gap",
              .expected = Expected::higher,
              .least = 0};
    Claim turns = gap;
    turns.says = "the true reward turns down before the end";
    turns.baseline = "best beta";
    turns.number = "true reward";
    turns.expected = Expected::lower;
    all.push_back({.name = "survey-hacking",
                   .paper = "2507.04136, survey",
                   .page = "llm-rl-survey",
                   .setup = "200 answers of normal worth, a reward model fitted to 400 labelled pairs in 300 steps of "
                            "Adam 0.05, the policy reference e^{f / beta} / Z without sampling, beta from 100 to 0.01. "
                            "Both rewards are counted from the reference's.",
                   .updates = 300,
                   .arms = {arm("beta 1", at_one), arm("beta 0.01", hardest), arm("best beta", best)},
                   .claims = {gap, turns}});
}

}  // namespace

/// Four findings of the survey's table; that each of its rows learns is what `roars compare` shows.
void add(std::vector<Experiment>& all) {
    add_variance(all);
    add_optimum(all);
    add_margin(all);
    add_hacking(all);
}

}  // namespace roars::claims::of_survey
