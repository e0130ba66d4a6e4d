/// What it costs that an objective is composed of parts: each composed objective against the same loop written by hand.
/// Counter: composed_over_by_hand = time of the composed one / time of the loop; 1 = composition is free.
#include <array>
#include <cmath>

#include "roars/methods/dapo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/kl.hpp"
#include "rollouts.hpp"

namespace {

using namespace roars;
using V = math::Lanes<float>;

struct Columns {
    const float *logp, *logp_old, *logp_ref, *advantage, *mask;
    float* gradient;
};

struct Sums {
    double policy_loss = 0, ratio = 0, clips = 0, approx_kl = 0, kl_loss = 0, kl = 0, tokens = 0, not_finite = 0;
    Sums& operator+=(const Sums& x) {
        policy_loss += x.policy_loss, ratio += x.ratio, clips += x.clips, approx_kl += x.approx_kl;
        kl_loss += x.kl_loss, kl += x.kl, tokens += x.tokens, not_finite += x.not_finite;
        return *this;
    }
};

/// The clipped surrogate, with_kl: plus 0.04 k3, with its gradient and its metrics, as one would write it for these
/// terms alone. [begin, end) is a whole number of lanes.
template <bool with_kl>
Sums by_hand(const Columns& x, std::int64_t begin, std::int64_t end, float weight) {
    constexpr std::int64_t lanes = math::lanes<V>, block = 1024;
    const V zero(0.0f), one(1.0f), low(0.8f), high(1.28f), bound(20.0f), coefficient(0.04f), most(10.0f),
        weights(weight);
    Sums sums;
    for (std::int64_t first = begin; first < end; first += block) {
        V policy_loss(0.0f), ratios(0.0f), clips(0.0f), approx_kl(0.0f), kl_loss(0.0f), kl(0.0f), tokens(0.0f),
            bad(0.0f);
        for (std::int64_t i = first, stop = std::min(first + block, end); i < stop; i += lanes) {
            V logp = V::load_unaligned(x.logp + i), old = V::load_unaligned(x.logp_old + i);
            V advantage = V::load_unaligned(x.advantage + i);
            auto counts = V::load_unaligned(x.mask + i) != zero;
            bad += xsimd::select(counts, (logp - logp) + (old - old) + (advantage - advantage), zero);
            V raw = logp - old, l = xsimd::min(xsimd::max(raw, -bound), bound);
            V ratio = math::exp(l), held = xsimd::min(xsimd::max(ratio, low), high);
            V plain = -advantage * ratio, clipped = -advantage * held;
            auto clip = clipped > plain;
            policy_loss += xsimd::select(counts, weights * xsimd::select(clip, clipped, plain), zero);
            V slope = xsimd::select(counts && !clip && xsimd::abs(raw) <= bound, weights * plain, zero);
            ratios += xsimd::select(counts, ratio, zero);
            clips += xsimd::select(counts && clip, one, zero);
            approx_kl -= xsimd::select(counts, l, zero);
            tokens += xsimd::select(counts, one, zero);
            if constexpr (with_kl) {
                V reference = V::load_unaligned(x.logp_ref + i);
                bad += xsimd::select(counts, reference - reference, zero);
                V distance = logp - reference, d = xsimd::min(xsimd::max(distance, -bound), bound);
                V shrink = math::expm1(-d), k3 = shrink + d, value = xsimd::min(k3, most);
                kl_loss += xsimd::select(counts, weights * (coefficient * value), zero);
                kl += xsimd::select(counts, value, zero);
                auto inside = counts && k3 <= most && xsimd::abs(distance) <= bound;
                slope -= xsimd::select(inside, weights * (coefficient * shrink), zero);
            }
            slope.store_unaligned(x.gradient + i);
        }
        sums += {math::sum(policy_loss), math::sum(ratios), math::sum(clips),  math::sum(approx_kl),
                 math::sum(kl_loss),     math::sum(kl),     math::sum(tokens), math::sum(bad)};
    }
    return sums;
}

template <bool with_kl>
Sums by_hand(backend::Host& backend, const Columns& x, std::int64_t tokens, float weight) {
    std::vector<Sums> partial(static_cast<std::size_t>((tokens + backend.grain - 1) / backend.grain));
    parallel_pieces(backend, tokens, [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
        partial[static_cast<std::size_t>(piece)] = by_hand<with_kl>(x, begin, end, weight);
    });
    Sums all;
    for (const Sums& each : partial) all += each;
    return all;
}

using Batches =
    Batch<float, columns<col::logp, col::logp_old, col::logp_ref, col::advantage, col::mask, col::grad<col::logp>>>;

template <bool with_kl>
void composition(benchmark::State& state) {
    auto batch = bench::rollouts<Batches>(state.range(0) / 1024, 1024);
    backend::Host backend;
    Counts counts = count(backend, batch);
    Columns columns{batch[col::logp{}].data(),     batch[col::logp_old{}].data(),
                    batch[col::logp_ref{}].data(), batch[col::advantage{}].data(),
                    batch[col::mask{}].data(),     batch[col::grad<col::logp>{}].data()};
    surrogate::Clip clip{.low = 0.2, .high = 0.28};
    double straight_loss = 0, composed_loss = 0;
    auto straight = [&] {
        Sums sums = by_hand<with_kl>(backend, columns, batch.tokens(), float(1.0 / double(counts.tokens)));
        straight_loss = sums.policy_loss + sums.kl_loss;
    };
    auto composed = [&] {
        if constexpr (with_kl)
            composed_loss = evaluate(backend, batch, std::array{counts, counts}, Weighed{clip, aggregate::TokenMean{}},
                                     Weighed{regularizer::Kl<kl::K3>{}, aggregate::TokenMean{}})
                                .loss();
        else
            composed_loss = evaluate(backend, batch, std::array{counts}, Weighed{clip, aggregate::TokenMean{}}).loss();
    };
    bench::Race race(state, straight, composed, [] {});
    if (!(std::abs(straight_loss - composed_loss) < 1e-6)) state.SkipWithError("the two loops do not agree");
    state.counters["composed_over_by_hand"] = race.second() / race.first();
    state.counters["M/s"] = double(batch.tokens()) / race.second() * 1e-6;
}

BENCHMARK(composition<false>)->Name("clip")->Arg(1 << 17)->Arg(1 << 21)->UseManualTime();
BENCHMARK(composition<true>)->Name("clip + k3")->Arg(1 << 17)->Arg(1 << 21)->UseManualTime();

}  // namespace

BENCHMARK_MAIN();
