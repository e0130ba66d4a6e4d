#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "claim.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/metrics/coverage.hpp"
#include "roars/metrics/dataset_quality.hpp"

namespace roars::claims::of_dataset_perspective {
namespace {

constexpr std::int32_t states = 36, actions = 4;
constexpr std::size_t pairs = states * actions;
constexpr double discount = 0.95;
using World = env::GridWorld<6, 6, 60>;
using Policy = std::array<double, pairs>;

std::size_t at(std::int32_t state, std::int32_t action) { return std::size_t(state * actions + action); }

struct Rows {
    std::vector<std::int32_t> state, action, next;
    std::vector<double> reward, terminated, done;
    std::size_t count() const { return state.size(); }

    void append(const Rows& from, std::size_t first, std::size_t last) {
        auto part = [&](auto& to, const auto& values) {
            to.insert(to.end(), values.begin() + std::ptrdiff_t(first), values.begin() + std::ptrdiff_t(last));
        };
        part(state, from.state), part(action, from.action), part(next, from.next);
        part(reward, from.reward), part(terminated, from.terminated), part(done, from.done);
    }
};

/// `count` steps; before each the policy is asked as choose(state, random), behind each told as learn(rows).
template <class Choose, class Learn>
Rows walk(const World& world, std::size_t count, std::uint64_t seed, Choose&& choose, Learn&& learn) {
    auto episode = env::Episode<World>::of(seed);
    RandomStream random(Random(seed, Purpose::sample));
    Rows rows;
    episode.reset(world);
    while (rows.count() < count) {
        const std::int32_t from = world.index(episode.state), action = choose(from, random);
        const auto result = episode.step(world, action);
        rows.state.push_back(from), rows.action.push_back(action), rows.next.push_back(world.index(episode.state));
        rows.reward.push_back(result.reward), rows.terminated.push_back(result.terminated);
        rows.done.push_back(result.ended());
        learn(rows);
        if (result.ended()) episode.reset(world);
    }
    return rows;
}

template <class Values>
std::int32_t best_action(const Values& q, std::int32_t state) {
    auto first = q.begin() + std::ptrdiff_t(at(state, 0));
    return static_cast<std::int32_t>(std::max_element(first, first + actions) - first);
}
/// One of the best, each as likely: where nothing is known yet, a walk at random.
std::int32_t any_best_action(const Policy& q, std::int32_t state, RandomStream& random) {
    const double best = q[at(state, best_action(q, state))];
    std::array<std::int32_t, actions> equal{};
    std::int64_t found = 0;
    for (std::int32_t a = 0; a < actions; ++a)
        if (q[at(state, a)] == best) equal[std::size_t(found++)] = a;
    return equal[std::size_t(random.below(found))];
}
Policy greedy(const Policy& q) {
    Policy policy{};
    for (std::int32_t s = 0; s < states; ++s) policy[at(s, best_action(q, s))] = 1.0;
    return policy;
}

class Study {
public:
    explicit Study(std::uint64_t seed) : table_(world_.table()) {
        const std::size_t half = count / 2;
        Policy q{};
        auto explore = [&](double share) {
            return [&q, share](std::int32_t s, RandomStream& random) {
                return random.uniform() < share ? static_cast<std::int32_t>(random.below(actions))
                                                : any_best_action(q, s, random);
            };
        };
        std::size_t step = 0;
        auto online = [&](std::int32_t s, RandomStream& random) {
            double share = step < half ? 1.0 - 0.95 * double(step) / double(half) : 0.05;
            ++step;
            return explore(share)(s, random);
        };
        auto learn = [&](const Rows& rows) {
            const std::int32_t s = rows.state.back(), a = rows.action.back(), next = rows.next.back();
            double later = rows.terminated.back() != 0 ? 0.0 : discount * q[at(next, best_action(q, next))];
            q[at(s, a)] += 0.5 * (rows.reward.back() + later - q[at(s, a)]);
            if (rows.count() % 200 == 0) online_ = std::max(online_, worth(greedy(q)));
        };
        auto nothing = [](const Rows&) {};
        const std::uint64_t own = 10 * seed;
        Rows replay = walk(world_, count, own, online, learn),
             random = walk(world_, count, own + 1, explore(1.0), nothing),
             noisy = walk(world_, count, own + 2, explore(0.2), nothing),
             expert = walk(world_, count, own + 3, explore(0.0), nothing), mixed;
        mixed.append(random, 0, count * 4 / 5);
        mixed.append(expert, count * 4 / 5, count);
        sets = {random, mixed, replay, noisy, expert};
        describe();
        unseen_ = RandomStream(Random(seed, Purpose::user));
    }

