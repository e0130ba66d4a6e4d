#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct TwoHopSettings {
    std::int64_t types = 6;     ///< of questions, each with a right tool for either hop and a right answer
    std::int64_t tools = 6;     ///< to choose from at each hop
    std::int64_t answers = 8;   ///< to choose from, in pairs
    double pair_logit = 2.5;    ///< of an answer at the start where its pair is shown: a policy that can read
    double answer_logit = 3.5;  ///< where it is shown itself
};
ROARS_FIELDS(TwoHopSettings, types, tools, answers, pair_logit, answer_logit)

/// A lookup in two hops, then an answer. The right tool of the first hop shows the pair that the answer is in; behind
/// it the right one of the second hop shows the answer; any other tool shows nothing. Three tokens of the policy, two
/// observations. Rows: first hop [types], second hop [types, whether the first hit], the answer [what has been shown:
/// nothing, a pair, an answer], and the observations, of which each row has one possible token. Says its true answer:
/// brings confidence. Source: the measured experiment of IGPO, arXiv 2510.14967.
class TwoHop {
public:
    using gives = columns<col::confidence>;

    explicit TwoHop(const TwoHopSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        const auto& s = settings_;
        expect(s.types > 0 && s.tools > 0 && s.answers >= s.types && s.answers % 2 == 0, [&] {
            return "two-hop: " + std::to_string(s.types) + " types, " + std::to_string(s.tools) + " tools and " +
                   std::to_string(s.answers) + " answers, expected 1 or more of each, an even number of answers, and " +
                   "as many of them as types or more";
        });
        RandomStream stream{Random(seed, Purpose::task)};
        std::vector<std::int64_t> answers(static_cast<std::size_t>(s.answers));
        std::iota(answers.begin(), answers.end(), 0);
        for (std::int64_t type = 0; type < s.types; ++type) {
            const auto drawn = answers.begin() + stream.below(std::ssize(answers));
            questions_.push_back({stream.below(s.tools), stream.below(s.tools), *drawn});
            answers.erase(drawn);
        }
        logits_.assign(static_cast<std::size_t>(rows() * actions()), forbidden_logit);
        for (std::int64_t row = 0; row < first_answer_row(); ++row)
            for (std::int64_t tool = 0; tool < s.tools; ++tool) logit(row, tool) = 0;
        for (std::int64_t answer = 0; answer < s.answers; ++answer) {
            for (std::int64_t known = 0; known < shows(); ++known) logit(first_answer_row() + known, answer) = 0;
            logit(first_answer_row() + pair_of(answer), answer) = s.pair_logit;
            logit(first_answer_row() + answer_shown(answer), answer) = s.answer_logit;
        }
        for (std::int64_t seen = 0; seen < shows(); ++seen) logit(first_observation_row() + seen, seen) = 0;
    }

    const TwoHopSettings& settings() const { return settings_; }

    std::int64_t prompts() const { return settings_.types; }
    std::int64_t rows() const { return first_observation_row() + shows(); }
    std::int64_t actions() const { return std::max(settings_.tools, shows()); }
    std::int64_t states() const { return right + 1; }
    std::int64_t longest_answer() const { return 5; }
    std::span<const double> start_logits() const { return logits_; }

    std::int64_t start(std::int64_t) const { return first_hop; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        if (state == first_hop) return prompt;
        if (state == second_hop_missed || state == second_hop_hit)
            return settings_.types + 2 * prompt + (state == second_hop_hit ? 1 : 0);
        if (state >= wrong) return -1;
        return (observation(prompt, state) ? first_observation_row() : first_answer_row()) + shown(prompt, state);
    }
    bool observation(std::int64_t, std::int64_t state) const {
        return state == sees_no_pair || state == sees_pair || (state >= sees_nothing && state <= sees_answer);
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const Question& question = of(prompt);
        switch (state) {
            case first_hop:
                return action == question.first_tool ? sees_pair : sees_no_pair;
            case sees_no_pair:
                return second_hop_missed;
            case sees_pair:
                return second_hop_hit;
            case second_hop_missed:
                return sees_nothing;
            case second_hop_hit:
                return action == question.second_tool ? sees_answer : sees_no_answer;
            case sees_nothing:
                return knows_nothing;
            case sees_no_answer:
                return knows_pair;
            case sees_answer:
                return knows_answer;
            default:
                return action == question.answer ? right : wrong;
        }
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state == right ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const { return actions.back(); }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        const Question& question = of(prompt);
        return {std::int32_t(question.first_tool), std::int32_t(pair_of(question.answer)),
                std::int32_t(question.second_tool), std::int32_t(answer_shown(question.answer)),
                std::int32_t(question.answer)};
    }
    /// Given at once, by what has been shown so far.
    std::vector<ScoredToken> true_answer(std::int64_t prompt, std::int64_t state) const {
        return {{first_answer_row() + shown(prompt, state), std::int32_t(of(prompt).answer)}};
    }

private:
    struct Question {
        std::int64_t first_tool, second_tool, answer;
    };
    /// The states of a prompt, in order.
    enum State : std::int64_t {
        first_hop,
        sees_no_pair,
        sees_pair,
        second_hop_missed,
        second_hop_hit,
        sees_nothing,
        sees_no_answer,
        sees_answer,
        knows_nothing,
        knows_pair,
        knows_answer,
        wrong,
        right
    };

    const Question& of(std::int64_t prompt) const { return questions_[static_cast<std::size_t>(prompt)]; }
    /// What may be shown: 0 nothing, then the pairs, then the answers.
    std::int64_t shows() const { return 1 + settings_.answers / 2 + settings_.answers; }
    static std::int64_t pair_of(std::int64_t answer) { return 1 + answer / 2; }
    std::int64_t answer_shown(std::int64_t answer) const { return 1 + settings_.answers / 2 + answer; }
    /// An observation's own token, or what is known in any other state.
    std::int64_t shown(std::int64_t prompt, std::int64_t state) const {
        const std::int64_t answer = of(prompt).answer;
        if (state == sees_pair || state == second_hop_hit || state == knows_pair) return pair_of(answer);
        return state == sees_answer || state == knows_answer ? answer_shown(answer) : 0;
    }
    std::int64_t first_answer_row() const { return 3 * settings_.types; }
    std::int64_t first_observation_row() const { return first_answer_row() + shows(); }
    double& logit(std::int64_t row, std::int64_t action) {
        return logits_[static_cast<std::size_t>(row * actions() + action)];
    }

    TwoHopSettings settings_;
    std::vector<Question> questions_;  ///< [types]
    std::vector<double> logits_;
};
static_assert(TabularTask<TwoHop>);

}  // namespace roars::tasks
