#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/primitives/segments.hpp"

/// How much a group method makes of a prompt by its difficulty (DisCO, arXiv 2505.12366, proposition 1). With rewards 0
/// and 1, a share p of right answers and the population's spread, the clipped surrogate of GRPO is
///     sqrt(p (1 - p)) [mean over right of s+ - mean over wrong of s-],
///     s+ = token mean of min(r, 1 + high),   s- = token mean of max(r, 1 - low),   r = e^{logp - logp_old},
/// so that prompts with p near 0 or 1 are nearly ignored. Without the spread (Dr. GRPO) the weight is p (1 - p).
namespace roars::metrics {

struct DifficultyBias {
    std::vector<double> weight;           ///< sqrt(p (1 - p)) of each group; 0 for an empty one
    std::vector<double> weight_unscaled;  ///< p (1 - p)
    std::vector<double> gap;              ///< the bracket; 0 where one of the two kinds is missing
    double objective = 0.0;               ///< mean over groups of weight times gap
};

/// Right: reward above 0.5. A sequence without a token has s+ = s- = 0. Shapes: reward [sequences]; logp, logp_old
/// [tokens].
template <class Real>
DifficultyBias difficulty_bias(Offsets groups, Offsets tokens, std::span<Real> reward, std::span<Real> logp,
                               std::span<Real> logp_old, double low = 0.2, double high = 0.2) {
    DifficultyBias bias;
    auto clipped = [&](std::size_t i, bool right) {
        double sum = 0.0;
        for (auto t = std::size_t(tokens[i]); t < std::size_t(tokens[i + 1]); ++t) {
            double ratio = std::exp(double(logp[t]) - double(logp_old[t]));
            sum += right ? std::min(ratio, 1.0 + high) : std::max(ratio, 1.0 - low);
        }
        return tokens[i + 1] > tokens[i] ? sum / double(tokens[i + 1] - tokens[i]) : 0.0;
    };
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        double right = 0.0, up = 0.0, down = 0.0, all = double(groups[g + 1] - groups[g]);
        for (auto i = std::size_t(groups[g]); i < std::size_t(groups[g + 1]); ++i) {
            bool is_right = double(reward[i]) > 0.5;
            right += is_right;
            (is_right ? up : down) += clipped(i, is_right);
        }
        double p = all > 0.0 ? right / all : 0.0;
        bias.weight.push_back(std::sqrt(p * (1.0 - p)));
        bias.weight_unscaled.push_back(p * (1.0 - p));
        bias.gap.push_back(right > 0.0 && right < all ? up / right - down / (all - right) : 0.0);
        bias.objective += bias.weight.back() * bias.gap.back();
    }
    if (!bias.gap.empty()) bias.objective /= double(bias.gap.size());
    return bias;
}

/// How hard a prompt is by `attempts` answers to it: none right, up to a quarter, below three quarters, the rest.
enum class Difficulty { hardest, hard, medium, easy };
inline Difficulty difficulty(std::int64_t right, std::int64_t attempts) {
    expect(attempts > 0 && right >= 0 && right <= attempts, [&] {
        return "difficulty: " + std::to_string(right) + " of " + std::to_string(attempts) +
               " answers right, expected one answer or more, and no more right ones than there are";
    });
    if (4 * right >= 3 * attempts) return Difficulty::easy;
    if (4 * right > attempts) return Difficulty::medium;
    return right > 0 ? Difficulty::hard : Difficulty::hardest;
}
/// How many prompts went from a class, the row, to a class, the column. Errors: other numbers of prompts. Source of
/// both: ReLIFT, arXiv 2506.07527.
using DifficultyMoves = std::array<std::array<std::int64_t, 4>, 4>;
inline DifficultyMoves difficulty_moves(std::span<const std::int64_t> right_before,
                                        std::span<const std::int64_t> right_after, std::int64_t attempts) {
    roars::detail::expect_size("right_after", right_after.size(), std::ssize(right_before));
    DifficultyMoves moves{};
    for (std::size_t i = 0; i < right_before.size(); ++i)
        ++moves[std::size_t(difficulty(right_before[i], attempts))][std::size_t(difficulty(right_after[i], attempts))];
    return moves;
}

/// How far one step can lower the loss at most, where it is held near a reference by `kl_coefficient`: mean over
/// prompts of a (1 - a) / (2 kl_coefficient), a = accuracy; largest where half of the answers are right. 0 without a
/// prompt, or where all are always or never right. Source: SEELE, arXiv 2509.06923, appendix A.
inline double descent_bound(std::span<const double> accuracy, double kl_coefficient) {
    double sum = 0.0;
    for (double a : accuracy) sum += a * (1.0 - a);
    return sum == 0.0 ? 0.0 : sum / (2.0 * kl_coefficient * double(accuracy.size()));
}

}  // namespace roars::metrics
