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
// clang-format off
namespace of_baselines { void add(Registry& registry); }
namespace of_peers_advantages { void add(Registry& registry); }
namespace of_peers_losses { void add(Registry& registry); }
namespace of_peers_rest { void add(Registry& registry); }
namespace of_random_calculation { void add(Registry& registry); }
namespace of_lite_ppo { void add(Registry& registry); }
namespace of_ruscarl { void add(Registry& registry); }
namespace of_rl_plus { void add(Registry& registry); }
namespace of_disco { void add(Registry& registry); }
namespace of_copo { void add(Registry& registry); }
namespace of_dler { void add(Registry& registry); }
namespace of_agentic_recipe { void add(Registry& registry); }
namespace of_reseek { void add(Registry& registry); }
namespace of_observe_r1 { void add(Registry& registry); }
namespace of_igpo { void add(Registry& registry); }
namespace of_open_rs { void add(Registry& registry); }
namespace of_llm_rl_survey { void add(Registry& registry); }
namespace of_light_if { void add(Registry& registry); }
namespace of_adacot { void add(Registry& registry); }
namespace of_prorl { void add(Registry& registry); }
namespace of_direct_advantage_po { void add(Registry& registry); }
namespace of_kdrl { void add(Registry& registry); }
namespace of_rex_rag { void add(Registry& registry); }
namespace of_arpo { void add(Registry& registry); }
namespace of_hicra { void add(Registry& registry); }
namespace of_otc { void add(Registry& registry); }
namespace of_spa_rl { void add(Registry& registry); }
namespace of_relift { void add(Registry& registry); }
namespace of_seele { void add(Registry& registry); }
namespace of_router_r1 { void add(Registry& registry); }
namespace of_dual_rl { void add(Registry& registry); }
namespace of_residual_rl { void add(Registry& registry); }
namespace of_tscac { void add(Registry& registry); }
namespace of_snapshot_rl { void add(Registry& registry); }
namespace of_famo2o { void add(Registry& registry); }
namespace of_prdc { void add(Registry& registry); }
namespace of_a2pr { void add(Registry& registry); }
namespace of_zero_shot { void add(Registry& registry); }
namespace of_demonstration_regularized { void add(Registry& registry); }
namespace of_dataset_perspective { void add(Registry& registry); }
namespace of_metrics { void add(Registry& registry); }
namespace of_rlax { void add(Registry& registry); }
namespace of_d3rlpy { void add(Registry& registry); }
namespace of_trl { void add(Registry& registry); }
// clang-format on

}  // namespace roars::golden
