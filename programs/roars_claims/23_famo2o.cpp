#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "claim.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/random.hpp"

namespace roars::claims::of_famo2o {
namespace {

constexpr std::size_t contexts = 40, actions = 10;
constexpr std::array<double, 6> family{0.5, 1, 2, 4, 8, 16};

/// Twenty contexts with an expert's data and much noise, twenty with any data and little noise; two critics, each the
/// mean of a random half of the data.
struct Contexts {
    std::vector<double> mean = std::vector<double>(contexts * actions), frequency = mean, count = mean;
    std::array<std::vector<double>, 2> sum{mean, mean}, number{mean, mean};
    RandomStream random;

    explicit Contexts(std::uint64_t seed) : random(Random(seed, Purpose::user)) {
        for (double& each : mean) each = random.uniform();
        for (std::size_t c = 0; c < contexts; ++c) {
            auto own = mean.begin() + std::ptrdiff_t(c * actions);
            auto best = std::size_t(std::max_element(own, own + actions) - own);
            for (int row = 0; row < 80; ++row) {
                std::size_t action = std::size_t(random.below(actions));
                if (c < contexts / 2 && random.uniform() < 0.8) action = best;
                observe(c, action);
            }
        }
    }
    void observe(std::size_t context, std::size_t action) {
        std::size_t cell = context * actions + action, half = std::size_t(random.below(2));
        sum[half][cell] += mean[cell] + (context < contexts / 2 ? 3.0 : 0.3) * random.normal();
        ++number[half][cell];
        ++count[cell];
    }
    double critic(std::size_t which, std::size_t cell) const {
        return (sum[which][cell] + 0.5) / (number[which][cell] + 1);
    }
    /// How the data acts in a context.
    std::array<double, actions> data(std::size_t context) const {
        std::array<double, actions> share{};
        double all = 0;
        for (std::size_t a = 0; a < actions; ++a) all += share[a] = count[context * actions + a] + 0.1;
        for (double& each : share) each /= all;
        return share;
    }
    /// The member of the family with this balance: data times exp(balance advantage).
    std::array<double, actions> policy(std::size_t context, double balance) const {
        auto share = data(context);
        std::array<double, actions> q{};
        double value = 0, all = 0;
        for (std::size_t a = 0; a < actions; ++a) {
            q[a] = 0.5 * (critic(0, context * actions + a) + critic(1, context * actions + a));
            value += share[a] * q[a];
        }
        for (std::size_t a = 0; a < actions; ++a)
            all += share[a] *= advantage::exponential_weight(q[a] - value, balance, 1e30);
        for (double& each : share) each /= all;
        return share;
    }
    /// The balance whose member is worth most, as the smaller of the two critics sees it, or in truth.
    double chosen(std::size_t context, bool truly) const {
        double best = family[0], most = -1e9;
        for (double balance : family) {
            auto share = policy(context, balance);
            double worth = 0;
            for (std::size_t a = 0; a < actions; ++a) {
                std::size_t cell = context * actions + a;
                worth += share[a] * (truly ? mean[cell] : std::min(critic(0, cell), critic(1, cell)));
            }
            if (worth > most) most = worth, best = balance;
        }
        return best;
    }
};

/// 4,000 interactions in random contexts, the policy made anew every 200.
template <class Balance>
Numbers run(const Balance& balance, const Trial& trial) {
    Contexts world(trial.seed);
    std::vector<std::array<double, actions>> policy(contexts);
    Numbers numbers;
    double over_time = 0, measured = 0;
    auto plan = [&] {
        double worth = 0;
        for (std::size_t c = 0; c < contexts; ++c) {
            policy[c] = world.policy(c, balance(world, c));
            for (std::size_t a = 0; a < actions; ++a) worth += policy[c][a] * world.mean[c * actions + a] / contexts;
        }
        over_time += worth, ++measured;
        return worth;
    };
    numbers["offline"] = plan();
    for (std::size_t c = 0; c < contexts; ++c)
        numbers["balance_gap"] += balance(world, c) / (contexts / 2) * (c < contexts / 2 ? -1 : 1);
    for (std::int64_t t = 0; t < trial.updates; ++t) {
        std::size_t context = std::size_t(world.random.below(contexts)), action = 0;
        double left = world.random.uniform();
        while (action + 1 < actions && left >= policy[context][action]) left -= policy[context][action++];
        world.observe(context, action);
        if ((t + 1) % 200 == 0) numbers["end"] = plan();
    }
    numbers["over_time"] = over_time / measured;
    return numbers;
}

}  // namespace

/// A family trained once, and a member chosen for each state.
void add(std::vector<Experiment>& all) {
    auto fixed = [](const char* name, double balance) {
        return Arm{name, [=](const Trial& trial) {
                       return run([=](const Contexts&, std::size_t) { return balance; }, trial);
                   }};
    };
    auto chosen = [](const char* name, bool truly) {
        return Arm{name, [=](const Trial& trial) {
                       return run([=](const Contexts& world, std::size_t c) { return world.chosen(c, truly); }, trial);
                   }};
    };
    Claim offline{.says = "the best fixed balance is worse offline",
                  .method = "chosen by the critics",
                  .baseline = "fixed 16",
                  .number = "offline",
                  .least = 0.03};
    Claim time = offline, gap = offline;
    time.says = "and in the mean over the online phase";
    time.number = "over_time", time.least = 0;
    gap.says = "chosen in truth: what a balance for each state can gain";
    gap.method = "chosen in truth", gap.least = 0.1;
    Claim data = offline;
    data.says = "the balance chosen is larger where the data is poor: the mean difference";
    data.number = "balance_gap", data.least = 1;
    all.push_back({.name = "famo2o",
                   .paper = "2310.17966, FamO2O",
                   .page = "famo2o",
                   .setup =
                       "40 contexts, 10 actions, 80 rows each: 20 with an expert's data and noise of 3, 20 with any "
                       "data and noise of 0.3. Then 4,000 interactions. Measured: true mean reward.",
                   .updates = 4000,
                   .arms = {fixed("fixed 0.5", 0.5), fixed("fixed 4", 4), fixed("fixed 8", 8), fixed("fixed 16", 16),
                            chosen("chosen by the critics", false), chosen("chosen in truth", true)},
                   .claims = {offline, time, gap, data},
                   .seeds = 8});
}

}  // namespace roars::claims::of_famo2o
