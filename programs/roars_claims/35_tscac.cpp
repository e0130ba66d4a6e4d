#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "claim.hpp"
#include "roars/random.hpp"
#include "roars/regularizer/several_references.hpp"

namespace roars::claims::of_tscac {
namespace {

constexpr std::size_t users = 10, items = 20, cells = users * items;

/// Gamma of a whole shape: a sum of exponentials.
double gamma(RandomStream& random, int shape, double scale) {
    double sum = 0;
    for (int i = 0; i < shape; ++i) sum -= std::log(1.0 - random.uniform());
    return scale * sum;
}

/// Types of users and items: how long an item is watched, how often it is liked, what was logged of it.
struct Log {
    std::vector<double> watch = std::vector<double>(cells), like = watch, behaviour = watch;
    std::vector<double> watch_critic = watch, like_critic = watch;

    explicit Log(std::uint64_t seed) {
        RandomStream random{Random(seed, Purpose::user)};
        for (double& each : watch) each = gamma(random, 4, 0.25);
        for (std::size_t u = 0; u < users; ++u) {
            double mean = 0, sum = 0;
            for (std::size_t i = u * items; i < (u + 1) * items; ++i) mean += watch[i] / items;
            for (std::size_t i = u * items; i < (u + 1) * items; ++i) {
                like[i] = std::min(0.3, 0.02 * gamma(random, 1, 1.0) + (watch[i] < mean ? 0.01 : 0.0));
                sum += behaviour[i] = std::exp(0.5 * random.normal());
            }
            for (std::size_t i = u * items; i < (u + 1) * items; ++i) behaviour[i] /= sum;
        }
        std::vector<double> count(cells);
        for (int row = 0; row < 20000; ++row) {
            std::size_t cell = std::size_t(random.below(users)) * items;
            double left = random.uniform();
            for (std::size_t last = cell + items - 1; cell < last && left >= behaviour[cell]; ++cell)
                left -= behaviour[cell];
            ++count[cell];
            watch_critic[cell] += watch[cell] * gamma(random, 2, 0.5);
            like_critic[cell] += random.uniform() < like[cell] ? 1.0 : 0.0;
        }
        for (std::size_t i = 0; i < cells; ++i)
            if (count[i] > 0) watch_critic[i] /= count[i], like_critic[i] /= count[i];
    }
    /// What a policy truly earns.
    Numbers worth(const std::vector<double>& policy) const {
        Numbers numbers{{"watch", 0.0}, {"like", 0.0}};
        for (std::size_t i = 0; i < cells; ++i) {
            numbers["watch"] += policy[i] * watch[i] / users;
            numbers["like"] += policy[i] * like[i] / users;
        }
        return numbers;
    }
    /// Of every user the policy nearest to `reference` for this multiplier, by these critics.
    std::vector<double> nearest(const std::vector<double>& reference, const std::vector<double>& critic,
                                double multiplier) const {
        std::vector<double> policy(cells), logp(items), advantage(items);
        for (std::size_t u = 0; u < users; ++u) {
            double mean = 0;
            for (std::size_t i = 0; i < items; ++i) mean += behaviour[u * items + i] * critic[u * items + i];
            for (std::size_t i = 0; i < items; ++i) {
                logp[i] = std::log(reference[u * items + i]);
                advantage[i] = critic[u * items + i] - mean;
            }
            regularizer::closest_policy<double>({logp, std::int64_t(items)}, {&multiplier, 1}, advantage,
                                                std::span(policy).subspan(u * items, items));
        }
        return policy;
    }
    std::vector<double> like_policy() const { return nearest(behaviour, like_critic, 0.01); }
    std::vector<double> sum_critic(double weight) const {
        std::vector<double> sum(watch_critic);
        for (std::size_t i = 0; i < cells; ++i) sum[i] += weight * like_critic[i];
        return sum;
    }
};

template <class Policy>
Arm arm(const std::string& name, Policy&& policy) {
    return {name, [=](const Trial& trial) {
                Log log(trial.seed);
                return log.worth(policy(log));
            }};
}

}  // namespace

/// Watch time with the likes kept: between the policy of the likes and that of watch time.
void add(std::vector<Experiment>& all) {
    constexpr double almost_none = 1e-6;  // the multiplier of a policy that only looks at its critic
    auto constrained = [](double multiplier) {
        return [=](const Log& log) { return log.nearest(log.like_policy(), log.watch_critic, multiplier); };
    };
    auto greedy = [](double weight) {
        return [=](const Log& log) { return log.nearest(log.behaviour, log.sum_critic(weight), almost_none); };
    };
    Claim watch{.says = "lambda 0.1: half as much again is watched",
                .method = "TSCAC 0.1",
                .baseline = "behaviour",
                .number = "watch",
                .least = 0.5,
                .as_share = true};
    Claim like = watch, alone = watch, sum = watch;
    like.says = "and a tenth more is liked";
    like.number = "like", like.least = 0.1;
    alone.says = "watch time alone costs likes";
    alone.method = "watch time alone", alone.number = "like", alone.expected = Expected::lower, alone.least = 0.15;
    sum = alone;
    sum.says = "so does the sum of both critics";
    sum.method = "sum, weight 1";
    std::vector<Claim> claims{watch, like, alone, sum};
    const std::vector<std::string> arms{"TSCAC 1", "TSCAC 0.3", "TSCAC 0.1", "TSCAC 0.03", "TSCAC 0.01"};
    for (std::size_t k = 1; k < arms.size(); ++k) {
        claims.push_back({.says = "a smaller lambda is watched more",
                          .method = arms[k],
                          .baseline = arms[k - 1],
                          .number = "watch"});
        claims.push_back({.says = "and liked less",
                          .method = arms[k],
                          .baseline = arms[k - 1],
                          .number = "like",
                          .expected = Expected::lower});
    }
    all.push_back(
        {.name = "tscac",
         .paper = "2302.01680, TSCAC",
         .page = "tscac",
         .setup = "10 types of users, 20 items, one step: 20,000 logged rows, critics are their means. The like policy "
                  "is near the behaviour, then the main policy near it, in closed form. Measured: true watch time and "
                  "likes.",
         .arms = {arm("behaviour", [](const Log& log) { return log.behaviour; }),
                  arm("like policy", [](const Log& log) { return log.like_policy(); }),
                  arm("watch time alone", greedy(0)), arm("sum, weight 1", greedy(1)),
                  arm("sum, weight 10", greedy(10)), arm(arms[0], constrained(1)), arm(arms[1], constrained(0.3)),
                  arm(arms[2], constrained(0.1)), arm(arms[3], constrained(0.03)), arm(arms[4], constrained(0.01))},
         .claims = claims,
         .seeds = 8});
}

}  // namespace roars::claims::of_tscac
