#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/relift.hpp"
#include "roars/metrics/difficulty.hpp"

namespace roars::golden::of_relift {
namespace {

struct Demonstrations {
    std::vector<std::int64_t> right;  ///< of each prompt
    bool has_demonstration(std::int64_t prompt) const {
        return prompt >= 0 && prompt < std::ssize(right) && right[static_cast<std::size_t>(prompt)] != 0;
    }
    template <class RunType, class BatchType>
    void demonstrate(RunType&, BatchType& batch, std::span<const std::int64_t> prompts) {
        batch = BatchType(std::vector<std::int64_t>(prompts.size() + 1, 0));
        std::copy(prompts.begin(), prompts.end(), batch[col::prompt{}].begin());
    }
};

Json sampler(const Inputs& in) {
    using BatchType = Batch<double, columns<col::groups, col::reward, col::prompt>>;
    const roars::sampler::HardestPrompts part{.batch_size = in.whole("batch_size"),
                                              .fail_value = in.real("fail_value")};
    roars::sampler::WaitingPrompts state;
    Demonstrations source{in.wholes("demo_ok")};
    backend::Host host;
    Run run{host};
    Json taken = Json::array();
    const Json& steps = in.json().at("prompt");
    for (std::size_t step = 0; step < steps.size(); ++step) {
        std::vector<std::int64_t> groups{0};
        std::vector<double> reward;
        std::vector<std::int32_t> prompt;
        for (std::size_t g = 0; g < steps[step].size(); ++g) {
            for (const Json& value : in.json().at("reward").at(step).at(g)) {
                reward.push_back(number(value));
                prompt.push_back(static_cast<std::int32_t>(number(steps[step][g])));
            }
            groups.push_back(std::ssize(reward));
        }
        BatchType batch(std::vector<std::int64_t>(reward.size() + 1, 0), groups);
        std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
        std::copy(prompt.begin(), prompt.end(), batch[col::prompt{}].begin());
        part.watch(run, state, source, batch);
        BatchType given;
        if (part.due(state)) part.collect(run, state, source, given, [](BatchType&) {});
        taken.push_back(given[col::prompt{}]);
    }
    return {{"finetune", taken}, {"buffer", state.prompts}};
}

Json loss(const Inputs& in) {
    auto batch =
        batch_of<columns<col::mask, col::logp, col::entropy, col::grad<col::logp>, col::grad<col::entropy>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    const auto& method = methods::relift.side;
    auto result = engine::terms(batch, method.optimizer.aggregate, method.optimizer.surrogate,
                                regularizer::EntropyBonus{in.real("entropy_coef")});
    return {{"loss", result.loss()},
            {"grad_logp", batch[col::grad<col::logp>{}]},
            {"grad_entropy", batch[col::grad<col::entropy>{}]}};
}

Json difficulty(const Inputs& in) {
    auto before = in.wholes("right_before"), after = in.wholes("right_after");
    const std::int64_t attempts = in.whole("attempts");
    auto classes = [&](const std::vector<std::int64_t>& right) {
        std::vector<int> all;
        for (std::int64_t each : right) all.push_back(int(metrics::difficulty(each, attempts)));
        return all;
    };
    return {{"class_before", classes(before)},
            {"class_after", classes(after)},
            {"transition", metrics::difficulty_moves(before, after, attempts)}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("52-relift", "sampler", "sampler")] = sampler;
    registry[key("52-relift", "loss", "loss")] = loss;
    registry[key("52-relift", "metric", "metric")] = difficulty;
}

}  // namespace roars::golden::of_relift
