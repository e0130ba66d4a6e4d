#pragma once

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

struct RubricsSettings {
    std::int64_t prompts = 12;
    std::int64_t criteria = 10;
    std::int64_t symbols = 12;
    double start = 0.01;  ///< probability that a criterion is met
    double shown = 4.0;   ///< what showing a criterion adds to the logit of the symbol that meets it
};
ROARS_FIELDS(RubricsSettings, prompts, criteria, symbols, start, shown)

/// Answers that are judged by a rubric: token c of an answer meets criterion c, which is worth c + 1 points, by one
/// symbol. One row for every (prompt, criterion). The success of an answer is its share of the points. Brings rubric,
/// and shows criteria. Source: the measured experiment of RuscaRL, arXiv 2508.16949.
class Rubrics {
public:
    using gives = columns<col::rubric>;

    explicit Rubrics(const RubricsSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        const double logit = std::log(settings.start / (1 - settings.start) * double(settings.symbols - 1));
        for (std::int64_t row = 0; row < rows(); ++row) {
            RandomStream stream(Random(seed, Purpose::task).at(static_cast<std::uint32_t>(row)));
            right_.push_back(static_cast<std::int32_t>(stream.below(actions())));
            logits_[static_cast<std::size_t>(row * actions() + right_.back())] = logit;
        }
    }

    const RubricsSettings& settings() const { return settings_; }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return settings_.prompts * settings_.criteria; }
    std::int64_t actions() const { return settings_.symbols; }
    std::int64_t states() const { return (settings_.criteria + 1) * (most() + 1); }
    std::int64_t longest_answer() const { return settings_.criteria; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: tokens so far * (all points + 1) + points so far.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        const std::int64_t token = state / (most() + 1);
        return token < settings_.criteria ? prompt * settings_.criteria + token : -1;
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const std::int64_t here = row(prompt, state);
        return state + most() + 1 + (meets(here, action) ? points(here % settings_.criteria) : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return double(state % (most() + 1)) / double(most()); }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }

    std::int64_t criteria(std::int64_t) const { return settings_.criteria; }
    template <class Real>
    void show(std::int64_t prompt, std::int64_t state, std::span<const char> shown, std::span<Real> logits) const {
        const std::int64_t here = row(prompt, state);
        if (shown[static_cast<std::size_t>(here % settings_.criteria)] != 0)
            logits[static_cast<std::size_t>(right(here))] += static_cast<Real>(settings_.shown);
    }
    std::int64_t width(col::rubric) const { return 2 * settings_.criteria; }
    /// Points, and whether it is met, criterion by criterion.
    double tell(col::rubric, std::int64_t prompt, std::span<const std::int32_t> actions, std::int64_t k,
                RandomStream&) const {
        const std::int64_t criterion = k / 2;
        if (k % 2 == 0) return double(points(criterion));
        const std::int32_t action = actions[static_cast<std::size_t>(criterion)];
        return meets(prompt * settings_.criteria + criterion, action) ? 1.0 : 0.0;
    }
    /// Which criteria it meets, as bits: what an answer says to the rubric.
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        std::int32_t met = 0;
        for (std::size_t c = 0; c < actions.size(); ++c)
            met = 2 * met + (meets(prompt * settings_.criteria + std::int64_t(c), actions[c]) ? 1 : 0);
        return met;
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        const auto first = right_.begin() + prompt * settings_.criteria;
        return {first, first + settings_.criteria};
    }

private:
    static std::int64_t points(std::int64_t criterion) { return criterion + 1; }
    std::int64_t most() const { return settings_.criteria * (settings_.criteria + 1) / 2; }
    std::int32_t right(std::int64_t row) const { return right_[static_cast<std::size_t>(row)]; }
    bool meets(std::int64_t row, std::int64_t action) const { return right(row) == action; }

    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.criteria > 0 && s.criteria < 31 && s.symbols > 1, [&] {
            return "rubrics: " + std::to_string(s.prompts) + " prompts of " + std::to_string(s.criteria) +
                   " criteria and " + std::to_string(s.symbols) +
                   " symbols, expected 1 prompt or more, 1 to 30 criteria, 2 symbols or more";
        });
        expect(s.start > 0 && s.start < 1,
               [&] { return "rubrics: start " + std::to_string(s.start) + ", expected a probability inside (0, 1)"; });
    }

    RubricsSettings settings_;
    std::vector<std::int32_t> right_;  ///< [rows]
    std::vector<double> logits_;       ///< [rows x actions]
};
static_assert(TabularTask<Rubrics> && ShowsCriteria<Rubrics>);

}  // namespace roars::tasks
