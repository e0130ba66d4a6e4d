#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct SearchChainSettings {
    std::int64_t facts = 3;     ///< that must be taken, one after the other
    std::int64_t searches = 6;  ///< at most
    std::int64_t cues = 12;     ///< of which a document shows one
    std::int64_t queries = 1;   ///< to choose from for each fact, one of them right; 1: nothing is chosen
    double relevant = 0.5;      ///< the chance of the right query to find what is sought
    double other = 0.1;         ///< that of the others
    double sharpness = 2.2;     ///< how much a cue tells of its document
};
ROARS_FIELDS(SearchChainSettings, facts, searches, cues, queries, relevant, other, sharpness)

/// Whether to believe what a search has found: a document is relevant by chance, else a distractor, and shows a cue c
/// of probability ~ exp(sharpness x_c) where it is relevant, ~ exp(-sharpness x_c) where it is not, x evenly spaced
/// from -1 to 1. The policy sees the cue alone and accepts (1) or rejects (0) the document. A distractor that is
/// accepted breaks the chain, unseen: from then on no document is relevant. Behind `facts` acceptances follows the
/// answer, a token without a choice, right if none was wrong; a rollout that has spent its searches before is cut.
/// Documents are observations, tokens that the environment writes. With several queries the policy chooses one before
/// each search. Brings judgement, relevance, decision. Source: the measured experiment of ReSeek, arXiv 2510.00568.
class SearchChain {
public:
    using gives = columns<col::judgement, col::relevance, col::decision>;

    explicit SearchChain(const SearchChainSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        expect(settings.facts > 0 && settings.searches >= settings.facts && settings.cues > 1 && settings.queries > 0,
               [&] {
                   return "search chain: " + std::to_string(settings.facts) + " facts, " +
                          std::to_string(settings.searches) + " searches, " + std::to_string(settings.cues) +
                          " cues and " + std::to_string(settings.queries) +
                          " queries, expected as many searches as facts or more, 2 cues, 1 query";
               });
        for (double chance : {settings.relevant, settings.other})
            expect(chance > 0 && chance < 1, [&] {
                return "search chain: a chance of " + std::to_string(chance) +
                       " to find what is sought, expected a number between 0 and 1";
            });
        RandomStream stream{Random(seed, Purpose::task)};
        for (std::int64_t fact = 0; fact < settings.facts; ++fact)
            right_query_.push_back(stream.below(settings.queries));
        place_.resize(static_cast<std::size_t>(settings.cues));
        std::iota(place_.begin(), place_.end(), std::int64_t(0));
        for (std::int64_t i = settings.cues - 1; i > 0; --i)
            std::swap(place_[static_cast<std::size_t>(i)], place_[static_cast<std::size_t>(stream.below(i + 1))]);
        fill_logits();
    }

    const SearchChainSettings& settings() const { return settings_; }
    bool chooses() const { return settings_.queries > 1; }

    std::int64_t prompts() const { return 1; }
    /// The judgement of each cue, the query for each fact, documents (of a broken chain, another query, the right one),
    /// the answer.
    std::int64_t rows() const { return settings_.cues + settings_.facts + 4; }
    std::int64_t actions() const { return std::max(2 * settings_.cues, settings_.queries); }
    std::int64_t states() const { return answering() + 5; }
    std::int64_t longest_answer() const { return settings_.searches * (chooses() ? 3 : 2) + 1; }
    std::span<const double> start_logits() const { return logits_; }

