#include "engine.hpp"
#include "golden.hpp"

#include <algorithm>
#include <cmath>

#include "roars/methods/rex_rag.hpp"

namespace roars::golden::of_rex_rag {
namespace {

std::vector<std::int32_t> tokens_of(const Inputs& in, const std::string& name) {
    auto values = in.wholes(name);
    return {values.begin(), values.end()};
}

Json plan(const Inputs& in) {
    auto plan =
        sampler::plan_probes(in.reals("reward"), in.reals("gate"), in.reals("pick"), in.wholes("turn_count"),
                             in.whole("hints"), in.real("probe_probability", methods::rex_rag.sampler.probability));
    return {{"source", plan.source},
            {"kept_turns", plan.kept_turns},
            {"hint", plan.hint},
            {"failure_rate", plan.failure_rate}};
}

Json hints(const Inputs& in) {
    return {{"hint_probability", sampler::hint_probabilities(tokens_of(in, "hint_token"), in.wholes("hint_offsets"))}};
}

Json filter(const Inputs& in) {
    auto accuracy = in.reals("accuracy_history");
    double ratio = accuracy.empty() ? methods::rex_rag.sampler.keep_ratio : accuracy[0];
    for (std::size_t k = 1; k < accuracy.size(); ++k) ratio = methods::rex_rag.sampler.next_ratio(ratio, accuracy[k]);
    const double originals = in.real("batch");
    auto kept = sampler::most_plausible(in.reals("hint_mean_logp"), std::int64_t(std::floor(originals * ratio)));
    const double all = originals + double(kept.size());
    return {{"keep_ratio", ratio}, {"kept", kept}, {"mix", all > 0 ? double(kept.size()) / all : 0.0}};
}

std::vector<double> behaviour_of(const Inputs& in) {
    auto offsets = in.wholes("token_offsets"), kind = in.wholes("kind"), original = in.wholes("original");
    auto logp_old = in.reals("logp_old"), hint = in.reals("hint_probability");
    const sampler::MixtureBehaviour mixture{in.real("mix"), in.real("failure_rate")};
    std::vector<double> logp(logp_old.size());
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        auto copied = std::count(kind.begin() + offsets[i], kind.begin() + offsets[i + 1], 0);
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t)
            logp[t] = original[i] != 0 ? mixture.original(logp_old[t])
                      : kind[t] == 0   ? mixture.copied(logp_old[t], copied)
                      : kind[t] == 1   ? mixture.hint(logp_old[t], hint[t])
                                       : mixture.continued(logp_old[t]);
    }
    return logp;
}
Json target(const Inputs& in) { return {{"logp_behaviour", behaviour_of(in)}}; }

Json loss(const Inputs& in) {
    auto surrogate = methods::rex_rag.optimizer.surrogate;
    surrogate.base = {.low = in.real("clip_low", 0.2), .high = in.real("clip_high", 0.2)};
    auto batch = batch_of<unite_t<needs_of<decltype(surrogate)>, columns<col::mask, col::grad<col::logp>>>>(in);
    auto behaviour = behaviour_of(in);
    std::copy(behaviour.begin(), behaviour.end(), batch[col::logp_behaviour{}].begin());
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    double loss = engine::terms(batch, methods::rex_rag.optimizer.aggregate, surrogate).loss();
    return {{"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("70-rex-rag", "sampler", "sampler.1")] = plan;
    registry[key("70-rex-rag", "sampler", "sampler.2")] = hints;
    registry[key("70-rex-rag", "sampler", "sampler.3")] = filter;
    registry[key("70-rex-rag", "target", "target")] = target;
    registry[key("70-rex-rag", "loss", "loss")] = loss;
}

}  // namespace roars::golden::of_rex_rag
