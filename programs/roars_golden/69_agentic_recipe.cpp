#include "engine.hpp"
#include "golden.hpp"
#include "terms.hpp"

#include "roars/methods/agentic_recipe.hpp"
#include "roars/metrics/groups.hpp"
#include "roars/sampler/difficulty_bins.hpp"

namespace roars::golden::of_agentic_recipe {
namespace {

Json reward(const Inputs& in) {
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t length : in.wholes("length")) offsets.push_back(offsets.back() + length);
    Batch<double, columns<col::outcome, col::tool_calls, col::reward>> batch{Offsets(offsets)};
    auto correct = in.reals("correct"), calls = in.reals("tool_calls");
    std::copy(correct.begin(), correct.end(), batch[col::outcome{}].begin());
    std::copy(calls.begin(), calls.end(), batch[col::tool_calls{}].begin());
    const reward::SoftOverlong overlong{.max_length = in.real("max_length"), .buffer = in.real("buffer")};
    const double bonus = in.real("tool_bonus"), cap = in.real("wrong_cap");
    auto of = [&](const auto& part) {
        engine::score(part, batch);
        return Json(batch[col::reward{}]);
    };
    return {{"length_reward", of(overlong)},
            {"reward_code", of(reward::Sum<reward::ToolUse, reward::SoftOverlong>{{bonus, cap}, overlong})},
            {"reward_paper", of(reward::Sum<reward::ToolUseEverywhere, reward::SoftOverlong>{{bonus, cap}, overlong})}};
}

Json token_loss(const Inputs& in) {
    auto method = methods::grpo_tcr;
    method.optimizer.surrogate = {in.real("clip_low"), in.real("clip_high"), in.real("dual_clip")};
    return ObjectiveCase<methods::GrpoTcr>(method, in).loss_and_gradient();
}
Json sequence_loss(const Inputs& in) {
    auto method = methods::grpo_scr;
    method.optimizer.surrogate = {in.real("clip_low"), in.real("clip_high")};
    const auto offsets = in.wholes("token_offsets");
    const auto signal = in.reals("sequence_advantage");
    Json json = in.json();
    json["advantage"] = Json::array();
    for (std::size_t i = 0; i < signal.size(); ++i)
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) json["advantage"].push_back(signal[i]);
    return ObjectiveCase<methods::GrpoScr>(method, Inputs(json)).loss_and_gradient();
}

Json bins(const Inputs& in) {
    std::vector<std::int64_t> bin, available(sampler::difficulty_bins, 0);
    for (double accuracy : in.reals("accuracy")) {
        bin.push_back(sampler::difficulty_bin(accuracy));
        if (bin.back() >= 0) ++available[static_cast<std::size_t>(bin.back())];
    }
    const auto quotas = sampler::histogram_quotas(available, in.reals("target"));
    return {{"bin", bin}, {"available", available}, {"total", quotas.total}, {"quota", quotas.quota}};
}

Json rates(const Inputs& in) {
    const auto answers = in.rows("answer");
    const auto gold = in.reals("gold");
    metrics::AnswerRates mean;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto own = metrics::answer_rates(std::span<const double>(answers[i]), gold[i]);
        mean.average += own.average / double(answers.size());
        mean.pass += own.pass / double(answers.size());
        mean.majority += own.majority / double(answers.size());
    }
    return {{"average_at_k", mean.average}, {"pass_at_k", mean.pass}, {"maj_at_k", mean.majority}, {"gap", mean.gap()}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("69-agentic-recipe", "reward", "reward")] = reward;
    registry[key("69-agentic-recipe", "loss", "loss.1")] = token_loss;
    registry[key("69-agentic-recipe", "loss", "loss.2")] = sequence_loss;
    registry[key("69-agentic-recipe", "sampler", "sampler")] = bins;
    registry[key("69-agentic-recipe", "metric", "metric")] = rates;
}

}  // namespace roars::golden::of_agentic_recipe
