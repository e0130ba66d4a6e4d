#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "claim.hpp"
#include "roars/critic/implicit_maximiser.hpp"
#include "roars/critic/recoil.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/random.hpp"

namespace roars::claims::of_dual_rl {
namespace {

// One state, whose actions in the data are worth 0, 1/2 or 1; one in a hundred is far too good to be true.

double any_worth(RandomStream& random) {
    double u = random.uniform();
    double worth = (u < 0.6 ? 0.0 : u < 0.9 ? 0.5 : 1.0) + 0.1 * random.normal();
    return random.uniform() < 0.01 ? worth - 3.0 * std::log(1.0 - random.uniform()) : worth;
}

/// e^z - z - 1, z = min(x / temperature, clip): Gumbel regression as it is written (arXiv 2301.02328, eq. 11), without
/// the largest element taken out that critic::GumbelRegression has.
struct PlainGumbel {
    double temperature = 1.0;
    double clip = 5.0;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::q>;
    using differentiates = columns<col::value>;

    template <class X>
    Loss<value_t<X>> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V one(Real(1)), bound(static_cast<Real>(clip)), rate(static_cast<Real>(1.0 / temperature));
        V raw = (x[col::q{}] - x[col::value{}]) * rate, z = math::min(raw, bound), rise = math::exp(z);
        return {rise - z - one, {math::select(raw <= bound, rate * (one - rise), V(Real(0)))}};
    }
};

template <class Term>
Numbers learn_value(const Term& term, const Trial& trial) {
    using Rows = Batch<double, columns<col::value, col::q, col::grad<col::value>>>;
    Rows batch(std::vector<std::int64_t>{0, 32});
    backend::Host host;
    Run run{host};
    RandomStream random{Random(trial.seed, Purpose::user)};
    double value = 0;
    for (std::int64_t i = 0; i < trial.updates && std::abs(value) <= 1000; ++i) {
        for (double& q : batch[col::q{}]) q = any_worth(random);
        for (double& v : batch[col::value{}]) v = value;
        Term bound = term;
        if constexpr (requires { term.with(term.reduce(run, batch)); }) bound = term.with(term.reduce(run, batch));
        evaluate(host, batch, {count(host, batch)}, Weighed<Term, aggregate::TokenMean>{bound, {}});
        for (double slope : batch[col::grad<col::value>{}]) value -= 0.02 * trial.rate * slope;
    }
    bool diverged = !(std::abs(value) <= 1000);
    return {{"value", diverged ? 1000.0 : value}, {"diverged", diverged ? 1.0 : 0.0}};
}
template <class Term>
Arm value_arm(const std::string& name, const Term& term) {
    return {name, [=](const Trial& trial) { return learn_value(term, trial); }};
}

Experiment value_experiment() {
    using ChiSquare = critic::ImplicitMaximiser<f_divergence::ChiSquare>;
    using Variation = critic::ImplicitMaximiser<f_divergence::TotalVariation>;
    constexpr double unclipped = std::numeric_limits<double>::infinity();
    Claim raised{.says = "the value rises with tau: 0.8 above 0.5",
                 .method = "chi-square 0.8",
                 .baseline = "chi-square 0.5",
                 .number = "value"};
    Claim higher = raised, there = raised, variation = raised, stable = raised;
    higher.says = "0.95 above 0.8";
    higher.method = "chi-square 0.95", higher.baseline = "chi-square 0.8";
    there.says = "at 0.95 it is the best action's worth, but for 0.1";
    there.method = "chi-square 0.95", there.baseline = "the best action";
    there.expected = Expected::same, there.least = 0.1;
    variation = there;
    variation.says = "so it is with total variation";
    variation.method = "total variation 0.95";
    stable.says = "Gumbel regression as it is written diverges, f-DVL does not";
    stable.method = "Gumbel 0.3", stable.baseline = "chi-square 0.95";
    stable.number = "diverged", stable.least = 0.75;
    return {.name = "f-dvl-value",
            .paper = "2302.08560, Dual RL: f-DVL",
            .page = "dual-rl",
            .setup =
                "One state, actions worth 0, 0.5 or 1 (60, 30, 10 %) and noise of 0.1, one in a hundred far off. "
                "4,000 plain steps of 0.02 on batches of 32.",
            .updates = 4000,
            .arms = {value_arm("chi-square 0.5", ChiSquare{0.5}),
                     value_arm("chi-square 0.8", ChiSquare{0.8}),
                     value_arm("chi-square 0.95", ChiSquare{0.95}),
                     value_arm("total variation 0.8", Variation{0.8}),
                     value_arm("total variation 0.95", Variation{0.95}),
                     value_arm("Gumbel 0.3", PlainGumbel{0.3, unclipped}),
                     value_arm("Gumbel 0.1, clip 5", PlainGumbel{0.1, 5.0}),
                     value_arm("Gumbel 0.3, largest taken out", critic::GumbelRegression{0.3, unclipped}),
                     {"the best action",
                      [](const Trial&) {
                          return Numbers{{"value", 1.0}, {"diverged", 0.0}};
                      }}},
            .claims = {raised, higher, there, variation, stable},
            .seeds = 8};
}

// A grid of 6 x 6 cells; a move slips to a random one with probability 0.3; the goal is the last cell, which holds.

constexpr std::int64_t side = 6, cells = side * side, moves = 4;
struct Row {
    std::int64_t state, action, next;
};
std::int64_t step(std::int64_t cell, std::int64_t action, RandomStream& random) {
    if (cell == cells - 1) return cell;
    if (random.uniform() < 0.3) action = random.below(moves);
    std::int64_t row = cell / side, column = cell % side;
    if (action == 0) column = std::min(column + 1, side - 1);
    if (action == 1) row = std::min(row + 1, side - 1);
    if (action == 2) column = std::max<std::int64_t>(column - 1, 0);
    if (action == 3) row = std::max<std::int64_t>(row - 1, 0);
    return row * side + column;
}
std::int64_t expert(std::int64_t cell) { return cell % side < side - 1 ? 0 : 1; }

struct Imitation {
    std::vector<Row> expert_rows, other_rows;

