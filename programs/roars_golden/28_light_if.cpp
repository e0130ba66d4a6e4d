#include "engine.hpp"
#include "golden.hpp"

#include <algorithm>
#include <vector>

#include "roars/methods/light_if.hpp"
#include "roars/reward/outcome.hpp"

namespace roars::golden::of_light_if {
namespace {

Json entropy_sft(const Inputs& in) {
    using Set = columns<col::mask, col::logp, col::entropy, col::importance_weight, col::grad<col::logp>>;
    Json whole = in.json();
    if (!in.has("token_offsets")) whole["token_offsets"] = {0, in.reals("logp").size()};
    auto batch = batch_of<Set>(Inputs(whole));
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    auto optimizer = methods::entropy_sft.optimizer;
    auto& term = optimizer.surrogate;
    term.fraction = in.real("token_ratio", term.fraction);
    term.entropy_coefficient = in.real("entropy_coef", term.entropy_coefficient);
    auto result = engine::terms(batch, optimizer.aggregate, term);
    std::vector<double> score;
    std::vector<int> kept;
    for (std::size_t t = 0; t < batch[col::logp{}].size(); ++t) {
        score.push_back(term.score(batch[col::logp{}][t], batch[col::entropy{}][t]));
        kept.push_back(batch[col::importance_weight{}][t] > 0 ? 1 : 0);
    }
    return {{"score", score}, {"kept", kept}, {"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json constraints(const Inputs& in) {
    auto count = in.rows("count");
    auto low = in.reals("low"), high = in.reals("high");
    Batch<double, columns<col::constraints, col::format, col::reward>> batch(
        std::vector<std::int64_t>(count.size() + 1, 0));
    std::fill(batch[col::format{}].begin(), batch[col::format{}].end(), 1.0);
    auto finished = in.has("finished") ? in.reals("finished") : std::vector<double>{};
    std::copy(finished.begin(), finished.end(), batch[col::format{}].begin());
    methods::ConstraintPoints part{};
    auto points = in.has("exact_points") ? in.reals("exact_points") : std::vector<double>(low.size(), 0.1);
    batch.set_width(col::constraints{}, std::ssize(low) * 4);
    std::vector<double> point, accuracy;
    for (std::size_t i = 0; i < count.size(); ++i) {
        auto row = batch.row(col::constraints{}, std::int64_t(i));
        for (std::size_t k = 0; k < low.size(); ++k) {
            const double numbers[]{count[i].at(k), low[k], high.at(k), points.at(k)};
            std::copy(numbers, numbers + 4, row.begin() + std::ptrdiff_t(4 * k));
        }
        auto met = part.behind.met(row);
        point.push_back(met.points);
        accuracy.push_back(met.all ? 1.0 : 0.0);
    }
    engine::score(part, batch);
    return {{"point", point}, {"accuracy", accuracy}, {"reward", batch[col::reward{}]}};
}

Json length(const Inputs& in) {
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t each : in.wholes("length")) offsets.push_back(offsets.back() + each);
    Batch<double, columns<col::outcome, col::reward>> batch(offsets);
    auto score = in.reals("score");
    std::copy(score.begin(), score.end(), batch[col::outcome{}].begin());
    engine::score(reward::LengthScaled<reward::Verified>{.max_length = in.real("max_length", 8192)}, batch);
    return {{"reward", batch[col::reward{}]}};
}

Json covariance_entropy(const Inputs& in) {
    auto batch = batch_of<
        columns<col::mask, col::logp, col::entropy, col::advantage, col::entropy_weight, col::grad<col::entropy>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    auto term = get<1>(methods::light_if.regularizer);
    term.scale = in.real("cov_scale", term.scale);
    term.most = in.real("coef_cap", term.most);
    auto result = engine::terms(batch, term.aggregate, term);
    return {{"coefficient", batch[col::entropy_weight{}]},
            {"loss", result.loss()},
            {"grad_entropy", batch[col::grad<col::entropy>{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("28-light-if", "loss", "loss")] = entropy_sft;
    registry[key("28-light-if", "reward", "reward.1")] = constraints;
    registry[key("28-light-if", "reward", "reward.2")] = length;
    registry[key("28-light-if", "regularizer", "regularizer")] = covariance_entropy;
}

}  // namespace roars::golden::of_light_if
