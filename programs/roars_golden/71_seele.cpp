#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/seele.hpp"
#include "roars/metrics/difficulty.hpp"

namespace roars::golden::of_seele {
namespace {

Json target(const Inputs& in) {
    auto slope = in.reals("slope"), shift = in.reals("shift"), guess = in.reals("guess"), rate = in.reals("hint_rate");
    auto tokens = in.wholes("solution_length");
    std::vector<double> accuracy, next;
    std::vector<std::int64_t> length;
    for (std::size_t i = 0; i < slope.size(); ++i) {
        const ItemResponse curve{slope[i], shift.at(i), guess.at(i)};
        accuracy.push_back(curve.accuracy(rate.at(i)));
        next.push_back(curve.rate(in.real("target_accuracy")));
        length.push_back(sampler::hint_length(next.back(), tokens.at(i)));
    }
    return {{"accuracy", accuracy}, {"next_hint_rate", next}, {"hint_length", length}};
}

Json fit(const Inputs& in) {
    auto rate = in.reals("hint_rate"), accuracy = in.reals("accuracy");
    std::vector<ResponsePoint> tried;
    for (std::size_t i = 0; i < rate.size(); ++i) tried.push_back({rate[i], accuracy.at(i)});
    const auto points = response_points(tried);
    const FittedResponse fitted = fit_item_response(points);
    std::vector<double> point_rate, point_accuracy;
    for (const ResponsePoint& point : points) {
        point_rate.push_back(point.rate);
        point_accuracy.push_back(point.accuracy);
    }
    return {{"point_rate", point_rate},
            {"point_accuracy", point_accuracy},
            {"slope", fitted.curve.slope},
            {"shift", fitted.curve.shift},
            {"guess", fitted.curve.guess},
            {"sum_of_squares", fitted.sum_of_squares},
            {"next_hint_rate", fitted.curve.rate(in.real("target_accuracy"))}};
}

Json loss(const Inputs& in) {
    using Kl = regularizer::Kl<kl::ExactK3>;
    using Columns = columns<col::groups, col::mask, col::external, col::logp, col::logp_old, col::logp_ref, col::reward,
                            col::advantage, col::grad<col::logp>>;
    auto batch = batch_of<Columns>(in);
    auto hint = in.reals("hint");
    for (std::size_t t = 0; t < hint.size(); ++t) {
        batch[col::external{}][t] = hint[t];
        batch[col::mask{}][t] = hint[t] != 0 ? 0 : 1;
    }
    engine::estimate(methods::seele.advantage, batch);
    auto result = engine::terms(batch, methods::seele.optimizer.aggregate,
                                surrogate::Clip{.low = in.real("clip_low"), .high = in.real("clip_high")},
                                Kl{in.real("kl_coef")}, regularizer::HintImitation{in.real("imitation_coef")});
    return {
        {"advantage", batch[col::advantage{}]}, {"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json descent_bound(const Inputs& in) {
    return {{"descent_bound", metrics::descent_bound(in.reals("accuracy"), in.real("kl_coef"))}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("71-seele", "target", "target.1")] = target;
    registry[key("71-seele", "target", "target.2")] = fit;
    registry[key("71-seele", "loss", "loss")] = loss;
    registry[key("71-seele", "metric", "metric")] = descent_bound;
}

}  // namespace roars::golden::of_seele
