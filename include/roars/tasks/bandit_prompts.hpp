#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

/// Prompts [0, easy_prompts) are easy. A start logit is spread * standard normal, plus easy_logit or hard_logit for the
/// right answers; in hard prompts plus trap_logit for one wrong answer, which a policy may be sure of.
struct BanditSettings {
    std::int64_t prompts = 40;
    std::int64_t answers = 16;
    std::int64_t right = 1;  ///< right answers of a prompt
    std::int64_t easy_prompts = 0;
    double easy_logit = 0.0;
    double hard_logit = 0.0;
    double trap_logit = 0.0;
    double spread = 0.0;
    double reward_noise = 0.0;  ///< standard deviation of what is added to a verdict
    double flipped = 0.0;       ///< probability of the opposite verdict
};
ROARS_FIELDS(BanditSettings, prompts, answers, right, easy_prompts, easy_logit, hard_logit, trap_logit, spread,
             reward_noise, flipped)

/// Prompts that are answered by one token: a bandit each, with logits of its own. Verdict of an answer:
/// [right] (its opposite with probability `flipped`) + reward_noise * standard normal. Success is [right] itself.
class BanditPrompts {
public:
    explicit BanditPrompts(const BanditSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        const std::int64_t count = settings_.prompts * settings_.answers;
        right_.resize(static_cast<std::size_t>(count));
        logits_.resize(static_cast<std::size_t>(count));
        for (std::int64_t prompt = 0; prompt < settings_.prompts; ++prompt) draw(prompt, seed);
    }

    const BanditSettings& settings() const { return settings_; }
    bool is_right(std::int64_t prompt, std::int64_t answer) const {
        return right_[static_cast<std::size_t>(prompt * settings_.answers + answer)] != 0;
    }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return settings_.prompts; }
    std::int64_t actions() const { return settings_.answers; }
    std::int64_t states() const { return 1 + settings_.answers; }
    std::int64_t longest_answer() const { return 1; }
    std::span<const double> start_logits() const { return logits_; }

    /// State 0 asks; state 1 + a: the answer is a.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const { return state == 0 ? prompt : -1; }
    std::int64_t next(std::int64_t, std::int64_t, std::int64_t action) const { return 1 + action; }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const { return is_right(prompt, state - 1) ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        bool right = is_right(prompt, state - 1);
        if (settings_.flipped > 0 && noise.uniform() < settings_.flipped) right = !right;
        return (right ? 1.0 : 0.0) + (settings_.reward_noise > 0 ? settings_.reward_noise * noise.normal() : 0.0);
    }
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const { return actions.front(); }
    /// The right answer of lowest number.
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::int32_t answer = 0;
        while (!is_right(prompt, answer)) ++answer;
        return {answer};
    }

private:
    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.answers > 0 && s.right > 0 && s.right <= s.answers, [&] {
            return "bandit prompts: " + std::to_string(s.prompts) + " prompts of " + std::to_string(s.answers) +
                   " answers, " + std::to_string(s.right) +
                   " of them right, expected 1 or more of each, and not more "
                   "right ones than there are";
        });
        expect(s.easy_prompts >= 0 && s.easy_prompts <= s.prompts, [&] {
            return "bandit prompts: " + std::to_string(s.easy_prompts) + " easy prompts, expected 0 to " +
                   std::to_string(s.prompts);
        });
        expect(s.trap_logit == 0 || s.right < s.answers,
               "bandit prompts: a trap, but every answer is right, expected a wrong one");
        expect(s.flipped >= 0 && s.flipped <= 1 && s.reward_noise >= 0 && s.spread >= 0, [&] {
            return "bandit prompts: flipped " + std::to_string(s.flipped) + ", reward_noise " +
                   std::to_string(s.reward_noise) + ", spread " + std::to_string(s.spread) +
                   ", expected a probability and two numbers of 0 or more";
        });
    }

    /// Right answers and trap: the first ones of a random order of the answers.
    void draw(std::int64_t prompt, std::uint64_t seed) {
        const auto& s = settings_;
        RandomStream stream(Random(seed, Purpose::task).at(static_cast<std::uint32_t>(prompt)));
        std::vector<std::int64_t> order(static_cast<std::size_t>(s.answers));
        std::iota(order.begin(), order.end(), std::int64_t(0));
        const std::int64_t first = prompt * s.answers;
        auto at = [&](std::int64_t place) {
            std::swap(order[std::size_t(place)], order[std::size_t(place + stream.below(s.answers - place))]);
            return static_cast<std::size_t>(first + order[std::size_t(place)]);
        };
        const bool easy = prompt < s.easy_prompts;
        for (std::int64_t k = 0; k < s.right; ++k) {
            std::size_t place = at(k);
            right_[place] = 1;
            logits_[place] += easy ? s.easy_logit : s.hard_logit;
        }
        if (!easy && s.right < s.answers) logits_[at(s.right)] += s.trap_logit;
        if (s.spread > 0)
            for (std::int64_t a = 0; a < s.answers; ++a) logits_[std::size_t(first + a)] += s.spread * stream.normal();
    }

    BanditSettings settings_;
    std::vector<char> right_;
    std::vector<double> logits_;
};
static_assert(TabularTask<BanditPrompts>);

}  // namespace roars::tasks
