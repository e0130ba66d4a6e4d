#include "golden.hpp"
#include "terms.hpp"

#include "roars/algorithm.hpp"
#include "roars/methods/lite_ppo.hpp"
#include "roars/sampler/then.hpp"

namespace roars::golden::of_lite_ppo {
namespace {

/// Advantages with a part that is chosen by the names of its two scopes; one a token.
template <class Center, class Scale>
std::vector<double> normalised(const Inputs& in, const Center& center, const Scale& scale) {
    auto batch = batch_of<columns<col::groups, col::reward, col::advantage>>(in);
    engine::estimate(advantage::Normalise<Center, Scale>{center, scale}, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
template <class Center>
std::vector<double> scaled_by(const Inputs& in, const Center& center, const std::string& scope) {
    double eps = in.real("eps", 1e-6);
    int ddof = int(in.real("ddof", 1));
    if (scope == "none") return normalised(in, center, scale::None{});
    if (scope == "group") return normalised(in, center, scale::GroupSpread{eps, ddof});
    expect(scope == "batch", [&] { return "std_scope: '" + scope + "', expected none, group or batch"; });
    return normalised(in, center, scale::BatchSpread{eps, ddof});
}
std::vector<double> normalised(const Inputs& in, const std::string& mean, const std::string& scale) {
    if (mean == "none") return scaled_by(in, center::None{}, scale);
    if (mean == "group") return scaled_by(in, center::GroupMean{}, scale);
    expect(mean == "batch", [&] { return "mean_scope: '" + mean + "', expected none, group or batch"; });
    return scaled_by(in, center::BatchMean{}, scale);
}

Json lite(const Inputs& in) { return {{"advantage", normalised(in, in.text("mean_scope"), in.text("std_scope"))}}; }

/// Per sequence: each has one token.
Json compared(const Inputs& in) {
    Json json = in.json();
    json["token_offsets"] = Json::array();
    for (std::size_t i = 0; i <= in.reals("reward").size(); ++i) json["token_offsets"].push_back(i);
    auto names = [&](const char* name) { return in.json().at(name).get<std::vector<std::string>>(); };
    auto means = names("mean_scope"), scales = names("std_scope");
    Json advantages = Json::array();
    for (std::size_t k = 0; k < means.size(); ++k) advantages.push_back(normalised(Inputs(json), means[k], scales[k]));
    return {{"advantage", advantages}};
}

template <class Aggregate>
Json clipped(const Inputs& in, const Aggregate& aggregate) {
    auto batch =
        batch_with_mask<columns<col::logp, col::logp_old, col::advantage, col::mask, col::grad<col::logp>>>(in, "logp");
    double loss = engine::terms(batch, aggregate, surrogate::Clip{in.real("clip_low"), in.real("clip_high")}).loss();
    return {{"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
Json loss(const Inputs& in) {
    if (in.text("aggregation") == "token_mean") return clipped(in, aggregate::TokenMean{});
    expect(in.text("aggregation") == "sequence_mean", "aggregation: expected token_mean or sequence_mean");
    return clipped(in, aggregate::SequenceMeanOfAll{});
}

/// Cut: as long as the limit and not ended.
Json overlong_filter(const Inputs& in) {
    auto batch = batch_with_mask<columns<col::mask, col::truncated>>(in, "mask");
    auto ended = in.reals("ended");
    roars::detail::expect_size("ended", ended.size(), batch.sequences());
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i < ended.size(); ++i)
        batch[col::truncated{}][i] = ended[i] == 0 && double(offsets[i + 1] - offsets[i]) >= in.real("max_length");
    backend::Host host;
    Run run{host};
    NoState state;
    sampler::MaskTruncated{}.amend(run, state, batch);
    return {{"mask", batch[col::mask{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("03-lite-ppo", "advantage", "advantage.1")] = lite;
    registry[key("03-lite-ppo", "advantage", "advantage.2")] = compared;
    registry[key("03-lite-ppo", "loss", "loss")] = loss;
    registry[key("03-lite-ppo", "sampler", "sampler")] = overlong_filter;
}

}  // namespace roars::golden::of_lite_ppo
