#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct RoutedQuestionsSettings {
    double own_skill = 0.9;    ///< a small model's probability of a right reply in its own field
    double other_skill = 0.3;  ///< in another
    double large_skill = 0.8;  ///< the large model's, in all
    double large_price = 5.0;  ///< of a token, where a small model's costs 1
    bool one_round = false;    ///< one model is chosen for both parts
};
ROARS_FIELDS(RoutedQuestionsSettings, own_skill, other_skill, large_skill, large_price, one_round)

/// Which model to ask: a question has two parts, each of one of three fields, and is answered rightly if both replies
/// are. In two rounds the policy chooses one of four models, three small ones for a field each and a large one, for the
/// first part, sees whether the reply is right, and chooses for the second from a row that does not say. Replies are
/// observations. A reply has 20 to 39 tokens, which are paid for: brings cost. Errors: a probability that is not
/// between 0 and 1, a price that is no number above 0. Source: the measured experiment of Router-R1, arXiv 2506.09033.
class RoutedQuestions {
public:
    static constexpr std::int64_t fields = 3, models = fields + 1, kinds = fields * fields;
    static constexpr std::int64_t shortest_reply = 20, longest_reply = 39;
    using gives = columns<col::cost>;

    explicit RoutedQuestions(const RoutedQuestionsSettings& settings = {}, std::uint64_t = 0) : settings_(settings) {
        for (double p : {settings.own_skill, settings.other_skill, settings.large_skill})
            expect(p > 0 && p < 1, [&] {
                return "routed questions: a reply is right with probability " + std::to_string(p) +
                       ", expected between 0 and 1";
            });
        expect(settings.large_price > 0 && std::isfinite(settings.large_price), [&] {
            return "routed questions: large_price is " + std::to_string(settings.large_price) +
                   ", expected a number above 0";
        });
        logits_.resize(static_cast<std::size_t>(2 * kinds * models), 0.0);
        for (std::int64_t model = 0; model < models; ++model)
            for (std::int64_t field = 0; field < fields; ++field) {
                const double p = right(model, field);
                logits_.insert(logits_.end(), {0.0, std::log(p / (1 - p)), forbidden_logit, forbidden_logit});
            }
    }

    const RoutedQuestionsSettings& settings() const { return settings_; }
    /// Probability that the model's reply is right.
    double right(std::int64_t model, std::int64_t field) const {
        if (model == fields) return settings_.large_skill;
        return model == field ? settings_.own_skill : settings_.other_skill;
    }
    static constexpr double mean_reply() { return 0.5 * double(shortest_reply + longest_reply); }
    /// Of a token.
    double price(std::int64_t model) const { return model == fields ? settings_.large_price : 1.0; }
    /// Of the part number 0 or 1 of a question.
    static std::int64_t field(std::int64_t prompt, std::int64_t part) {
        return part == 0 ? prompt / fields : prompt % fields;
    }

    std::int64_t prompts() const { return kinds; }
    /// The choice in the first round and in the second, by kind; a reply, by model and field.
    std::int64_t rows() const { return 2 * kinds + models * fields; }
    std::int64_t actions() const { return models; }
    std::int64_t states() const { return ended + 4; }
    std::int64_t longest_answer() const { return settings_.one_round ? 3 : 4; }
    std::span<const double> start_logits() const { return logits_; }

    /// State 0: to choose; first_reply + m: model m replies to the first part; second_choice + r: its reply was wrong
    /// (0) or right (1); second_reply + r models + m: m replies to the second part; ended + 2 r + s.
    std::int64_t start(std::int64_t) const { return 0; }
    bool observation(std::int64_t, std::int64_t state) const {
        return (state >= first_reply && state < second_choice) || (state >= second_reply && state < ended);
    }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        if (state == 0) return prompt;
        if (state < second_choice) return reply_row(state - first_reply, field(prompt, 0));
        if (state < second_reply) return kinds + prompt;
        return state < ended ? reply_row((state - second_reply) % models, field(prompt, 1)) : -1;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        if (state == 0) return first_reply + action;
        if (state < second_choice)
            return settings_.one_round ? second_reply + action * models + (state - first_reply)
                                       : second_choice + action;
        if (state < second_reply) return second_reply + (state - second_choice) * models + action;
        return ended + 2 * ((state - second_reply) / models) + action;
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state == ended + 3 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// What both replies cost, their tokens drawn.
    double tell(col::cost, std::int64_t, std::span<const std::int32_t> actions, std::int64_t,
                RandomStream& noise) const {
        double cost = 0;
        for (std::int64_t model : asked(actions))
            cost += price(model) * double(shortest_reply + noise.below(longest_reply - shortest_reply + 1));
        return cost;
    }
    /// Its mean under a policy: every answer chooses, and no choice depends on a reply. Shapes: logits [rows x
    /// actions].
    template <class Real>
    double mean_cost(std::span<const Real> logits, std::int64_t prompt) const {
        std::array<double, models> p{};
        double spent = 0;
        for (std::int64_t part = 0; part < 2; ++part) {
            const auto chosen = static_cast<std::size_t>((settings_.one_round ? 0 : part * kinds) + prompt);
            detail::softmax(logits.subspan(chosen * models, models), std::span<double>(p));
            for (std::int64_t model = 0; model < models; ++model)
                spent += p[static_cast<std::size_t>(model)] * price(model) * mean_reply();
        }
        return spent;
    }
    /// Which replies were right.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        return 2 * actions[1] + actions.back();
    }
    /// The surest models, and right replies.
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        const std::int32_t first = surest(field(prompt, 0));
        if (settings_.one_round) return {first, 1, 1};
        return {first, 1, surest(field(prompt, 1)), 1};
    }

private:
    static constexpr std::int64_t first_reply = 1, second_choice = first_reply + models,
                                  second_reply = second_choice + 2, ended = second_reply + 2 * models;

    static std::int64_t reply_row(std::int64_t model, std::int64_t field) { return 2 * kinds + model * fields + field; }
    std::array<std::int64_t, 2> asked(std::span<const std::int32_t> actions) const {
        return {actions[0], settings_.one_round ? actions[0] : actions[2]};
    }
    std::int32_t surest(std::int64_t field) const {
        return static_cast<std::int32_t>(settings_.large_skill > settings_.own_skill ? fields : field);
    }

    RoutedQuestionsSettings settings_;
    std::vector<double> logits_;
};
static_assert(TabularTask<RoutedQuestions>);

}  // namespace roars::tasks
