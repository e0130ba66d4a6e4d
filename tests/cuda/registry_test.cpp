#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/against_host.hpp"
#include "roars/methods/registry.hpp"
#include "roars/type_name.hpp"

/// Every method of the registry gives on a device, in loops on the host, what it gives on the host.
namespace roars::gpu {
namespace {

using D = EmulatedIn<Order::shuffled>;

/// Pairs where a method asks for them: the host throws at anything else.
template <class A, class BatchType>
bool fits(const A& algorithm, BatchType batch) {
    backend::Host cpu;
    roars::Run run{cpu};
    typename A::State state{};
    try {
        algorithm.score(run, state, batch);
        algorithm.estimate(run, state, batch);
        static_cast<void>(algorithm.objective(run, state, batch));
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("expected a pair"), std::string::npos) << error.what();
        return false;
    }
    return true;
}
/// Rows of control: 3 numbers of a state, 2 of an action or of 3 actions, 4 quantiles.
template <class Column>
constexpr std::int64_t width_of() {
    using namespace col;
    if constexpr (contains_v<Column, columns<state, next_state, task, next_action_values, next_target_values, logits,
                                             action_values, problem_shape>>)
        return 3;
    else if constexpr (contains_v<Column, columns<action, policy_action, next_policy_action, next_target_action,
                                                  q_gradient, model_action, balanced_action, action_by_balance,
                                                  proposed_action, next_proposed_action, neighbour_action>>)
        return 2;
    else if constexpr (contains_v<Column, columns<quantiles, target_quantiles>>)
        return 4;
    else if constexpr (contains_v<Column, columns<known_reward>>)
        return 8;
    else if constexpr (contains_v<Column, columns<next_target_quantiles>>)
        return 12;
    else if constexpr (contains_v<Column, columns<policy_samples, model_samples>>)
        return 6;
    else if constexpr (contains_v<Column, columns<sampled_action>>)
        return 6;
    else if constexpr (contains_v<Column, columns<sampled_logp>>)
        return 3;
    else
        return 1;
}
template <class Real, class Set>
auto control_batch() {
    constexpr bool finite = contains_v<col::problem_shape, Set>;  // of 2 steps, 2 states, 2 actions
    roars::Batch<Real, Set> batch(finite ? std::vector<std::int64_t>{0, 2, 4, 6}
                                         : std::vector<std::int64_t>{0, 4, 4, 7, 24});
    if constexpr (contains_v<col::turns, Set>) {
        batch.set_offsets(col::turns{}, std::vector<std::int64_t>{0, 2, 4, 5, 7, 20, 24});
        batch.set_offsets(col::turn_owner{}, std::vector<std::int64_t>{0, 2, 2, 4, 6});
    }
    std::mt19937 engine(5);
    for_each_column(Set{}, [&]<class C>(C column) {
        constexpr std::int64_t width = finite && C::extent == Extent::token ? 1 : width_of<C>();
        if constexpr (C::kind != Kind::offsets && width > 1) batch.set_width(column, width);
    });
    fill(batch, engine, Set{});
    if constexpr (contains_v<col::token, Set>)
        for (auto& action : batch[col::token{}]) action %= 2;
    if constexpr (finite) {
        for (auto& extent : batch[col::problem_shape{}]) extent = 2;
        for (auto& state : batch[col::state{}]) state = state > Real(0) ? Real(1) : Real(0);
    }
    return batch;
}

/// Networks as small as the rows.
template <class Critics>
void make_small(Critics& critics) {
    if constexpr (requires { critics.network.width; }) critics.network.width = 8;
    if constexpr (requires { critics.value_network.width; }) critics.value_network.width = 8;
    if constexpr (requires { critics.model.width; }) critics.model.width = 8;
    if constexpr (requires { critics.critics.network; }) make_small(critics.critics);
    if constexpr (requires { critics.base.network; }) make_small(critics.base);
    if constexpr (requires { critics.forward.width; }) {
        critics.forward.width = critics.backward.width = 8;
        critics.dimensions = 3;
    }
    if constexpr (requires { critics.memory.units; }) critics.memory = {.length = 3, .backward_length = 2, .units = 4};
}

template <class A>
auto batch_for(const A& algorithm) {
    using Set = WithMask<A>;
    auto make = [&](const std::vector<std::int64_t>& groups) {
        auto batch = random_batch<double, Set>(groups);
        // TSCAC: a row of references, and of responses, for each token.
        if constexpr (requires { algorithm.optimizer.surrogate.multiplier; }) {
            batch.set_width(col::logp_ref{}, std::ssize(algorithm.optimizer.surrogate.multiplier));
            double x = 0.0;
            for (auto& logp : batch[col::logp_ref{}]) logp = -1.0 + 0.5 * std::sin(x += 1.0);
        }
        if constexpr (requires { algorithm.reward.index; }) {
            batch.set_width(col::step_reward{}, 1 + algorithm.reward.index);
            double x = 0.0;
            for (auto& reward : batch[col::step_reward{}]) reward = std::cos(x += 1.0);
        }
        // Three constraints; four criteria.
        for_each_column(common_t<Set, columns<col::constraints, col::rubric>>{}, [&](auto column) {
            batch.set_width(column, std::is_same_v<decltype(column), col::constraints> ? 12 : 8);
            int k = 0;
            for (auto& number : batch[column]) number = 5 * ++k % 7 % 4 - 1;
        });
        return batch;
    };
    auto any = make(group_offsets);
    return fits(algorithm, any) ? any : make(pair_offsets);
}

template <class A>
void check(std::string_view name, const A& algorithm) {
    SCOPED_TRACE(std::string(name));
    if constexpr (runs_on_device<A>) expect_the_hosts<D>(algorithm, batch_for(algorithm), 1e-10);
}
/// A part without its template's arguments: advantage::ActionCritics.
template <class Part>
std::string name_of() {
    std::string name = type_name<Part>();
    return name.substr(0, name.find('<'));
}

/// What of a method is not on a device, by its name, in the order in which data meets it.
template <class A>
std::vector<std::string> host_parts() {
    std::vector<std::string> parts;
    auto add = [&]<class Part>(std::type_identity<Part>, bool on_device) {
        if (!on_device) parts.push_back(name_of<Part>());
    };
    using Regularizer = typename A::Regularizer;
    add(std::type_identity<typename A::Reward>{}, scores_on_device<A>);
    add(std::type_identity<Regularizer>{}, detail::shapes_on_device<Regularizer>);
    add(std::type_identity<typename A::Advantage>{}, Estimate<typename A::Advantage>::on_device);
    [&]<class... Term>(std::type_identity<std::tuple<Term...>>) {
        (add(std::type_identity<Term>{}, detail::term_on_device<Term>), ...);
    }(std::type_identity<typename A::Terms>{});
    return parts;
}

/// Staged methods are made of these.
template <class Visit>
void for_each_algorithm_of_the_registry(Visit&& visit) {
    roars::apply(methods::all.entries, [&](const auto&... entry) { (visit(entry), ...); });
}

/// The table of docs/cuda.md.
std::string table() {
    std::string whole;
    int count = 0, all = 0;
    std::vector<std::pair<std::string, std::string>> rows;
    for_each_algorithm_of_the_registry([&]<class E>(const E& entry) {
        std::string name(entry.facts.name);
        ++all;
        auto parts = host_parts<typename E::Method>();
        EXPECT_TRUE(!parts.empty() || runs_on_device<typename E::Method>) << name;
        if (parts.empty()) {
            ++count;
            whole += (whole.empty() ? "" : ", ") + name;
        }
        for (const auto& part : parts) {
            auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& each) { return each.first == part; });
            if (row == rows.end())
                rows.emplace_back(part, name);
            else if (row->second != name && !row->second.ends_with(", " + name))
                row->second += ", " + name;
        }
    });
    std::string text = "On the device as a whole, " + std::to_string(count) + " of the registry's " +
                       std::to_string(all) + " algorithms: " + whole + ".\n\n| part on the host | in |\n|---|---|\n";
    for (const auto& [part, names] : rows) text += "| `" + part + "` | " + names + " |\n";
    return text;
}

