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

/// Every method of the registry that runs on a device gives there, in loops on the host, what it gives on the host.
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

TEST(RegistryOnDevice, IsTheHosts) {
    for_each_algorithm_of_the_registry([](const auto& entry) { check(entry.facts.name, entry.method); });
}

}  // namespace
}  // namespace roars::gpu