    /// State ((search facts + taken) 2 + broken) steps + step: step 0 chooses a query, 1 and 2 search by another one
    /// and the right one, 3 + document judge. Then the answer of a broken chain and of a sound one, both given, and the
    /// end of the searches.
    std::int64_t start(std::int64_t) const { return before_search(0, 0, false); }
    std::int64_t row(std::int64_t, std::int64_t state) const {
        if (state >= answering() + 2) return -1;
        if (state >= answering()) return rows() - 1;
        const std::int64_t step = state % steps();
        if (step == choosing) return settings_.cues + taken(state);
        if (step < judging) return settings_.cues + settings_.facts + (broken(state) ? 0 : step);
        return (step - judging) % settings_.cues;
    }
    bool observation(std::int64_t, std::int64_t state) const {
        return state < answering() && state % steps() != choosing && state % steps() < judging;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        if (state >= answering()) return state + 2;
        const std::int64_t step = state % steps();
        if (step == choosing) return state + (action == right_query(taken(state)) ? 2 : 1);
        if (step < judging) return state - step + judging + action;
        const std::int64_t now = taken(state) + action;
        const bool breaks = broken(state) || (action == 1 && !is_relevant(step - judging));
        if (now == settings_.facts) return answering() + (breaks ? 0 : 1);
        const std::int64_t search = state / steps() / 2 / settings_.facts + 1;
        return search < settings_.searches ? before_search(search, now, breaks) : answering() + 4;
    }
    /// Cut: all searches are spent, and facts are missing.
    bool truncated(std::int64_t, std::int64_t state) const { return state == answering() + 4; }
    double success(std::int64_t, std::int64_t state) const { return state == answering() + 3 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }

    /// Whether the document's relevance speaks for it; document = relevance cues + cue.
    bool is_relevant(std::int64_t document) const { return document >= settings_.cues; }
    /// Whether the policy judges in this state, and the document that it judges.
    bool judges(std::int64_t state) const { return state < answering() && state % steps() >= judging; }
    std::int64_t judged(std::int64_t state) const { return state % steps() - judging; }

    double tell(col::judgement, std::int64_t, std::span<const std::int32_t> actions, std::int64_t turn,
                RandomStream&) const {
        const std::int64_t token = judging_token(actions, turn);
        return token < 0 ? -1.0 : double(actions[static_cast<std::size_t>(token)]);
    }
    double tell(col::relevance, std::int64_t, std::span<const std::int32_t> actions, std::int64_t turn,
                RandomStream&) const {
        const std::int64_t token = judging_token(actions, turn);
        return token < 0 ? 0.0 : is_relevant(actions[static_cast<std::size_t>(token) - 1]) ? 1.0 : 0.0;
    }
    double tell(col::decision, std::int64_t, std::span<const std::int32_t> actions, std::int64_t token,
                RandomStream&) const {
        return token < judged_tokens(actions) && token % tokens_a_search() == tokens_a_search() - 1 ? 1.0 : 0.0;
    }
    /// 0: cut; 1 + what was wrong with the answer.
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        std::int64_t state = start(prompt);
        for (std::int32_t action : actions) state = next(prompt, state, action);
        return truncated(prompt, state) ? 0 : success(prompt, state) > 0 ? 1 : 2;
    }
    /// Relevant documents, found by the right queries, all accepted.
    std::vector<std::int32_t> solution(std::int64_t) const {
        std::vector<std::int32_t> actions;
        for (std::int64_t fact = 0; fact < settings_.facts; ++fact) {
            if (chooses()) actions.push_back(static_cast<std::int32_t>(right_query(fact)));
            actions.push_back(static_cast<std::int32_t>(settings_.cues + telling_cue()));
            actions.push_back(1);
        }
        actions.push_back(0);
        return actions;
    }

