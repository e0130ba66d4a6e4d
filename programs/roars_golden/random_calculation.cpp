#include "golden.hpp"

#include "roars/metrics/clip_bias.hpp"
#include "roars/metrics/text_overlap.hpp"
#include "roars/tasks/continuous_answer.hpp"
#include "roars/tasks/random_calculation.hpp"

namespace roars::golden::of_random_calculation {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Json draw_expression(const Inputs& in) {
    auto uniform = in.reals("uniform");
    std::size_t used = 0;
    auto next = [&] { return uniform.at(used++); };
    auto expression = tasks::ExpressionGenerator({}).draw(static_cast<std::int32_t>(in.whole("steps")), next);
    std::vector<int> kind, a, b;
    for (const auto& node : expression) {
        kind.push_back(static_cast<int>(node.kind));
        a.push_back(node.a);
        b.push_back(node.b);
    }
    auto value = tasks::evaluate(expression);
    return {{"kind", kind},           {"a", a},      {"b", b}, {"value", value.value_or(nan)},
            {"valid", value ? 1 : 0}, {"used", used}};
}

Json continuous_reward(const Inputs& in) {
    auto answer = in.reals("answer"), reference = in.reals("reference"), given = in.reals("answer_ok");
    std::vector<double> reward;
    for (std::size_t i = 0; i < answer.size(); ++i)
        reward.push_back(tasks::continuous_reward(given[i] != 0 ? answer[i] : nan, reference[i], in.real("eps")));
    return {{"reward", reward}};
}

Json spurious_rewards(const Inputs& in) {
    auto offsets = in.wholes("group_offsets"), answers = in.wholes("answer"), reference = in.wholes("reference");
    auto uniform = in.reals("uniform");
    std::vector<double> random, correct, inverted, majority_incorrect;
    std::vector<std::int64_t> labels;
    for (std::size_t g = 0; g + 1 < offsets.size(); ++g) {
        auto first = static_cast<std::size_t>(offsets[g]), last = static_cast<std::size_t>(offsets[g + 1]);
        auto group = std::span<const std::int64_t>(answers).subspan(first, last - first);
        auto label = tasks::majority_incorrect_label(group, reference[g]);
        labels.push_back(label.value_or(-1));
        for (std::size_t i = first; i < last; ++i) {
            random.push_back(tasks::random_reward(uniform[i], in.real("gamma")));
            correct.push_back(answers[i] == reference[g] ? 1.0 : 0.0);
            inverted.push_back(tasks::inverted_reward(correct.back()));
            majority_incorrect.push_back(label == answers[i] ? 1.0 : 0.0);
        }
    }
    return {{"random", random},
            {"correct", correct},
            {"inverted", inverted},
            {"majority_incorrect", majority_incorrect},
            {"label", labels}};
}

Json partial_prompts(const Inputs& in) {
    auto tokens = [&](const char* name) {
        auto values = in.wholes(name);
        return std::vector<std::int32_t>(values.begin(), values.end());
    };
    auto prompt = tokens("prompt"), completion = tokens("completion"), answer = tokens("answer");
    auto prompts = in.wholes("prompt_offsets"), completions = in.wholes("completion_offsets"),
         answers = in.wholes("answer_offsets");
    auto outcomes = metrics::partial_prompt_outcomes({prompt, prompts}, {completion, completions}, {answer, answers},
                                                     in.real("ratio"));
    std::vector<double> rouge;
    std::vector<int> exact, found;
    for (const auto& outcome : outcomes) {
        rouge.push_back(outcome.rouge_l);
        exact.push_back(outcome.exact_match);
        found.push_back(outcome.answer_found);
    }
    auto rates = metrics::partial_prompt_rates(outcomes);
    return {{"rouge_l", rouge},
            {"exact_match", exact},
            {"answer_found", found},
            {"mean_rouge_l", rates.mean_rouge_l},
            {"exact_match_rate", rates.exact_match},
            {"answer_rate", rates.answer_found}};
}

Json clip_bias(const Inputs& in) {
    double low = in.real("clip_low"), high = in.real("clip_high");
    auto advantage = in.reals("advantage");
    double mu = metrics::mean_positive_part(advantage);
    std::vector<double> bias;
    std::vector<int> reachable;
    for (double ratio : in.reals("ratio")) bias.push_back(metrics::clip_bias(ratio, mu, low, high));
    for (double p : in.reals("p_old")) reachable.push_back(metrics::upper_clip_reachable(p, high));
    return {{"mu", mu}, {"bias", bias}, {"upper_reachable", reachable}};
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const char* stage, const char* name, Evaluate evaluate) {
        registry[key("55-random-calculation", stage, name)] = evaluate;
    };
    add("sampler", "sampler", draw_expression);
    add("reward", "reward.1", continuous_reward);
    add("reward", "reward.2", spurious_rewards);
    add("metric", "metric.1", partial_prompts);
    add("metric", "metric.2", clip_bias);
}

}  // namespace roars::golden::of_random_calculation