TEST(RegistryOnDevice, TheTableOfTheDocumentationIsCurrent) {
    std::ifstream file(ROARS_GOLDEN_DIR "/../../../docs/cuda.md");
    ASSERT_TRUE(file);
    std::string page((std::istreambuf_iterator<char>(file)), {});
    EXPECT_NE(page.find(table()), std::string::npos) << "docs/cuda.md, expected:\n" << table();
}

/// Parts of such an algorithm work on the host, on copies; all its terms work on the device.
TEST(RegistryOnDevice, ParsOnTheHostAreTheHosts) {
    for_each_algorithm_of_the_registry([]<class E>(const E& entry) {
        using A = typename E::Method;
        if constexpr (!runs_on_device<A>) {
            SCOPED_TRACE(std::string(entry.facts.name));
            A algorithm = entry.method;
            make_small(algorithm.advantage);
            expect_the_hosts<D>(algorithm, control_batch<float, WithMask<A>>(), 2e-5);
        }
    });
}

/// An iteration in which the critics learn and the policy does not.
TEST(RegistryOnDevice, CriticsLearnAlone) {
    using A = methods::TwinDelayed;
    A algorithm = methods::td3;
    make_small(algorithm.advantage);
    auto host = control_batch<float, WithMask<A>>();
    backend::Host cpu;
    roars::Run host_run{cpu};
    D device;
    roars::Run run{device};
    A::State state{}, device_state{};
    Batch<float, WithMask<A>, D> batch(device, host);
    algorithm.score(host_run, state, host);
    algorithm.learn(host_run, state, host);
    score(algorithm, run, device_state, batch);
    learn(algorithm, run, device_state, batch);
    EXPECT_FALSE(state.advantage.networks.online.empty());
    EXPECT_NE(state.advantage.networks.online, state.advantage.networks.target);
    EXPECT_EQ(device_state.advantage.networks.online, state.advantage.networks.online);
}

TEST(RegistryOnDevice, IsTheHosts) {
    for_each_algorithm_of_the_registry([](const auto& entry) { check(entry.facts.name, entry.method); });
}

}  // namespace
}  // namespace roars::gpu