    static constexpr std::size_t count = 8000;
    static constexpr std::array<const char*, 5> names{"random", "mixed", "replay", "noisy", "expert"};
    std::array<Rows, 5> sets;
    std::vector<double> quality, coverage;

    /// (return - random) / (online - random), exactly.
    double score(const Policy& policy) {
        return metrics::study_score(host_, std::array{worth(policy)}, 1, random_, online_);
    }
    double correlation(const std::vector<double>& scores, const std::vector<double>& of) {
        return metrics::correlation(host_, scores, of);
    }

    static Policy clone(const Rows& rows) {
        Policy policy = count_of(rows);
        for (std::int32_t s = 0; s < states; ++s) {
            double sum = 0.0;
            for (std::int32_t a = 0; a < actions; ++a) sum += policy[at(s, a)];
            for (std::int32_t a = 0; a < actions; ++a)
                policy[at(s, a)] = sum > 0.0 ? policy[at(s, a)] / sum : 1.0 / actions;
        }
        return policy;
    }
    /// Q iteration on the rows; values of pairs that they lack are uniform in [0, 1), as an extrapolation might say.
    /// Actions rarer than `least` times the most frequent one of their state are not taken.
    Policy iterate(const Rows& rows, double least) {
        const Policy seen = count_of(rows);
        Policy q{}, allowed{};
        for (double& each : q) each = unseen_.uniform();
        for (std::int32_t s = 0; s < states; ++s) {
            double most = *std::max_element(seen.begin() + std::ptrdiff_t(at(s, 0)),
                                            seen.begin() + std::ptrdiff_t(at(s, 0)) + actions);
            for (std::int32_t a = 0; a < actions; ++a)
                allowed[at(s, a)] = most == 0.0 || seen[at(s, a)] > least * most || least == 0.0;
        }
        auto held = [&](std::int32_t s) {
            std::array<double, pairs> own{};
            for (std::int32_t a = 0; a < actions; ++a) own[at(s, a)] = allowed[at(s, a)] != 0.0 ? q[at(s, a)] : -1.0;
            return best_action(own, s);
        };
        for (int sweep = 0; sweep < 400; ++sweep)
            for (std::size_t i = 0; i < pairs; ++i) {
                if (seen[i] == 0.0) continue;
                auto [reward, next, ends] = outcome(i);
                q[i] = reward + (ends ? 0.0 : discount * q[at(next, held(next))]);
            }
        Policy policy{};
        for (std::int32_t s = 0; s < states; ++s) policy[at(s, held(s))] = 1.0;
        return policy;
    }

private:
    struct Outcome {
        double reward;
        std::int32_t next;
        bool ends;
    };
    Outcome outcome(std::size_t pair) const {
        auto i = static_cast<std::size_t>(table_.offsets[pair]);
        return {table_.reward[i], table_.next[i], table_.terminated[i] != 0};
    }
    static Policy count_of(const Rows& rows) {
        Policy seen{};
        for (std::size_t i = 0; i < rows.count(); ++i) seen[at(rows.state[i], rows.action[i])] += 1.0;
        return seen;
    }
    /// Expected discounted return from the start within the time limit.
    double worth(const Policy& policy) const {
        std::array<double, states> value{};
        for (int step = 0; step < World::max_steps; ++step) {
            std::array<double, states> before{};
            for (std::size_t i = 0; i < pairs; ++i) {
                auto [reward, next, ends] = outcome(i);
                before[i / actions] += policy[i] * (reward + (ends ? 0.0 : discount * value[std::size_t(next)]));
            }
            value = before;
        }
        return value[0];
    }
    void describe() {
        auto mean_return = [&](const Rows& rows) {
            auto returns = metrics::trajectory_returns(host_, rows.reward, rows.done, discount);
            return returns.empty() ? 0.0 : moments(host_, std::span<const double>(returns)).mean;
        };
        auto unique = [&](const Rows& rows) {
            std::vector<std::int32_t> features;
            for (std::size_t i = 0; i < rows.count(); ++i)
                features.insert(features.end(), {rows.state[i], rows.action[i]});
            return metrics::distinct_rows(features, 2);
        };
        random_ = mean_return(sets[0]);
        const double best = std::max(online_, mean_return(sets[4]));
        for (const Rows& rows : sets) {
            auto returns = metrics::trajectory_returns(host_, rows.reward, rows.done, discount);
            quality.push_back(metrics::trajectory_quality(host_, returns, random_, best));
            coverage.push_back(metrics::Coverage{unique(rows), unique(sets[2])}.ratio());
        }
    }

