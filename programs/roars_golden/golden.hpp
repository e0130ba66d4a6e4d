#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/batch.hpp"

/// The golden runner: numeric cases in JSON, each the function (method, stage, case) of its inputs, computed by the
/// library's parts in double.
namespace roars::golden {

using Json = nlohmann::json;

/// A number, or one of the strings "inf", "-inf", "nan".
inline double number(const Json& value) {
    if (value.is_number()) return value.get<double>();
    if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
    auto text = value.get<std::string>();
    if (text == "inf") return std::numeric_limits<double>::infinity();
    if (text == "-inf") return -std::numeric_limits<double>::infinity();
    return std::numeric_limits<double>::quiet_NaN();
}

/// The inputs of a case: columns, offsets and settings by name.
class Inputs {
public:
    explicit Inputs(const Json& json) : json_(json) {}
    const Json& json() const { return json_; }
    bool has(const std::string& name) const { return json_.contains(name); }

    double real(const std::string& name) const { return number(json_.at(name)); }
    double real(const std::string& name, double otherwise) const { return has(name) ? real(name) : otherwise; }
    std::int64_t whole(const std::string& name) const { return static_cast<std::int64_t>(real(name)); }
    std::string text(const std::string& name) const { return json_.at(name).get<std::string>(); }

    std::vector<double> reals(const std::string& name) const {
        std::vector<double> values;
        for (const auto& value : json_.at(name)) values.push_back(number(value));
        return values;
    }
    std::vector<std::int64_t> wholes(const std::string& name) const {
        std::vector<std::int64_t> values;
        for (const auto& value : json_.at(name)) values.push_back(static_cast<std::int64_t>(number(value)));
        return values;
    }
    /// Rows of equal width.
    std::vector<std::vector<double>> rows(const std::string& name) const {
        std::vector<std::vector<double>> values;
        for (const auto& row : json_.at(name)) {
            values.emplace_back();
            for (const auto& value : row) values.back().push_back(number(value));
        }
        return values;
    }

private:
    const Json& json_;
};

/// A batch in double with the columns of `Set`, each filled from the input of its own name where there is one. Errors:
/// another number of values than the offsets say.
template <class Set>
auto batch_of(const Inputs& in) {
    Batch<double, Set> batch(in.has("token_offsets") ? in.wholes("token_offsets") : std::vector<std::int64_t>{0});
    if (in.has("group_offsets")) batch.set_offsets(col::groups{}, in.wholes("group_offsets"));
    auto fill = [&]<class Column>(Column column) {
        if constexpr (Column::kind != Kind::offsets && !is_gradient_v<Column>) {
            std::string name(Column::name);
            if (!in.has(name) || !in.json().at(name).is_array()) return;  // a number is a setting of that name
            auto values = in.reals(name);
            auto to = batch[column];
            roars::detail::expect_size(name.c_str(), values.size(), std::ssize(to));
            for (std::size_t i = 0; i < to.size(); ++i)
                to[i] = static_cast<typename decltype(to)::value_type>(values[i]);
        }
    };
    [&]<class... Column>(columns<Column...>) { (fill(Column{}), ...); }(Set{});
    return batch;
}

using Evaluate = Json (*)(const Inputs&);

/// (method, stage, case) -> the function of the library. In 00-peers the input `rule` stands for the case.
using Registry = std::map<std::string, Evaluate>;
inline std::string key(const std::string& method, const std::string& stage, const std::string& name) {
    return method + '/' + stage + '/' + name;
}

// One file a paper adds its formulas.
void add_baselines(Registry& registry);
void add_peers_advantages(Registry& registry);
void add_peers_losses(Registry& registry);
void add_peers_rest(Registry& registry);
void add_random_calculation(Registry& registry);
void add_lite_ppo(Registry& registry);
void add_rl_plus(Registry& registry);
void add_disco(Registry& registry);
void add_copo(Registry& registry);
void add_dler(Registry& registry);
void add_open_rs(Registry& registry);
void add_llm_rl_survey(Registry& registry);
void add_prorl(Registry& registry);
void add_direct_advantage_po(Registry& registry);
void add_kdrl(Registry& registry);
void add_hicra(Registry& registry);
void add_dual_rl(Registry& registry);
void add_residual_rl(Registry& registry);
void add_tscac(Registry& registry);
void add_snapshot_rl(Registry& registry);
void add_famo2o(Registry& registry);
void add_prdc(Registry& registry);
void add_a2pr(Registry& registry);
void add_zero_shot(Registry& registry);
void add_demonstration_regularized(Registry& registry);
void add_dataset_perspective(Registry& registry);
void add_metrics(Registry& registry);
void add_rlax(Registry& registry);
void add_d3rlpy(Registry& registry);
void add_trl(Registry& registry);

}  // namespace roars::golden