private:
    static constexpr std::int64_t choosing = 0, judging = 3;
    std::int64_t steps() const { return judging + 2 * settings_.cues; }
    std::int64_t answering() const { return settings_.searches * settings_.facts * 2 * steps(); }
    std::int64_t taken(std::int64_t state) const { return state / steps() / 2 % settings_.facts; }
    bool broken(std::int64_t state) const { return state / steps() % 2 == 1; }
    std::int64_t right_query(std::int64_t fact) const { return right_query_[static_cast<std::size_t>(fact)]; }
    std::int64_t before_search(std::int64_t search, std::int64_t facts, bool breaks) const {
        return ((search * settings_.facts + facts) * 2 + breaks) * steps() + (chooses() ? choosing : 2);
    }
    std::int64_t telling_cue() const {
        return std::find(place_.begin(), place_.end(), settings_.cues - 1) - place_.begin();
    }

    std::int64_t tokens_a_search() const { return chooses() ? 3 : 2; }
    /// Tokens of a rollout before its answer.
    std::int64_t judged_tokens(std::span<const std::int32_t> actions) const {
        return std::ssize(actions) / tokens_a_search() * tokens_a_search();
    }
    /// The judgement that begins the turn; -1 for none. Turns begin with the policy's tokens and with the rollout.
    std::int64_t judging_token(std::span<const std::int32_t> actions, std::int64_t turn) const {
        const std::int64_t search = chooses() ? turn / 2 : turn - 1;
        const std::int64_t token = (search + 1) * tokens_a_search() - 1;
        const bool judgement = chooses() ? turn % 2 == 1 : turn > 0;
        return judgement && token < judged_tokens(actions) ? token : -1;
    }

    void fill_logits() {
        logits_.assign(static_cast<std::size_t>(rows() * actions()), forbidden_logit);
        auto at = [&](std::int64_t row) { return logits_.begin() + row * actions(); };
        for (std::int64_t cue = 0; cue < settings_.cues; ++cue) std::fill_n(at(cue), 2, 0.0);
        for (std::int64_t fact = 0; fact < settings_.facts; ++fact)
            std::fill_n(at(settings_.cues + fact), settings_.queries, 0.0);
        std::vector<double> chance{0.0, settings_.other, settings_.relevant};
        for (std::size_t which = 0; which < chance.size(); ++which)
            for (std::int64_t relevance = 0; relevance < 2; ++relevance) {
                const double share = relevance == 1 ? chance[which] : 1.0 - chance[which];
                const double slope = relevance == 1 ? settings_.sharpness : -settings_.sharpness;
                auto log_odds = [&](std::int64_t cue) {
                    return slope *
                           (2.0 * double(place_[static_cast<std::size_t>(cue)]) / double(settings_.cues - 1) - 1.0);
                };
                double sum = 0;
                for (std::int64_t cue = 0; cue < settings_.cues; ++cue) sum += std::exp(log_odds(cue));
                for (std::int64_t cue = 0; cue < settings_.cues && share > 0; ++cue)
                    at(settings_.cues + settings_.facts + std::int64_t(which))[relevance * settings_.cues + cue] =
                        std::log(share) + log_odds(cue) - std::log(sum);
            }
        *at(rows() - 1) = 0.0;
    }

    SearchChainSettings settings_;
    std::vector<std::int64_t> right_query_;  ///< of each fact
    std::vector<std::int64_t> place_;        ///< of each cue, from 0: speaks for a distractor
    std::vector<double> logits_;
};
static_assert(TabularTask<SearchChain>);

/// How a policy judges, without sampling: expected numbers of a rollout.
struct JudgementScore {
    double judged = 0, right = 0;             ///< judgements, and those that are right
    double accepted = 0, accepted_wrong = 0;  ///< acceptances, and those of distractors
    double accuracy() const { return judged > 0 ? right / judged : 0.0; }
    double wrong_share() const { return accepted > 0 ? accepted_wrong / accepted : 0.0; }
};
/// Shapes: logits [rows x actions].
template <class Real>
JudgementScore judgement_score(const SearchChain& task, std::span<const Real> logits) {
    const auto actions = static_cast<std::size_t>(task.actions());
    JudgementScore score;
    std::vector<double> probability(actions);
    auto choose = [&](std::int64_t state, std::int64_t row, double here) {
        detail::softmax(logits.subspan(static_cast<std::size_t>(row) * actions, actions),
                        std::span<double>(probability));
        if (task.judges(state)) {
            const bool relevant = task.is_relevant(task.judged(state));
            score.judged += here;
            score.right += here * probability[relevant ? 1 : 0];
            score.accepted += here * probability[1];
            if (!relevant) score.accepted_wrong += here * probability[1];
        }
        return std::span<const double>(probability);
    };
    detail::walk(task, 0, choose, [](std::int64_t, double) {});
    return score;
}

}  // namespace roars::tasks
