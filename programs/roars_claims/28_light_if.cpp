#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/methods/light_if.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/tasks/constraints.hpp"
#include "training.hpp"

namespace roars::claims::of_light_if {
namespace {

constexpr std::int64_t groups = 8, group = 8, positions = 8;

/// Steps of 32 on the mean over tokens.
template <class Method>
Arm constrained(std::string name, Method method) {
    method.sampler = {.prompts = groups, .group_size = group};
    method.optimizer.minibatches = 1;
    auto plain = with_step(method, step::Sgd{.learning_rate = 32});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = plain;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::Constraints task({.constraints = positions}, trial.seed);
                train::TabularLearner<tasks::Constraints> learner(task);
                Numbers numbers = train_and_measure(scaled, learner, trial, {});
                numbers["entropy of a token"] = numbers.at("entropy") / double(positions);
                return numbers;
            }};
}

/// Few samples of true distributions: prompt k asks for sample k, which is of context k / samples.
class FewSamples {
public:
    static constexpr std::int64_t contexts = 60, symbols = 10, samples = 4;

    explicit FewSamples(std::uint64_t seed) {
        RandomStream stream(Random(seed, Purpose::task));
        std::vector<double> probability(symbols), logits(symbols);
        for (std::int64_t context = 0; context < contexts; ++context) {
            for (double& logit : logits) logit = 1.5 * stream.normal();
            tasks::detail::softmax(std::span<const double>(logits), std::span(probability));
            truth_.insert(truth_.end(), probability.begin(), probability.end());
            for (std::int64_t k = 0; k < samples; ++k) {
                std::int32_t symbol = 0;
                for (double u = stream.uniform(); symbol + 1 < symbols && u >= probability[std::size_t(symbol)];)
                    u -= probability[std::size_t(symbol++)];
                sample_.push_back(symbol);
            }
        }
        for (std::size_t i = 0; i < truth_.size(); ++i) start_.push_back(0.3 * stream.normal());
    }
    std::span<const double> truth(std::int64_t row) const {
        return std::span(truth_).subspan(static_cast<std::size_t>(row * symbols), symbols);
    }

    std::int64_t prompts() const { return contexts * samples; }
    std::int64_t rows() const { return contexts; }
    std::int64_t actions() const { return symbols; }
    std::int64_t states() const { return 1 + symbols; }
    std::int64_t longest_answer() const { return 1; }
    std::span<const double> start_logits() const { return start_; }
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const { return state == 0 ? prompt / samples : -1; }
    std::int64_t next(std::int64_t, std::int64_t, std::int64_t action) const { return 1 + action; }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        return state == 1 + sample_[static_cast<std::size_t>(prompt)] ? 1.0 : 0.0;
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const { return actions[0]; }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        return {sample_[static_cast<std::size_t>(prompt)]};
    }

private:
    std::vector<double> truth_, start_;
    std::vector<std::int32_t> sample_;
};
static_assert(tasks::TabularTask<FewSamples>);

template <class Method>
Arm fine_tuned(std::string name, Method method) {
    method.sampler.batch_size = FewSamples::contexts * FewSamples::samples;
    auto plain = with_step(method, step::Sgd{.learning_rate = 30});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = plain;
                scaled.optimizer.step.learning_rate *= trial.rate;
                const FewSamples task(trial.seed);
                train::TabularLearner<FewSamples> learner(task);
                train(scaled, learner, trial, [](std::int64_t, const train::Record&) {});
                std::vector<double> p(FewSamples::symbols);
                double entropy = 0, cross = 0;
                for (std::int64_t row = 0; row < task.rows(); ++row) {
                    entropy +=
                        tasks::detail::softmax(std::span<const float>(learner.policy().logits(row)), std::span(p));
                    for (std::size_t a = 0; a < p.size(); ++a) cross -= task.truth(row)[a] * std::log(p[a]);
                }
                return Numbers{{"entropy", entropy / double(task.rows())},
                               {"cross-entropy to the truth", cross / double(task.rows())}};
            }};
}

}  // namespace

/// Partial credit where all-or-nothing never meets a right answer, and two ways to keep entropy.
void add(std::vector<Experiment>& all) {
    methods::Grpo grpo = methods::grpo;
    methods::LightIf spread = methods::light_if;
    grpo.regularizer.coefficient = get<0>(spread.regularizer).coefficient = 0;
    get<1>(spread.regularizer) = {.scale = 0.2, .most = 0.1};
    const Algorithm<sampler::Groups, methods::ConstraintPoints, advantage::GroupZScore, regularizer::Kl<kl::K3>,
                    decltype(spread.optimizer)>
        dense{.regularizer = grpo.regularizer, .optimizer = spread.optimizer};
    all.push_back({.name = "light-if",
                   .paper = "2508.03178, Light-IF",
                   .page = "light-if",
                   .setup = "Eight constraints, each met by 3 of 12 symbols of its token, a uniform start: all hold "
                            "with 1.5e-5. 8 groups of 8, plain steps, 200 updates. TEA: scale 0.2, at most 0.1.",
                   .updates = 200,
                   .arms = {constrained("GRPO, all or nothing", grpo), constrained("GRPO, dense", dense),
                            constrained("TEA, dense", spread)},
                   .claims = {{.says = "partial credit learns what all-or-nothing never meets",
                               .method = "GRPO, dense",
                               .baseline = "GRPO, all or nothing",
                               .number = "success",
                               .least = 0.85,
                               .beside = "entropy of a token"},
                              {.says = "the bonus keeps three times the entropy",
                               .method = "TEA, dense",
                               .baseline = "GRPO, dense",
                               .number = "entropy of a token",
                               .least = 2,
                               .as_share = true,
                               .beside = "success"},
                              {.says = "and costs no success",
                               .method = "TEA, dense",
                               .baseline = "GRPO, dense",
                               .number = "success",
                               .expected = Expected::same,
                               .least = 0.03}}});
    all.push_back({.name = "light-if-sft",
                   .paper = "2508.03178, Light-IF",
                   .page = "light-if",
                   .setup = "60 contexts of 10 symbols, true distributions softmax(1.5 normal), 4 samples of each, "
                            "logits from 0.3 normal. 300 steps of 30 on all samples.",
                   .updates = 300,
                   .arms = {fine_tuned("SFT", methods::supervised), fine_tuned("Entropy-SFT", methods::entropy_sft)},
                   .claims = {{.says = "more entropy is left",
                               .method = "Entropy-SFT",
                               .baseline = "SFT",
                               .number = "entropy",
                               .beside = "cross-entropy to the truth"},
                              {.says = "nearer to the true distributions",
                               .method = "Entropy-SFT",
                               .baseline = "SFT",
                               .number = "cross-entropy to the truth",
                               .expected = Expected::lower}}});
}

}  // namespace roars::claims::of_light_if
