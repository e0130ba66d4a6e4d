#include "golden.hpp"

#include "roars/critic/logged_action.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/metrics/coverage.hpp"
#include "roars/metrics/dataset_quality.hpp"

namespace roars::golden::of_dataset_perspective {
namespace {

/// Rows of state features, each with its action (a number or a row) behind it.
std::vector<double> features_of(const Inputs& in, const std::string& state, const std::string& action) {
    std::vector<double> features;
    const Json& actions = in.json().at(action);
    std::size_t i = 0;
    auto append = [&](const Json& values) {
        if (!values.is_array()) return features.push_back(number(values));
        for (const Json& value : values) features.push_back(number(value));
    };
    for (const Json& row : in.json().at(state)) {
        append(row);
        append(actions.at(i++));
    }
    return features;
}

Json coverage(const Inputs& in) {
    backend::Host host;
    auto data = features_of(in, "state", "action"), reference = features_of(in, "reference_state", "reference_action");
    std::vector<double> limits;
    if (in.has("limits"))
        limits = in.reals("limits");
    else if (!reference.empty())
        limits = metrics::limits_of(reference, std::ssize(reference) / std::ssize(in.json().at("reference_state")));
    metrics::Discretisation cells(limits, in.has("bins") ? in.whole("bins") : 100);
    auto unique = [&](const std::vector<double>& features) {
        return metrics::distinct_rows(cells(host, features), cells.columns());
    };
    metrics::Coverage found{unique(data), unique(reference)};
    return {{"unique_state_actions", found.unique},
            {"reference_unique_state_actions", found.reference},
            {"saco", found.ratio()},
            {"log_saco", found.log_ratio()}};
}

Json quality(const Inputs& in) {
    backend::Host host;
    auto reward = in.reals("reward"), done = in.reals("done");
    auto returns = metrics::trajectory_returns(host, reward, done, in.real("gamma"));
    double mean = returns.empty() ? std::numeric_limits<double>::quiet_NaN()
                                  : moments(host, std::span<const double>(returns)).mean;
    return {{"trajectory_returns", returns},
            {"mean_return", mean},
            {"tq", metrics::trajectory_quality(host, returns, in.real("return_min"), in.real("return_max"))}};
}

Json occupancy(const Inputs& in) {
    auto found =
        metrics::occupancy(in.wholes("state"), in.wholes("action"), in.whole("num_states"), in.whole("num_actions"));
    return {{"entropy", found.entropy},
            {"effective_pairs", found.effective_pairs},
            {"unique_state_actions", found.unique},
            {"policy_entropy", found.policy_entropy}};
}

Json study(const Inputs& in) {
    backend::Host host;
    std::vector<double> performance;
    for (const auto& returns : in.rows("evaluation_return"))
        performance.push_back(
            metrics::study_score(host, returns, in.whole("runs"), in.real("random_return"), in.real("online_return")));
    return {{"performance", performance},
            {"correlation_tq", metrics::correlation(host, performance, in.reals("tq"))},
            {"correlation_saco", metrics::correlation(host, performance, in.reals("saco"))}};
}

Json targets(const Inputs& in) {
    backend::Host host;
    auto reward = in.reals("reward"), done = in.reals("done"), value = in.reals("value");
    const std::vector<std::int64_t> stream{0, std::ssize(reward)};
    const std::vector<double> after{in.real("value_after")}, nothing(reward.size(), 0.0);
    std::vector<double> sarsa(reward.size()), monte_carlo(reward.size());
    using View = std::span<const double>;
    critic::LoggedAction{in.real("gamma")}.target(host, stream, View(reward), View(done), View(value), View(after),
                                                  std::span(sarsa));
    critic::LambdaReturn{in.real("gamma"), 1.0}.target(host, critic::Steps<double>{stream, reward, nothing, done, done},
                                                       std::span(monte_carlo));
    return {{"sarsa_target", sarsa}, {"monte_carlo_target", monte_carlo}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("02-dataset-perspective", "metric", "metric.1")] = coverage;
    registry[key("02-dataset-perspective", "metric", "metric.2")] = quality;
    registry[key("02-dataset-perspective", "metric", "metric.3")] = occupancy;
    registry[key("02-dataset-perspective", "metric", "metric.4")] = study;
    registry[key("02-dataset-perspective", "target", "target")] = targets;
}

}  // namespace roars::golden::of_dataset_perspective
