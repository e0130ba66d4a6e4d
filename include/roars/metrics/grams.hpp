#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "roars/metrics/estimates.hpp"
#include "roars/metrics/text_overlap.hpp"

/// Recurring phrases (grams) of token sequences: where they stand, how varied they are, which are worth having. Source:
/// arXiv 2509.03646.
namespace roars::metrics {

/// Calls found(gram, first token) for every occurrence of every gram within one sequence, overlapping ones too. A gram
/// without a token never occurs; a match never goes from one sequence to the next. Shapes: token [tokens].
template <class Found>
void for_each_gram(Offsets offsets, Tokens token, const RaggedTokens& grams, Found&& found) {
    std::unordered_map<std::int32_t, std::vector<std::size_t>> beginning_with;
    for (std::size_t k = 0; k < grams.rows(); ++k)
        if (!grams[k].empty()) beginning_with[grams[k].front()].push_back(k);
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) {
            auto candidates = beginning_with.find(token[static_cast<std::size_t>(t)]);
            if (candidates == beginning_with.end()) continue;
            Tokens rest = token.subspan(static_cast<std::size_t>(t), static_cast<std::size_t>(offsets[i + 1] - t));
            for (std::size_t k : candidates->second)
                if (grams[k].size() <= rest.size() && std::equal(grams[k].begin(), grams[k].end(), rest.begin()))
                    found(k, static_cast<std::size_t>(t));
        }
}

/// mark = 1 for every token inside an occurrence, else 0; returns the occurrences of each gram. Shapes: token, mark
/// [tokens].
template <class Real>
std::vector<std::int64_t> mark_grams(Offsets offsets, Tokens token, const RaggedTokens& grams, std::span<Real> mark) {
    std::vector<std::int64_t> count(grams.rows());
    std::fill(mark.begin(), mark.end(), Real(0));
    for_each_gram(offsets, token, grams, [&](std::size_t gram, std::size_t first) {
        ++count[gram];
        std::fill_n(mark.begin() + std::ptrdiff_t(first), grams[gram].size(), Real(1));
    });
    return count;
}

/// -sum q ln q over the shares q of the grams among all occurrences, nats; 0 without an occurrence.
inline double semantic_entropy(std::span<const std::int64_t> occurrences) {
    auto all = static_cast<double>(std::accumulate(occurrences.begin(), occurrences.end(), std::int64_t{0}));
    double entropy = 0.0;
    for (std::int64_t count : occurrences)
        if (count > 0) entropy -= double(count) / all * std::log(double(count) / all);
    return entropy;
}

/// The means of x over the marked tokens and over the others. What a mask leaves out is in neither. Shapes: x, mark,
/// mask [tokens].
struct SplitMean {
    CountedMean marked, others;
};
template <class Real>
SplitMean split_mean(std::span<Real> x, std::span<Real> mark, std::span<Real> mask = {}) {
    roars::detail::expect_size("mark", mark.size(), std::ssize(x));
    roars::detail::expect_mask(mask, x.size());
    SplitMean sum;
    for (std::size_t t = 0; t < x.size(); ++t) {
        if (!mask.empty() && mask[t] == 0) continue;
        CountedMean& side = mark[t] != 0 ? sum.marked : sum.others;
        side.mean += static_cast<double>(x[t]);
        ++side.count;
    }
    for (CountedMean* side : {&sum.marked, &sum.others})
        if (side->count > 0) side->mean /= static_cast<double>(side->count);
    return sum;
}

/// e^{-mean log-probability}: the perplexity of a class of tokens, to be divided by what it was at the first step.
inline double perplexity(double mean_logp) { return std::exp(-mean_logp); }

/// What is kept of clustered grams.
struct MinedGrams {
    std::vector<std::int64_t> document_frequency;  ///< documents with at least one gram of the cluster
    std::vector<std::int64_t> kept_clusters;       ///< ascending
    std::vector<std::int64_t> grams;               ///< of the kept clusters, ascending
};

/// Keeps the ceil(fraction clusters) clusters of grams that occur in most documents, of equal ones the first; never one
/// that occurs in none. cluster[g] is the cluster of gram g; document d holds the grams document_gram[offsets[d]] ..
/// document_gram[offsets[d + 1] - 1]. Errors: a cluster or a gram that does not exist.
inline MinedGrams mine_grams(std::span<const std::int64_t> cluster, std::int64_t clusters,
                             std::span<const std::int64_t> document_gram, Offsets document_offsets, double fraction) {
    auto check = [](const char* what, std::int64_t index, std::int64_t count) {
        expect(index >= 0 && index < count, [&] {
            return std::string("gram mining: ") + what + " " + std::to_string(index) + ", expected 0 to " +
                   std::to_string(count - 1);
        });
    };
    for (std::int64_t each : cluster) check("cluster", each, clusters);
    MinedGrams mined{std::vector<std::int64_t>(static_cast<std::size_t>(clusters)), {}, {}};
    for (std::size_t d = 0; d + 1 < document_offsets.size(); ++d) {
        std::set<std::int64_t> present;
        for (std::int64_t k = document_offsets[d]; k < document_offsets[d + 1]; ++k) {
            std::int64_t gram = document_gram[static_cast<std::size_t>(k)];
            check("gram", gram, std::ssize(cluster));
            present.insert(cluster[static_cast<std::size_t>(gram)]);
        }
        for (std::int64_t each : present) ++mined.document_frequency[static_cast<std::size_t>(each)];
    }
    std::vector<std::int64_t> order(mined.document_frequency.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    auto frequency = [&](std::int64_t c) { return mined.document_frequency[static_cast<std::size_t>(c)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return frequency(a) > frequency(b); });
    // 0.2 * 15 is a little more than 3 in binary.
    auto kept = static_cast<std::size_t>(std::max(0.0, std::ceil(fraction * static_cast<double>(clusters) - 1e-9)));
    for (std::size_t k = 0; k < std::min(kept, order.size()); ++k)
        if (frequency(order[k]) > 0) mined.kept_clusters.push_back(order[k]);
    std::sort(mined.kept_clusters.begin(), mined.kept_clusters.end());
    for (std::int64_t gram = 0; gram < std::ssize(cluster); ++gram)
        if (std::binary_search(mined.kept_clusters.begin(), mined.kept_clusters.end(),
                               cluster[static_cast<std::size_t>(gram)]))
            mined.grams.push_back(gram);
    return mined;
}

}  // namespace roars::metrics
