#include "engine.hpp"
#include "golden.hpp"

#include "roars/algorithm.hpp"
#include "roars/methods/rl_plus.hpp"

namespace roars::golden::of_rl_plus {
namespace {

/// The inputs with `external` for each token, as the column has it.
Json with_external_tokens(const Inputs& in) {
    Json json = in.json();
    auto offsets = in.wholes("token_offsets");
    auto external = in.reals("external");
    json["external"] = Json::array();
    for (std::size_t i = 0; i < external.size(); ++i)
        for (auto t = offsets[i]; t < offsets[i + 1]; ++t) json["external"].push_back(external[i]);
    if (!json.contains("mask")) json["mask"] = std::vector<int>(std::size_t(offsets.back()), 1);
    return json;
}

template <class Scale>
Json advantage_of(const Inputs& in, const Scale& scale) {
    using Part = advantage::Times<advantage::Normalise<center::GroupMean, Scale>, weight::OnExternal<weight::Focal>>;
    Part part{{{}, scale}, {{in.real("exploration_power")}}};
    Json json = with_external_tokens(in);
    auto batch = batch_of<unite_t<columns<col::mask>, needs_of<Part>, gives_of<Part>>>(Inputs(json));
    engine::estimate(part, batch);
    return {{"advantage", batch[col::advantage{}]}};
}
Json advantage(const Inputs& in) {
    bool spread = in.real("use_std", 0.0) != 0.0;
    if (spread) return advantage_of(in, scale::GroupSpread{in.real("eps", 1e-6), int(in.real("ddof", 1))});
    return advantage_of(in, scale::None{});
}

template <class Behaviour>
Json loss_of(const Inputs& in, const Behaviour& behaviour) {
    using Given = surrogate::Weighted<surrogate::MultipleImportance<Behaviour>, weight::Focal>;
    using Term = surrogate::ByKind<surrogate::ImportanceRatio, Given>;
    Term term{{}, Given{{behaviour}, {in.real("exploration_power")}}};
    Json json = with_external_tokens(in);
    auto batch = batch_of<unite_t<columns<col::mask, col::grad<col::logp>>, needs_of<Term>>>(Inputs(json));
    double loss = engine::terms(batch, aggregate::Constant{in.real("normalizer")}, term).loss();
    return {{"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
Json loss(const Inputs& in) {
    bool known = in.has("logp_behaviour") && !in.json().at("logp_behaviour").is_null();
    return known ? loss_of(in, behaviour::Known{})
                 : loss_of(in, behaviour::HalfUniform{in.real("uniform_density", 1.0)});
}

}  // namespace

void add(Registry& registry) {
    registry[key("26-rl-plus", "advantage", "advantage")] = advantage;
    registry[key("26-rl-plus", "loss", "loss")] = loss;
}

}  // namespace roars::golden::of_rl_plus