    Imitation(std::int64_t trajectories, RandomStream& random) {
        for (std::int64_t k = 0; k < trajectories; ++k) walk(0, expert, expert_rows, random);
        auto any = [&](std::int64_t) { return random.below(moves); };
        for (int k = 0; k < 100; ++k) walk(random.below(cells), any, other_rows, random);
    }
    template <class Policy>
    static void walk(std::int64_t cell, Policy&& policy, std::vector<Row>& rows, RandomStream& random) {
        for (int t = 0; t < 30; ++t) {
            Row row{cell, policy(cell), 0};
            row.next = cell = step(cell, row.action, random);
            rows.push_back(row);
        }
    }
};
/// How often the goal is reached in 14 steps from a random cell; of equal scores a random action.
double success_of(const std::vector<double>& score, RandomStream& random) {
    double reached = 0;
    constexpr int episodes = 1000;
    for (int k = 0; k < episodes; ++k) {
        std::int64_t cell = random.below(cells);
        for (int t = 0; t < 14; ++t) {
            auto first = score.begin() + cell * moves;
            double best = *std::max_element(first, first + moves);
            std::int64_t ties = std::count(first, first + moves, best), pick = random.below(ties), action = 0;
            while (first[action] != best || pick-- > 0) ++action;
            cell = step(cell, action, random);
        }
        reached += cell == cells - 1;
    }
    return reached / episodes;
}
Numbers clone(std::int64_t trajectories, const Trial& trial) {
    RandomStream random{Random(trial.seed, Purpose::user)};
    Imitation data(trajectories, random);
    std::vector<double> count(cells * moves);
    for (const Row& row : data.expert_rows) count[std::size_t(row.state * moves + row.action)] += 1;
    return {{"success", success_of(count, random)}};
}
Numbers recoil(std::int64_t trajectories, const Trial& trial) {
    RandomStream random{Random(trial.seed, Purpose::user)};
    Imitation data(trajectories, random);
    std::vector<Row> mixture = data.expert_rows;
    mixture.insert(mixture.end(), data.other_rows.begin(), data.other_rows.end());
    std::vector<double> q(cells * moves), policy(q), slope(q), value(cells), done(mixture.size());
    std::vector<double> q_expert(data.expert_rows.size()), q_policy(data.other_rows.size()), q_mixture(mixture.size()),
        next(mixture.size()), by_expert(q_expert), by_policy(q_policy), by_mixture(q_mixture);
    critic::Recoil part{.gamma = 0.95, .beta = 0.5};
    backend::Host host;
    auto at = [](const Row& row) { return std::size_t(row.state * moves + row.action); };
    for (std::int64_t update = 0; update < trial.updates; ++update) {
        for (std::size_t s = 0; s < std::size_t(cells); ++s) {
            double best = *std::max_element(&q[s * 4], &q[s * 4] + 4), sum = 0;
            value[s] = 0;
            for (std::size_t a = s * 4; a < s * 4 + 4; ++a) sum += policy[a] = std::exp((q[a] - best) / 0.1);
            for (std::size_t a = s * 4; a < s * 4 + 4; ++a) value[s] += (policy[a] /= sum) * q[a];
        }
        for (std::size_t i = 0; i < q_expert.size(); ++i) q_expert[i] = q[at(data.expert_rows[i])];
        for (std::size_t i = 0; i < q_policy.size(); ++i) q_policy[i] = value[std::size_t(data.other_rows[i].state)];
        for (std::size_t i = 0; i < mixture.size(); ++i)
            q_mixture[i] = q[at(mixture[i])], next[i] = value[std::size_t(mixture[i].next)];
        part.loss<double>(host, {q_expert, q_policy, q_mixture, next, done}, {by_expert, by_policy, by_mixture});
        std::fill(slope.begin(), slope.end(), 0.0);
        for (std::size_t i = 0; i < q_expert.size(); ++i) slope[at(data.expert_rows[i])] += by_expert[i];
        for (std::size_t i = 0; i < mixture.size(); ++i) slope[at(mixture[i])] += by_mixture[i];
        for (std::size_t i = 0; i < q_policy.size(); ++i)
            for (std::size_t a = 0; a < 4; ++a) {
                std::size_t cell = std::size_t(data.other_rows[i].state) * 4 + a;
                slope[cell] += by_policy[i] * policy[cell];
            }
        for (std::size_t i = 0; i < q.size(); ++i) q[i] -= 0.05 * double(cells) * trial.rate * slope[i];
    }
    return {{"success", success_of(q, random)}};
}

Experiment recoil_experiment() {
    auto arm = [](const char* name, auto learn, std::int64_t trajectories) {
        return Arm{name, [=](const Trial& trial) { return learn(trajectories, trial); }};
    };
    Claim one{.says = "one expert trajectory and random data beat cloning it",
              .method = "ReCOIL",
              .baseline = "cloning",
              .number = "success",
              .least = 0.2};
    Claim three = one;
    three.says = "so it is with three";
    three.method = "ReCOIL, 3 trajectories", three.baseline = "cloning, 3 trajectories";
    return {.name = "recoil",
            .paper = "2302.08560, Dual RL: ReCOIL",
            .page = "dual-rl",
            .setup =
                "A grid of 6 x 6, moves slip with 0.3; the expert goes right, then down: 1 trajectory of 30 steps; "
                "100 random ones. 3,000 plain steps on a table. Measured: the goal in 14 steps from any cell.",
            .updates = 3000,
            .arms = {arm("cloning", clone, 1), arm("ReCOIL", recoil, 1), arm("cloning, 3 trajectories", clone, 3),
                     arm("ReCOIL, 3 trajectories", recoil, 3)},
            .claims = {one, three}};
}

}  // namespace

void add(std::vector<Experiment>& all) {
    all.push_back(value_experiment());
    all.push_back(recoil_experiment());
}

}  // namespace roars::claims::of_dual_rl