    backend::Host host_;
    World world_{.map = "SFFFFFFFFFFF####FFFFFFFFFF###FFFFFFG"};
    env::TabularMdp<states, actions, 60> table_;
    double random_ = 0.0, online_ = 0.0;
    RandomStream unseen_;
};

template <class Learner>
Arm learner(std::string name, Learner learn) {
    return {std::move(name), [=](const Trial& trial) {
                Study study(trial.seed);
                std::vector<double> scores;
                Numbers numbers;
                for (std::size_t i = 0; i < study.sets.size(); ++i) {
                    stop_if_interrupted();
                    scores.push_back(study.score(learn(study, study.sets[i])));
                    numbers[Study::names[i]] = scores.back();
                    numbers[std::string("quality of ") + Study::names[i]] = study.quality[i];
                    numbers[std::string("coverage of ") + Study::names[i]] = study.coverage[i];
                }
                numbers["worst"] = *std::min_element(scores.begin(), scores.end());
                auto correlate = [&](const char* number, const std::vector<double>& of) {
                    double found = study.correlation(scores, of);
                    if (std::isfinite(found)) numbers[number] = found;  // one that is best everywhere has none
                };
                correlate("correlation with quality", study.quality);
                correlate("correlation with coverage", study.coverage);
                return numbers;
            }};
}

}  // namespace

/// Cloning needs data of good behaviour, an unconstrained learner data that covers the problem, a constrained one
/// either.
void add(std::vector<Experiment>& all) {
    auto higher = [](std::string says, std::string method, std::string baseline, std::string number, double least) {
        return Claim{.says = std::move(says),
                     .method = std::move(method),
                     .baseline = std::move(baseline),
                     .number = std::move(number),
                     .expected = Expected::higher,
                     .least = least};
    };
    all.push_back(
        {.name = "dataset-perspective",
         .paper = "2111.04714, SACo and TQ",
         .page = "dataset-perspective",
         .setup =
             "A 6 x 6 grid with two walls, 60 steps, gamma 0.95. Tabular Q-learning of 8,000 steps makes five data "
             "sets of 8,000 rows: random, mixed, replay, noisy, expert. BC: the frequencies. DQN: Q iteration on "
             "the rows, pairs that they lack are worth something random. BCQ: the same among frequent actions.",
         .arms = {learner("BC", [](Study&, const Rows& rows) { return Study::clone(rows); }),
                  learner("DQN", [](Study& study, const Rows& rows) { return study.iterate(rows, 0.0); }),
                  learner("BCQ", [](Study& study, const Rows& rows) { return study.iterate(rows, 0.3); })},
         .claims = {higher("cloning follows quality", "BC", "DQN", "correlation with quality", 0.9),
                    higher("the unconstrained learner follows coverage", "DQN", "BC", "correlation with coverage", 0.6),
                    higher("on expert data cloning is best", "BC", "DQN", "expert", 0.7),
                    higher("on random data it is worst", "DQN", "BC", "random", 0.8),
                    higher("the constrained one does well on all", "BCQ", "DQN", "worst", 0.5),
                    higher("also where cloning does not", "BCQ", "BC", "worst", 0.5)},
         .seeds = 8});
}

}  // namespace roars::claims::of_dataset_perspective
